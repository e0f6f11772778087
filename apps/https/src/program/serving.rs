//! Workers: each serves one connection after the other.

use alloc::{format, string::String, vec};

use common::net::{Ended, Network, Peer, Sizes, Socket};
use https::{
    files,
    http::{self, Body, Method, Parsed, Request, Response, Status},
    pages::{self, Machine, Route},
    tls::{Identity, KeyKind, MAX_PLAIN_LEN, Seat, ToSign},
};
use kernel::{println, time};
use sha2::{Digest, Sha256};

use super::{
    counts::{self, COUNTS},
    files::Files,
    keeper::Keeper,
    stop::Stop,
    stream::{Broken, Stream, WRITE_NS},
};

/// The port of HTTPS.
pub const PORT: u16 = 443;
/// What a connection's buffers hold.
const SIZES: Sizes = Sizes {
    receive: 8 * 1024,
    send: 16 * 1024,
};
/// How long a request may take from its first byte to its last.
const REQUEST_NS: u64 = 10_000_000_000;

/// What all workers share.
pub struct Shared {
    pub network: Network,
    pub keeper: &'static Keeper,
    pub identity: Identity,
    pub machine: Machine,
    pub files: Option<Files>,
    pub stop: Stop,
    pub handshake_ns: u64,
    pub silence_ns: u64,
    pub has_log: bool,
    pub may_shut_down: bool,
}

/// Makes a worker's place for connections.
pub fn socket(network: Network) -> Socket {
    Socket::new(network, SIZES)
}

/// Serves connections until it is time to stop.
pub async fn work(shared: &'static Shared, worker: usize, mut socket: Socket, mut seat: Seat) {
    while let Some(peer) = shared.stop.or(worker, socket.accept(PORT)).await {
        COUNTS.connections.add_one();
        COUNTS.connections_open.add_one();
        let served = serve(shared, worker, &socket, peer, &mut seat).await;
        COUNTS.connections_open.take_one();
        if served.is_err() {
            COUNTS.connections_failed.add_one();
        }
        match &served {
            Ok(()) => socket.close(WRITE_NS).await,
            Err(Broken::Ended(Ended::Gone)) => socket.abort(),
            Err(broken) => {
                if *broken == Broken::Ended(Ended::TimedOut) {
                    COUNTS.timeouts.add_one();
                }
                if shared.has_log {
                    println!("https: {peer} - {broken}");
                }
                socket.close(0).await;
            }
        }
    }
}

async fn serve(
    shared: &'static Shared,
    worker: usize,
    socket: &Socket,
    peer: Peer,
    seat: &mut Seat,
) -> Result<(), Broken> {
    let start_ns = time::now_ns();
    let mut stream = Stream::new(socket, seat)?;
    let handshake = stream.handshake(shared.keeper, shared.handshake_ns);
    // All of it together, however the client's bytes trickle in.
    let handshake = time::timeout(shared.handshake_ns, handshake).await;
    handshake.unwrap_or(Err(Ended::TimedOut.into()))?;
    match stream.tls().is_resumed() {
        true => COUNTS.handshakes_resumed.add_one(),
        false => {
            COUNTS.add_handshake();
            COUNTS.handshake.add_since(start_ns);
        }
    }
    let mut talk = Talk {
        shared,
        worker,
        peer,
        stream,
    };
    while talk.next().await? {}
    talk.stream.close().await
}

/// Requests and answers on one connection.
struct Talk<'s> {
    shared: &'static Shared,
    worker: usize,
    peer: Peer,
    stream: Stream<'s>,
}

