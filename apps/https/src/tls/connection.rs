//! One connection, without sockets and without waiting: bytes go in, bytes come out, and a
//! signature is asked for and given.
//!
//! The one rule: nothing of a client's can make it keep more than [`MAX_HELLO_LEN`] or a record.

use alloc::vec::Vec;
use core::fmt;

use rustls::{
    Error, HandshakeKind, ProtocolVersion,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, UnbufferedStatus},
};

use super::{
    failure::{Failure, MAX_HELLO_LEN},
    room,
    server::Seat,
    to_sign::ToSign,
};

/// Most bytes of a client that wait to be understood: one record with all that protects it
/// (RFC 5246, 6.2.3), and what came behind it.
pub const MAX_INCOMING_LEN: usize = 5 + 16384 + 2048 + 1024;
/// Plain bytes that make one record.
pub const MAX_PLAIN_LEN: usize = 16 * 1024;

/// What a connection waits for, after its [outgoing bytes](Connection::outgoing) have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Bytes of the client.
    Bytes,
    /// A signature, by [`Connection::signed`].
    Signature(ToSign),
    /// Nothing: the client sends no more.
    Nothing,
}

/// One connection, on a [`Seat`] that it gives back when it is dropped.
pub struct Connection<'s> {
    seat: &'s Seat,
    tls: UnbufferedServerConnection,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    plain: Vec<u8>,
    /// There may be a second pass.
    opening: Option<Opening>,
    is_open: bool,
    has_ended: bool,
    failed: Option<Failure>,
}

/// What a second pass needs.
#[derive(Default)]
struct Opening {
    /// All that the client has sent.
    received: Vec<u8>,
    /// How much of the flight has gone out, in whichever pass.
    sent: usize,
    /// How much this pass is still to leave out, since the one before has sent it.
    skip: usize,
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.seat.recorder.end();
    }
}

impl<'s> Connection<'s> {
    /// Waits for a client's hello.
    ///
    /// # Errors
    ///
    /// Those of rustls.
    pub fn new(seat: &'s mut Seat) -> Result<Self, Failure> {
        seat.recorder.begin();
        Ok(Self {
            tls: UnbufferedServerConnection::new(seat.config.clone())?,
            seat,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            plain: Vec::new(),
            opening: Some(Opening::default()),
            is_open: false,
            has_ended: false,
            failed: None,
        })
    }

