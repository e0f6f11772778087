//! Checks that other crates share.

#[path = "../../services/checks/digests.rs"]
pub(crate) mod digests;
#[expect(dead_code, reason = "some of it only the tests of the services need")]
#[path = "../../services/checks/oracle.rs"]
pub(crate) mod oracle;
