//! Clients that do what they should: curl and openssl.
//!
//! The rule: what they believe of the server they have from its authority alone.

use std::fs;

use super::reach::{Clients, Verdict, expect};

pub fn status_page(clients: &Clients) -> Verdict {
    let got = clients.curl(&["--fail"], "/status")?;
    let is_right = got.status == 0 && got.output.contains("signatures");
    expect(is_right, "status 0 and a line of signatures", &got)
}

pub fn wrong_authority(clients: &Clients) -> Verdict {
    let stranger = clients.stranger.authority.as_ref();
    let stranger = stranger.map_or(String::new(), |path| path.display().to_string());
    let mut curl = clients.limited("curl");
    curl.args(["--silent", "--show-error", "--cacert", &stranger]);
    let got = clients.run(curl.arg(clients.url("/")))?;
    expect(
        got.status == 60,
        "curl's status 60: no authority that it knows",
        &got,
    )?;
    status_page(clients)
}

pub fn methods(clients: &Clients) -> Verdict {
    let head = clients.curl(&["--head"], "/")?;
    let is_right = head.output.starts_with("HTTP/1.1 200") && !head.output.contains("<html");
    expect(is_right, "HEAD: 200 without a body", &head)?;
    let none = clients.status(&[], "/no/such/page")?;
    expect(none.output == "404", "404", &none)?;
    let put = clients.status(&["--request", "PUT"], "/status")?;
    expect(put.output == "405", "405", &put)
}

pub fn pages(clients: &Clients) -> Verdict {
    let page = clients.curl(&["--fail"], "/")?;
    expect(page.output.contains("</html>"), "a page", &page)?;
    let metrics = clients.curl(&["--fail"], "/metrics")?;
    for line in metrics.output.lines() {
        let is_figure = line
            .rsplit_once(' ')
            .is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        let is_right = line.starts_with("# ") || line.is_empty() || is_figure;
        expect(is_right, "comments and figures alone", &metrics)?;
    }
    clients.metric("https_signatures_total").map(drop)
}

pub fn tls_1_2(clients: &Clients) -> Verdict {
    let got = clients.s_client(&["-tls1_2"])?;
    let is_right = got.output.contains("Verify return code: 0")
        && got.output.contains("TLSv1.2")
        && got.output.contains("ECDHE-RSA-");
    expect(is_right, "TLS 1.2 by ECDHE-RSA, verified", &got)
}

pub fn tls_1_3_alone(clients: &Clients) -> Verdict {
    let got = clients.s_client(&["-tls1_3"])?;
    let is_right = got.status != 0 && got.output.contains("alert protocol version");
    expect(is_right, "the alert protocol_version", &got)?;
    status_page(clients)
}

pub fn resumption(clients: &Clients) -> Verdict {
    let folder = clients.identity.key.with_file_name("ticket");
    let ticket = folder.display().to_string();
    let first = clients.s_client(&["-tls1_2", "-sess_out", &ticket])?;
    expect(
        first.output.contains("New, TLSv1.2"),
        "a new session",
        &first,
    )?;
    let signatures = clients.metric("https_signatures_total")?;
    let second = clients.s_client(&["-tls1_2", "-sess_in", &ticket])?;
    let is_right = second.output.contains("Reused, TLSv1.2");
    expect(is_right, "the session of the ticket", &second)?;
    let signed = clients.metric("https_signatures_total")? - signatures;
    // That of the client who asks for the figure.
    expect(signed <= 1.0, "no signature for it", &second)
}

pub fn signature(clients: &Clients) -> Verdict {
    let file = |name: &str| clients.identity.key.with_file_name(name);
    let text = |name: &str| file(name).display().to_string();
    let message: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    fs::write(file("message"), message).map_err(|error| error.to_string())?;
    let mut openssl = clients.limited("openssl");
    openssl.args(["x509", "-pubkey", "-noout", "-in", &text("server.pem")]);
    let public = clients.run(&mut openssl)?;
    fs::write(file("public.pem"), &public.output).map_err(|error| error.to_string())?;
    let data = format!("@{}", text("message"));
    let words = [
        "--fail",
        "--data-binary",
        &data,
        "--output",
        &text("signature"),
    ];
    let signed = clients.curl(&words, "/sign")?;
    expect(signed.status == 0, "a signature", &signed)?;
    let mut openssl = clients.limited("openssl");
    openssl.args(["dgst", "-sha256", "-verify", &text("public.pem")]);
    openssl.args(["-signature", &text("signature"), &text("message")]);
    let got = clients.run(&mut openssl)?;
    expect(got.output.contains("Verified OK"), "Verified OK", &got)
}

/// TLS 1.3, which takes a signature that TLS 1.2's padding is not enough for.
///
/// # Errors
///
/// Fails with what it got.
pub fn tls_1_3(clients: &Clients) -> Verdict {
    let device_requests = || clients.metric("https_device_requests_total");
    let before = device_requests()?;
    let got = clients.s_client(&["-tls1_3"])?;
    let is_right = got.output.contains("Verify return code: 0") && got.output.contains("TLSv1.3");
    expect(is_right, "TLS 1.3, verified", &got)?;
    // One of this client's, and one of the client that asks for the figure.
    let signatures = device_requests()? - before;
    if signatures < 2.0 {
        return Err(format!(
            "expected: two requests to the device\ngot: {signatures}"
        ));
    }
    status_page(clients)
}

/// A client that takes ECDSA's signatures alone.
///
/// # Errors
///
/// Fails with what it got.
pub fn ecdsa_alone(clients: &Clients) -> Verdict {
    let got = clients.s_client(&["-tls1_2", "-sigalgs", "ECDSA+SHA256"])?;
    let is_right =
        got.output.contains("Verify return code: 0") && got.output.contains("ECDHE-ECDSA-");
    expect(is_right, "TLS 1.2 by ECDHE-ECDSA, verified", &got)
}

/// A file of the encrypted disk comes as it was put there, and one that is not there does not.
///
/// # Errors
///
/// Fails with what it got.
pub fn files(clients: &Clients, name: &str, content: &[u8]) -> Verdict {
    let copy = clients.identity.key.with_file_name("copy");
    let path = format!("/files/{name}");
    let words = ["--fail", "--output", &copy.display().to_string()];
    let got = clients.curl(&words, &path)?;
    let is_right = fs::read(&copy).is_ok_and(|copy| copy == content);
    expect(
        got.status == 0 && is_right,
        "the file as it is on the disk",
        &got,
    )?;
    let none = clients.status(&[], "/files/some/other")?;
    expect(none.output == "404", "404", &none)
}