impl Talk<'_> {
    /// Serves one request; `false` when it was the last.
    async fn next(&mut self) -> Result<bool, Broken> {
        if self.stream.tls().plain().is_empty() {
            let Shared {
                stop,
                keeper,
                silence_ns,
                ..
            } = self.shared;
            // All of it together: what makes no plain bytes, such as part of a record, is silence.
            let filled = time::timeout(*silence_ns, self.stream.fill(keeper, *silence_ns));
            let filled = stop.or(self.worker, filled).await;
            let filled = filled.map(|filled| filled.unwrap_or(Err(Ended::TimedOut.into())));
            match filled {
                // Time to stop, or the client has no more to say.
                None | Some(Ok(false)) => return Ok(false),
                // Nothing was asked, so nothing is owed, unless it does not even read.
                Some(Err(Broken::Ended(Ended::TimedOut))) if !self.is_in_the_middle() => {
                    return Ok(false);
                }
                Some(Err(broken)) => return Err(broken),
                Some(Ok(true)) => {}
            }
        }
        let start_ns = time::now_ns();
        let received = time::timeout(REQUEST_NS, self.receive()).await;
        COUNTS.requests.add_one();
        let (request, answer) = match received {
            Err(_) | Ok(Err(Broken::Ended(Ended::TimedOut))) if !self.is_in_the_middle() => {
                COUNTS.timeouts.add_one();
                (None, Response::status(Status::RequestTimeout))
            }
            Err(_) => return Err(Ended::TimedOut.into()),
            Ok(Err(broken)) => return Err(broken),
            Ok(Ok(Err(refused))) => (None, refused),
            Ok(Ok(Ok((request, digest)))) => {
                let answer = self.answer(&request, digest).await;
                (Some(request), answer)
            }
        };
        let keeps = request.as_ref().is_some_and(|request| request.keep_alive);
        let keeps = keeps && !self.shared.stop.is_said();
        let is_head = request.as_ref().is_some_and(|r| r.method == Method::Head);
        self.send(&answer, keeps, is_head).await?;
        if answer.status.code() >= 400 {
            COUNTS.requests_refused.add_one();
        }
        self.log(request.as_ref(), &answer, start_ns);
        Ok(keeps)
    }

    /// Whether a part of what goes out may have been sent already: nothing can follow that.
    fn is_in_the_middle(&mut self) -> bool {
        !self.stream.tls().outgoing().is_empty()
    }

    /// Takes a whole request, of whose body the SHA-256 alone is kept; or the answer to what is
    /// none.
    async fn receive(&mut self) -> Result<Result<(Request, [u8; 32]), Response>, Broken> {
        let keeper = self.shared.keeper;
        let (request, head_len) = loop {
            match http::parse(self.stream.tls().plain()) {
                Ok(Parsed::Whole(request, len_bytes)) => break (request, len_bytes),
                Ok(Parsed::Partial) => {}
                Err(refusal) => return Ok(Err(Response::status(refusal.0))),
            }
            if !self.stream.fill(keeper, REQUEST_NS).await? {
                return Err(Ended::Gone.into());
            }
        };
        self.stream.tls().plain().drain(..head_len);
        if request.expects_continue && self.stream.tls().plain().is_empty() {
            self.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut hash = Sha256::new();
        let mut missing = request.body_len;
        while missing > 0 {
            if self.stream.tls().plain().is_empty() && !self.stream.fill(keeper, REQUEST_NS).await?
            {
                return Err(Ended::Gone.into());
            }
            let plain = self.stream.tls().plain();
            let part_len = plain.len().min(missing);
            hash.update(&plain[..part_len]);
            plain.drain(..part_len);
            missing -= part_len;
        }
        Ok(Ok((request, hash.finalize().into())))
    }

    async fn answer(&self, request: &Request, digest: [u8; 32]) -> Response {
        let route = match pages::route(request) {
            Ok(route) => route,
            Err(answer) => return answer,
        };
        let Shared {
            network,
            keeper,
            machine,
            identity,
            ..
        } = self.shared;
        let figures = || counts::figures(*network, keeper.device());
        match route {
            Route::Home => {
                let page = pages::home(machine, &figures());
                Response::of("text/html; charset=utf-8", page.into_bytes())
            }
            Route::Status => Response::text(pages::status(machine, &figures())),
            Route::Metrics => {
                let text = pages::metrics(machine, &figures());
                Response::of(pages::METRICS_KIND, text.into_bytes())
            }
            Route::PublicKey => {
                let pem = identity.public_key_pem().into_bytes();
                Response::of("application/x-pem-file", pem)
            }
            Route::Pattern(len_bytes) => Response {
                body: Body::Pattern(len_bytes),
                ..Response::text(String::new())
            },
            Route::Sign => {
                let to_sign = match identity.kind {
                    KeyKind::Rsa { .. } => ToSign::Pkcs1(digest),
                    KeyKind::P256 => ToSign::Ecdsa(digest),
                };
                match keeper.sign_in_time(&to_sign).await {
                    Ok(signature) => Response::of("application/octet-stream", signature),
                    Err(unsigned) => Response {
                        status: Status::InternalError,
                        ..Response::text(format!("{unsigned}\n"))
                    },
                }
            }
            Route::Shutdown if self.shared.may_shut_down => {
                self.shared.stop.say();
                Response::text("the server ends\n".into())
            }
            Route::Shutdown => Response::status(Status::Forbidden),
            Route::File(path) => self.file(&path),
        }
    }

    /// A file of the disk, or the list of them.
    fn file(&self, path: &str) -> Response {
        let missing = || Response::status(Status::NotFound);
        let Some(all) = &self.shared.files else {
            return missing();
        };
        if path.is_empty() {
            return Response {
                body: Body::List {
                    len_bytes: all.list().len() as u64,
                },
                ..Response::text(String::new())
            };
        }
        all.find(path).map_or_else(missing, |file| Response {
            kind: files::kind_of(path),
            body: Body::Volume {
                offset: file.offset,
                len_bytes: file.len_bytes,
            },
            ..Response::text(String::new())
        })
    }

    async fn send(&mut self, answer: &Response, keeps: bool, is_head: bool) -> Result<(), Broken> {
        let mut bytes = answer.head(keeps);
        match &answer.body {
            _ if is_head => self.stream.write(&bytes).await?,
            Body::Bytes(body) => {
                bytes.extend_from_slice(body);
                self.stream.write(&bytes).await?;
                COUNTS.body_bytes.add(body.len() as u64);
            }
            body => {
                self.stream.write(&bytes).await?;
                let mut part = vec![0; MAX_PLAIN_LEN];
                let mut sent = 0;
                while sent < body.len_bytes() {
                    let part_len = (body.len_bytes() - sent).min(part.len() as u64) as usize;
                    let part = &mut part[..part_len];
                    match (body, &self.shared.files) {
                        (Body::Volume { offset, .. }, Some(files)) => {
                            // What was promised cannot be kept: the connection ends short.
                            let read = files.read(offset + sent, part).await;
                            read.map_err(Broken::Unread)?;
                        }
                        (Body::List { .. }, Some(files)) => {
                            let at = sent as usize;
                            part.copy_from_slice(&files.list().as_bytes()[at..at + part_len]);
                        }
                        _ => http::pattern(sent, part),
                    }
                    self.stream.write(part).await?;
                    COUNTS.body_bytes.add(part_len as u64);
                    sent += part_len as u64;
                }
            }
        }
        Ok(())
    }

    fn log(&mut self, request: Option<&Request>, answer: &Response, start_ns: u64) {
        if !self.shared.has_log {
            return;
        }
        let took_us = (time::now_ns() - start_ns) / 1000;
        let (method, path) = match request {
            Some(request) => (request.method.name(), &*request.path),
            None => ("-", "-"),
        };
        println!(
            "https: {} {} \"{method} {}\" status={} bytes={} us={took_us}",
            self.peer,
            self.stream.tls().version(),
            // It may have quotes, and what a terminal obeys.
            path.escape_debug(),
            answer.status.code(),
            answer.body.len_bytes(),
        );
    }
}
