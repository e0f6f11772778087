//! The head of a request: which it is, and where it ends.
//!
//! The one rule: where two readers might disagree about where a request ends, it is refused, and
//! the connection with it (RFC 9112, 11.2 "Request smuggling").

use alloc::string::String;

use httparse::{EMPTY_HEADER, Error, Header};

use super::response::Status;

/// Most bytes of a head: request line and fields.
pub const MAX_HEAD_LEN: usize = 8 * 1024;
/// Most bytes of a body.
pub const MAX_BODY_LEN: usize = 1 << 20;
/// Most fields of a head.
const MAX_FIELDS: usize = 64;

/// What is to be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read it.
    Get,
    /// Read what is said about it.
    Head,
    /// Give it something.
    Post,
    /// One of the others that RFC 9110 and RFC 5789 define: no resource here allows it.
    Other,
}

impl Method {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Other => "another method",
        }
    }
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// The path, without the query, as it was sent.
    pub path: String,
    /// Bytes of the body.
    pub body_len: usize,
    /// Whether the connection is to be kept.
    pub keep_alive: bool,
    /// Whether the client waits for a word before it sends the body.
    pub expects_continue: bool,
}

/// How far a head has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// There is more to it.
    Partial,
    /// All of it, and how many bytes it has.
    Whole(Request, usize),
}

/// Why a request is not understood. The connection ends with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub Status);

/// Reads the head of the request that `bytes` begin with.
///
/// # Errors
///
/// [`Refusal`].
pub fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let window = &bytes[..bytes.len().min(MAX_HEAD_LEN)];
    let len_bytes = match head.parse(window) {
        Ok(httparse::Status::Complete(len_bytes)) => len_bytes,
        Ok(httparse::Status::Partial) if bytes.len() >= MAX_HEAD_LEN => {
            return Err(Refusal(Status::HeadTooLarge));
        }
        Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
        Err(Error::TooManyHeaders) => return Err(Refusal(Status::HeadTooLarge)),
        Err(Error::Version) => return Err(Refusal(Status::VersionNotSupported)),
        Err(_) => return Err(Refusal(Status::BadRequest)),
    };
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Err(Refusal(Status::BadRequest));
    };
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => Method::Other,
        _ => return Err(Refusal(Status::NotImplemented)),
    };
    let fields = Fields(head.headers);
    fields.check_host(minor)?;
    let request = Request {
        method,
        path: path_of(target, method)?,
        body_len: fields.body_len(method)?,
        keep_alive: fields.keep_alive(minor),
        expects_continue: minor == 1 && fields.has("expect", "100-continue"),
    };
    Ok(Parsed::Whole(request, len_bytes))
}

/// Returns the path of an origin form or an absolute one (RFC 9112, 3.2).
fn path_of(target: &str, method: Method) -> Result<String, Refusal> {
    let whole = match target.split_once("://") {
        // What stands before the path is whom the client believes to reach.
        Some((scheme, rest)) if is_web(scheme) => match rest.find(['/', '?']) {
            Some(start) => &rest[start..],
            None => "/",
        },
        _ => target,
    };
    let path = match whole.split_once(['?', '#']) {
        Some((path, _)) => path,
        None => whole,
    };
    match path.starts_with('/') {
        true => Ok(path.into()),
        // Of the whole server, or of a tunnel: allowed for nothing here.
        false if method == Method::Other => Ok("/".into()),
        false if path.is_empty() && whole != target => Ok("/".into()),
        false => Err(Refusal(Status::BadRequest)),
    }
}

/// Whether a scheme is HTTP's; its case does not count (RFC 3986, 3.1).
fn is_web(scheme: &str) -> bool {
    let is = |name| scheme.eq_ignore_ascii_case(name);
    is("http") || is("https")
}

/// Whether this is digits alone: what parses numbers takes a sign, too.
pub fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

