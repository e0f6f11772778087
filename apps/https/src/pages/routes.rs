//! Which resource a request is about, and what may be done with it.

use alloc::{string::String, vec::Vec};

use crate::http::{Method, Request, Response, Status, is_number};

/// Most bytes of a pattern.
pub const MAX_PATTERN_LEN: u64 = 16 << 20;

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The page.
    Home,
    /// The figures, as text.
    Status,
    /// The figures, for Prometheus.
    Metrics,
    /// The certificate's public key.
    PublicKey,
    /// So many bytes of a pattern.
    Pattern(u64),
    /// A signature of the body.
    Sign,
    /// The end.
    Shutdown,
    /// A file of the encrypted disk, or a folder: its path.
    File(String),
}

/// Returns what a request is for, or the answer that says why it is for nothing.
///
/// # Errors
///
/// That answer.
pub fn route(request: &Request) -> Result<Route, Response> {
    const READ: &str = "GET, HEAD";
    const GIVE: &str = "POST";
    let missing = || Response::status(Status::NotFound);
    let path = decode(&request.path).ok_or_else(missing)?;
    let (route, allow) = match path.as_str() {
        "/" => (Route::Home, READ),
        "/status" => (Route::Status, READ),
        "/metrics" => (Route::Metrics, READ),
        "/public-key.pem" => (Route::PublicKey, READ),
        "/sign" => (Route::Sign, GIVE),
        "/shutdown" => (Route::Shutdown, GIVE),
        path => {
            if let Some(len) = path.strip_prefix("/bytes/") {
                let digits = Some(len).filter(|len| is_number(len.as_bytes()));
                let len_bytes = digits.and_then(|digits| digits.parse().ok());
                let len_bytes = len_bytes.filter(|len| *len <= MAX_PATTERN_LEN);
                (Route::Pattern(len_bytes.ok_or_else(missing)?), READ)
            } else if let Some(file) = path.strip_prefix("/files/") {
                let is_plain = |part: &str| part != "." && part != "..";
                if !file.split('/').all(is_plain) {
                    return Err(missing());
                }
                (Route::File(file.into()), READ)
            } else {
                return Err(missing());
            }
        }
    };
    let is_allowed = match request.method {
        Method::Get | Method::Head => allow == READ,
        Method::Post => allow == GIVE,
        Method::Other => false,
    };
    match is_allowed {
        true => Ok(route),
        false => Err(Response::not_allowed(allow)),
    }
}

/// Decodes `%41` (RFC 3986, 2.1). `None` for what is no text, or has a control character.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, behind) = rest.split_first_chunk::<2>()?;
        let digit = |digit: u8| char::from(digit).to_digit(16);
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        rest = behind;
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn ask(method: Method, path: &str) -> Result<Route, (u16, Option<&'static str>)> {
        let request = Request {
            method,
            path: path.to_string(),
            body_len: 0,
            keep_alive: true,
            expects_continue: false,
        };
        route(&request).map_err(|response| (response.status.code(), response.allow))
    }

    #[test]
    fn resources_are_found() {
        for method in [Method::Get, Method::Head] {
            assert_eq!(ask(method, "/"), Ok(Route::Home));
            assert_eq!(ask(method, "/status"), Ok(Route::Status));
            assert_eq!(ask(method, "/metrics"), Ok(Route::Metrics));
            assert_eq!(ask(method, "/bytes/300000"), Ok(Route::Pattern(300_000)));
            assert_eq!(
                ask(method, "/files/a%20b"),
                Ok(Route::File("a b".to_string()))
            );
            assert_eq!(ask(method, "/%73tatus"), Ok(Route::Status));
        }
        assert_eq!(ask(Method::Post, "/sign"), Ok(Route::Sign));
    }

    #[test]
    fn others_are_not_found() {
        for path in [
            "/nothing",
            "/status/",
            "/bytes/",
            "/bytes/x",
            "/bytes/-1",
            "/bytes/+1",
            "/bytes/16777217",
            "/files/../key",
            "/files/a/%2e%2e/b",
            "/files/%00",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
        ] {
            assert_eq!(ask(Method::Get, path), Err((404, None)), "{path}");
        }
    }

    #[test]
    fn methods_are_allowed_by_resource() {
        let read = Err((405, Some("GET, HEAD")));
        let give = Err((405, Some("POST")));
        assert_eq!(ask(Method::Post, "/"), read);
        assert_eq!(ask(Method::Other, "/status"), read);
        assert_eq!(ask(Method::Get, "/sign"), give);
        assert_eq!(ask(Method::Head, "/shutdown"), give);
        assert_eq!(ask(Method::Other, "/nothing"), Err((404, None)));
    }
}