    /// Whether the handshake is complete.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the client came back with a ticket; then nothing has been signed.
    pub fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The version, when it is agreed on.
    pub fn version(&self) -> &'static str {
        match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "-",
        }
    }

    /// What is to be sent; whoever sends it clears it.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// What the client has said; whoever understands it takes it away.
    pub fn plain(&mut self) -> &mut Vec<u8> {
        &mut self.plain
    }

    /// How many more bytes of the client there is room for.
    pub fn room(&self) -> usize {
        MAX_INCOMING_LEN - self.incoming.len()
    }

    /// Takes bytes of the client, at most [`room`](Self::room).
    ///
    /// # Errors
    ///
    /// [`Failure::TooLong`].
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        assert!(bytes.len() <= self.room(), "more bytes than there is room");
        if let Some(opening) = &mut self.opening {
            if opening.received.len() + bytes.len() > MAX_HELLO_LEN {
                return Err(Failure::TooLong);
            }
            opening.received.extend_from_slice(bytes);
        }
        self.incoming.extend_from_slice(bytes);
        Ok(())
    }

    /// Goes on as far as it can.
    ///
    /// # Errors
    ///
    /// [`Failure`]; the alert that tells the client is among the outgoing bytes.
    pub fn advance(&mut self) -> Result<Wants, Failure> {
        if let Some(to_sign) = self.seat.recorder.unanswered() {
            return Ok(Wants::Signature(to_sign));
        }
        match self.process(|_, _| Ok(())) {
            Ok(()) if self.has_ended => Ok(Wants::Nothing),
            Ok(()) if self.room() == 0 => Err(self.fail(Failure::TooLong)),
            Ok(()) => Ok(Wants::Bytes),
            Err(failure) => match self.seat.recorder.unanswered() {
                Some(to_sign) => Ok(Wants::Signature(to_sign)),
                None => {
                    self.take_alert();
                    Err(self.fail(failure))
                }
            },
        }
    }

    /// Takes what rustls still has to say after an error. It hands that out before it looks at what
    /// came; there it must not look again, for its places in that are no more.
    fn take_alert(&mut self) {
        self.incoming.clear();
        while self.tls.wants_write() {
            match self.tls.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    if encode(data, &mut self.outgoing, &mut self.opening).is_err() {
                        break;
                    }
                }
                // Plain bytes of before the error: nobody will ask for them.
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while traffic.next_record().is_some() {}
                }
                _ => break,
            }
        }
    }

    fn fail(&mut self, failure: Failure) -> Failure {
        self.failed.get_or_insert(failure).clone()
    }

    /// Takes the signature that [`advance`](Self::advance) wanted, and begins the second pass.
    ///
    /// # Errors
    ///
    /// Those of rustls.
    pub fn signed(&mut self, signature: Vec<u8>) -> Result<(), Failure> {
        let Some(opening) = &mut self.opening else {
            return Err(Error::General("a signature that nobody asked for".into()).into());
        };
        self.incoming.clone_from(&opening.received);
        opening.skip = opening.sent;
        self.seat.recorder.answer(signature);
        self.seat.recorder.rewind();
        self.tls = UnbufferedServerConnection::new(self.seat.config.clone())?;
        Ok(())
    }

    /// Begins the flight anew with other random bytes, so that something else is to be signed; not
    /// where the client has had a part of it.
    ///
    /// # Errors
    ///
    /// Those of rustls.
    pub fn restart(&mut self) -> Result<(), Failure> {
        if let Some(opening) = &self.opening
            && opening.sent == 0
        {
            self.incoming.clone_from(&opening.received);
            self.seat.recorder.begin();
            self.tls = UnbufferedServerConnection::new(self.seat.config.clone())?;
        }
        Ok(())
    }

    /// Encrypts at most [`MAX_PLAIN_LEN`] bytes into the outgoing ones.
    ///
    /// # Errors
    ///
    /// [`Failure`], also before the handshake is complete.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut is_written = false;
        self.process(|traffic, outgoing| {
            is_written = true;
            room::append(outgoing, bytes.len() + 64, |room| {
                traffic.encrypt(bytes, room).map_err(room::of_encryption)
            })
        })?;
        if is_written {
            Ok(())
        } else {
            Err(Error::HandshakeNotComplete.into())
        }
    }

    /// Tells the client, in the outgoing bytes, that the server sends no more.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn close(&mut self) -> Result<(), Failure> {
        self.process(|traffic, outgoing| {
            room::append(outgoing, 64, |room| {
                traffic
                    .queue_close_notify(room)
                    .map_err(room::of_encryption)
            })
        })
    }

    /// Takes steps until bytes are needed or the connection is there to be written to, by `write`.
    fn process(
        &mut self,
        write: impl FnOnce(&mut WriteTraffic<'_>, &mut Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.tls.process_tls_records(&mut self.incoming);
            let next = match state {
                Err(error) => Next::End(Err(error.into())),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut next = Next::Go;
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                self.plain.extend_from_slice(record.payload);
                                discard += record.discard;
                            }
                            Err(error) => next = Next::End(Err(error.into())),
                        }
                    }
                    next
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    match encode(data, &mut self.outgoing, &mut self.opening) {
                        Ok(()) => Next::Go,
                        Err(failure) => Next::End(Err(failure)),
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    // The caller sends what is outgoing before it brings more.
                    data.done();
                    Next::Go
                }
                Ok(ConnectionState::BlockedHandshake) => {
                    if self.seat.recorder.is_answered() {
                        // The flight is out, so there is no pass after this.
                        self.opening = None;
                        self.seat.recorder.end();
                    }
                    Next::End(Ok(()))
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    if !self.is_open {
                        self.is_open = true;
                        self.opening = None;
                        self.seat.recorder.end();
                    }
                    discard_front(&mut self.incoming, discard);
                    return write(&mut traffic, &mut self.outgoing);
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.has_ended = true;
                    Next::Go
                }
                Ok(_) => {
                    self.has_ended = true;
                    Next::End(Ok(()))
                }
            };
            discard_front(&mut self.incoming, discard);
            if let Next::End(outcome) = next {
                return outcome;
            }
        }
    }
}

/// Appends a record to what goes out, but for what an earlier pass has sent.
fn encode(
    mut data: EncodeTlsData<'_>,
    outgoing: &mut Vec<u8>,
    opening: &mut Option<Opening>,
) -> Result<(), Failure> {
    let at = outgoing.len();
    let appended = room::append(outgoing, 512, |room| {
        data.encode(room).map_err(room::of_encoding)
    });
    if let Some(opening) = opening {
        opening.leave_out(outgoing, at);
    }
    appended
}

type EncodeTlsData<'c> = rustls::unbuffered::EncodeTlsData<'c, ServerConnectionData>;
type WriteTraffic<'c> = rustls::unbuffered::WriteTraffic<'c, ServerConnectionData>;

enum Next {
    Go,
    End(Result<(), Failure>),
}

impl Opening {
    /// Takes away, of what stands in `outgoing` from `at` on, what an earlier pass has sent.
    fn leave_out(&mut self, outgoing: &mut Vec<u8>, at: usize) {
        let len_bytes = outgoing.len() - at;
        let skipped = self.skip.min(len_bytes);
        outgoing.drain(at..at + skipped);
        self.skip -= skipped;
        self.sent += len_bytes - skipped;
    }
}

fn discard_front(incoming: &mut Vec<u8>, len_bytes: usize) {
    incoming.drain(..len_bytes);
}