struct Fields<'h>(&'h [Header<'h>]);

impl Fields<'_> {
    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = move |field: &&Header<'_>| field.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|field| field.value)
    }

    /// Whether `word` is one of a field's, which stand between commas.
    fn has(&self, name: &str, word: &str) -> bool {
        let mut words = self
            .values(name)
            .flat_map(|value| value.split(|b| *b == b','));
        words.any(|given| given.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// One `Host`, from version 1.1 on (RFC 9112, 3.2).
    fn check_host(&self, minor: u8) -> Result<(), Refusal> {
        match self.values("host").count() {
            1 => Ok(()),
            0 if minor == 0 => Ok(()),
            _ => Err(Refusal(Status::BadRequest)),
        }
    }

    /// How many bytes follow the head (RFC 9112, 6.3).
    fn body_len(&self, method: Method) -> Result<usize, Refusal> {
        if self.values("transfer-encoding").next().is_some() {
            return Err(Refusal(Status::NotImplemented));
        }
        let mut lengths = self.values("content-length");
        let Some(length) = lengths.next() else {
            return match method {
                Method::Post => Err(Refusal(Status::LengthRequired)),
                _ => Ok(0),
            };
        };
        if !is_number(length) || lengths.next().is_some() {
            return Err(Refusal(Status::BadRequest));
        }
        // Digits alone: what is no number of this machine is too large.
        let number = core::str::from_utf8(length)
            .ok()
            .and_then(|l| l.parse().ok());
        match number {
            Some(number) if number <= MAX_BODY_LEN => Ok(number),
            _ => Err(Refusal(Status::ContentTooLarge)),
        }
    }

    fn keep_alive(&self, minor: u8) -> bool {
        match minor {
            0 => self.has("connection", "keep-alive"),
            _ => !self.has("connection", "close"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{format, string::ToString};

    use super::*;

    fn request(method: Method, path: &str) -> Request {
        Request {
            method,
            path: path.to_string(),
            body_len: 0,
            keep_alive: true,
            expects_continue: false,
        }
    }

    fn whole(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Ok(Parsed::Whole(request, len_bytes)) => {
                let end = text.find("\r\n\r\n").unwrap() + 4;
                assert_eq!(len_bytes, end, "{text:?}");
                request
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn refused(text: &str) -> Status {
        match parse(text.as_bytes()) {
            Err(Refusal(status)) => status,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn requests_are_read() {
        let plain = whole("GET /status HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(plain, request(Method::Get, "/status"));
        let query = whole("HEAD /a/b?c=/d HTTP/1.1\r\nhost:a\r\n\r\nGET / HTTP/1.1\r\n");
        assert_eq!(query, request(Method::Head, "/a/b"));
        let absolute = whole("GET https://a:1/b?c HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(absolute, request(Method::Get, "/b"));
        assert_eq!(whole("GET HTTP://a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
        assert_eq!(
            whole("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n").path,
            "/"
        );
        let star = whole("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(star, request(Method::Other, "/"));
        let post = whole(
            "POST /sign HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nExpect: 100-Continue\r\n\r\n",
        );
        assert_eq!(post.body_len, 12);
        assert!(post.expects_continue && post.keep_alive);
    }

    #[test]
    fn connections_are_kept_as_the_version_has_it() {
        let keeps = |version: &str, field: &str| {
            whole(&format!("GET / HTTP/1.{version}\r\nHost: a\r\n{field}\r\n")).keep_alive
        };
        assert!(keeps("1", "") && !keeps("0", ""));
        assert!(!keeps("1", "Connection: Close\r\n"));
        assert!(!keeps("1", "Connection: te, close\r\n"));
        assert!(keeps("0", "Connection: Keep-Alive\r\n"));
    }

    #[test]
    fn part_of_a_head_is_waited_for() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        for len_bytes in 0..text.len() {
            let parsed = parse(&text.as_bytes()[..len_bytes]);
            assert_eq!(parsed, Ok(Parsed::Partial), "{len_bytes} bytes");
        }
    }

    #[test]
    fn heads_have_a_limit() {
        let long = |len: usize| {
            let text = "GET / HTTP/1.1\r\nHost: a\r\nA: \r\n\r\n";
            text.replace("A: ", &format!("A: {}", "a".repeat(len - text.len())))
        };
        assert_eq!(whole(&long(MAX_HEAD_LEN)).path, "/");
        assert_eq!(refused(&long(MAX_HEAD_LEN + 1)), Status::HeadTooLarge);
        assert_eq!(refused(&long(10_000)[..10_000]), Status::HeadTooLarge);
        let fields = |n| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(n));
        assert_eq!(whole(&fields(MAX_FIELDS - 1)).path, "/");
        assert_eq!(refused(&fields(MAX_FIELDS)), Status::HeadTooLarge);
    }

    #[test]
    fn bodies_have_one_length_and_a_limit() {
        let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let length = |length: &str| post(&format!("Content-Length: {length}\r\n"));
        assert_eq!(whole(&length("1048576")).body_len, MAX_BODY_LEN);
        for large in ["1048577", "99999999999999999999999999999"] {
            assert_eq!(refused(&length(large)), Status::ContentTooLarge);
        }
        for bad in [
            "",
            "+1",
            "-1",
            "0x10",
            "1 1",
            "1, 1",
            "1\r\nContent-Length: 1",
        ] {
            assert_eq!(refused(&length(bad)), Status::BadRequest, "{bad:?}");
        }
        assert_eq!(refused(&post("")), Status::LengthRequired);
        let chunked = post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n");
        assert_eq!(refused(&chunked), Status::NotImplemented);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "\0\0\0\0",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET status HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(refused(text), Status::BadRequest, "{text:?}");
        }
        for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9"] {
            let text = format!("GET / {version}\r\nHost: a\r\n\r\n");
            assert_eq!(refused(&text), Status::VersionNotSupported, "{version}");
        }
        let unknown = "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(refused(unknown), Status::NotImplemented);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let text = "POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n".as_bytes();
        for index in 0..text.len() {
            for byte in 0..=255 {
                let mut bytes = text.to_vec();
                bytes[index] = byte;
                if let Ok(Parsed::Whole(request, len_bytes)) = parse(&bytes) {
                    assert!(len_bytes <= bytes.len() && request.path.starts_with('/'));
                }
            }
        }
    }
}
