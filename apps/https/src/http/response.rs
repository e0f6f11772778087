//! What is answered: a status, a kind of content, its length.

use alloc::{format, string::String, vec::Vec};

/// How a request ended (RFC 9110, 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it was asked for.
    Ok,
    /// No request of HTTP/1.
    BadRequest,
    /// Not for this client.
    Forbidden,
    /// There is no such resource.
    NotFound,
    /// There is, and it is not for this method.
    MethodNotAllowed,
    /// The rest of the request did not come in time.
    RequestTimeout,
    /// A body without its length.
    LengthRequired,
    /// A body that is too large.
    ContentTooLarge,
    /// A head that is too large.
    HeadTooLarge,
    /// The server could not do what it should have.
    InternalError,
    /// A method or a coding that this server has never heard of.
    NotImplemented,
    /// Not now.
    Unavailable,
    /// No version 1.
    VersionNotSupported,
}

impl Status {
    /// Its number.
    pub fn code(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::LengthRequired => 411,
            Self::ContentTooLarge => 413,
            Self::HeadTooLarge => 431,
            Self::InternalError => 500,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
            Self::VersionNotSupported => 505,
        }
    }

    /// Its words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::BadRequest => "Bad Request",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::LengthRequired => "Length Required",
            Self::ContentTooLarge => "Content Too Large",
            Self::HeadTooLarge => "Request Header Fields Too Large",
            Self::InternalError => "Internal Server Error",
            Self::NotImplemented => "Not Implemented",
            Self::Unavailable => "Service Unavailable",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}

/// What follows the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Bytes that are there.
    Bytes(Vec<u8>),
    /// The list of the volume's files.
    List {
        /// So many bytes.
        len_bytes: u64,
    },
    /// So many bytes of a [`pattern`], made while they are sent.
    Pattern(u64),
    /// Bytes of the volume, read while they are sent.
    Volume {
        /// From here on.
        offset: u64,
        /// So many.
        len_bytes: u64,
    },
}

impl Body {
    /// Its length.
    pub fn len_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pattern(len_bytes)
            | Self::List { len_bytes }
            | Self::Volume { len_bytes, .. } => *len_bytes,
        }
    }
}

/// The bytes of a pattern from an offset on: lines of their own number.
pub fn pattern(offset: u64, bytes: &mut [u8]) {
    const LINE_LEN: u64 = 16;
    for (at, byte) in (offset..).zip(bytes) {
        let (line, column) = (at / LINE_LEN, at % LINE_LEN);
        *byte = match column {
            15 => b'\n',
            // The number's digits, the last one in the last place.
            _ => b'0' + (line / 10u64.pow(14 - column as u32) % 10) as u8,
        };
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// How it ended.
    pub status: Status,
    /// The media type of the body.
    pub kind: &'static str,
    /// The methods that the resource allows, where another one was asked for.
    pub allow: Option<&'static str>,
    /// What follows the head.
    pub body: Body,
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Response {
    /// Answers with text.
    pub fn text(text: String) -> Self {
        Self::of(TEXT, text.into_bytes())
    }

    /// Answers with bytes of a media type.
    pub fn of(kind: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            status: Status::Ok,
            kind,
            allow: None,
            body: Body::Bytes(bytes),
        }
    }

    /// Answers with a status and its words.
    pub fn status(status: Status) -> Self {
        let text = format!("{} {}\n", status.code(), status.reason());
        Self {
            status,
            ..Self::text(text)
        }
    }

    /// Says which methods there are.
    pub fn not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::status(Status::MethodNotAllowed)
        }
    }

    /// The head, with an empty line behind it.
    pub fn head(&self, keep_alive: bool) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nServer: virtio-crypto\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'self' 'unsafe-inline'\r\n",
            self.status.code(),
            self.status.reason(),
            self.kind,
            self.body.len_bytes(),
        );
        if let Some(allow) = self.allow {
            head += &format!("Allow: {allow}\r\n");
        }
        if !keep_alive {
            head += "Connection: close\r\n";
        }
        head += "\r\n";
        head.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_says_what_follows() {
        let response = Response::not_allowed("GET, HEAD");
        let head = String::from_utf8(response.head(false)).unwrap();
        assert!(
            head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nContent-Length: 23\r\n"), "{head}");
        assert!(head.contains("\r\nAllow: GET, HEAD\r\n"), "{head}");
        assert!(head.ends_with("\r\nConnection: close\r\n\r\n"), "{head}");
        let kept = String::from_utf8(Response::text("a".into()).head(true)).unwrap();
        assert!(
            !kept.contains("Connection") && !kept.contains("Allow"),
            "{kept}"
        );
        assert_eq!(kept.matches("\r\n\r\n").count(), 1);
    }

    #[test]
    fn pattern_is_the_same_in_whatever_pieces() {
        let mut whole = [0; 100];
        pattern(0, &mut whole);
        assert!(whole.starts_with(b"000000000000000\n000000000000001\n00"));
        for split in 0..100 {
            let mut parts = [0; 100];
            let (first, second) = parts.split_at_mut(split);
            pattern(0, first);
            pattern(split as u64, second);
            assert_eq!(parts, whole);
        }
        let mut late = [0; 16];
        pattern(16 * 123_456, &mut late);
        assert_eq!(late, *b"000000000123456\n");
    }
}
