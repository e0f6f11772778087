//! What clients do to the server in the tests: real ones, and rude ones.
//!
//! The rule: a check says what it expected and what it got, and leaves the server as it was.

mod many;
mod polite;
mod reach;
mod rude;

pub use many::{at_once, reads_no_more};
pub use polite::{ecdsa_alone, files, tls_1_3};
pub use reach::{Clients, Verdict};

/// A check, which is a test.
pub struct Check {
    pub test: &'static str,
    pub run: fn(&Clients) -> Verdict,
}

const fn check(test: &'static str, run: fn(&Clients) -> Verdict) -> Check {
    Check { test, run }
}

/// Every check, in the order in which they run.
pub const CHECKS: &[Check] = &[
    check("https_curl_believes_its_authority", polite::status_page),
    check("https_curl_refuses_a_stranger", polite::wrong_authority),
    // While there have been few others.
    check("https_cpus_share_the_work", many::cpus_share),
    check("https_head_404_405", polite::methods),
    check("https_page_and_metrics", polite::pages),
    check("https_openssl_speaks_tls_1_2", polite::tls_1_2),
    check("https_tls_1_3_alone_gets_an_alert", polite::tls_1_3_alone),
    check("https_ticket_is_taken", polite::resumption),
    check("https_signature_verifies", polite::signature),
    check("https_python_keeps_alive", many::keep_alive),
    check("https_long_header_is_refused", rude::long_header),
    check("https_half_a_hello", rude::half_a_hello),
    check("https_garbage", rude::garbage),
    check("https_closed_early", rude::closed_early),
    check("https_slow_client_is_served", many::slow),
    check("https_idle_connection_is_kept", many::idle),
    check("https_64_at_once", many::many_at_once),
];
