//! HTTP/1.1 (RFC 9110 and 9112), as far as this server speaks it: requests with limits, answers
//! with a length.
//!
//! Connections are kept, and requests may come one behind the other. There is no chunked coding in
//! either direction, no range and no compression.

mod request;
mod response;

pub use self::{
    request::{MAX_BODY_LEN, MAX_HEAD_LEN, Method, Parsed, Refusal, Request, is_number, parse},
    response::{Body, Response, Status, pattern},
};
