//! Clients that do not: half a hello, garbage, an early end, a header without end.
//!
//! The rule: the server ends what makes no sense, and serves others meanwhile and afterwards.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use super::{
    polite::status_page,
    reach::{Clients, Verdict, expect},
};

pub fn long_header(clients: &Clients) -> Verdict {
    let header = format!("X-Long: {}", "x".repeat(10_000));
    let got = clients.status(&["--header", &header], "/status")?;
    expect(got.output == "431", "431", &got)?;
    status_page(clients)
}

/// The first bytes of a client's hello.
const HALF: [u8; 12] = [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 7];

/// Reads until the server has ended the connection; returns what it sent and how long that took.
fn read_to_end(mut stream: TcpStream) -> Result<(Vec<u8>, Duration), String> {
    let (start, mut bytes) = (Instant::now(), Vec::new());
    match stream.read_to_end(&mut bytes) {
        Ok(_) => Ok((bytes, start.elapsed())),
        // It need not be polite to somebody like that.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok((bytes, start.elapsed())),
        Err(error) => Err(format!("expected: the server ends it\ngot: {error}")),
    }
}

pub fn half_a_hello(clients: &Clients) -> Verdict {
    let mut stream = clients.connect()?;
    stream.write_all(&HALF).map_err(|error| error.to_string())?;
    // Others are served meanwhile.
    status_page(clients)?;
    let (_, took) = read_to_end(stream)?;
    if took > Duration::from_secs(20) {
        return Err(format!("expected: an end within 20 s\ngot: {took:?}"));
    }
    status_page(clients)
}

pub fn garbage(clients: &Clients) -> Verdict {
    let mut stream = clients.connect()?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .map_err(|error| error.to_string())?;
    let (bytes, _) = read_to_end(stream)?;
    // A record of alerts, if anything.
    if !bytes.is_empty() && bytes[0] != 21 {
        return Err(format!("expected: an alert, or nothing\ngot: {bytes:?}"));
    }
    status_page(clients)
}

pub fn closed_early(clients: &Clients) -> Verdict {
    for len in [0, 1, HALF.len()] {
        let mut stream = clients.connect()?;
        stream
            .write_all(&HALF[..len])
            .and_then(|()| stream.shutdown(Shutdown::Both))
            .map_err(|error| error.to_string())?;
    }
    status_page(clients)
}
