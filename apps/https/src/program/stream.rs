//! A TLS connection on a socket.

use core::fmt;

use common::net::{Ended, Socket};
use https::tls::{Connection, Failure, MAX_PLAIN_LEN, Seat, Wants};

use luks::volume::VolumeError;

use super::keeper::{Keeper, Unsigned};

/// How long the other side may take to make room for what is sent.
pub const WRITE_NS: u64 = 30_000_000_000;
/// How much is read at a time.
const READ_LEN: usize = 2048;

/// Why a connection ends before its time.
#[derive(Clone, Debug, PartialEq)]
pub enum Broken {
    /// The other side is gone, or too slow.
    Ended(Ended),
    /// What it sends is not TLS, or none that is spoken here.
    Tls(Failure),
    /// There is no signature for it.
    Unsigned(Unsigned),
    /// What it asked for cannot be read.
    Unread(VolumeError),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(ended) => ended.fmt(f),
            Self::Tls(failure) => failure.fmt(f),
            Self::Unsigned(unsigned) => unsigned.fmt(f),
            Self::Unread(error) => error.fmt(f),
        }
    }
}

impl From<Ended> for Broken {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Tls(failure)
    }
}

impl From<Unsigned> for Broken {
    fn from(unsigned: Unsigned) -> Self {
        Self::Unsigned(unsigned)
    }
}

/// The connection.
pub struct Stream<'s> {
    socket: &'s Socket,
    tls: Connection<'s>,
}

impl<'s> Stream<'s> {
    /// Waits for a hello on `socket`.
    ///
    /// # Errors
    ///
    /// [`Broken`].
    pub fn new(socket: &'s Socket, seat: &'s mut Seat) -> Result<Self, Broken> {
        let tls = Connection::new(seat)?;
        Ok(Self { socket, tls })
    }

    /// The connection as TLS has it.
    pub fn tls(&mut self) -> &mut Connection<'s> {
        &mut self.tls
    }

    /// Does all of the handshake.
    ///
    /// # Errors
    ///
    /// [`Broken`]; the client has been told by an alert where there is one.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the connection is of no more use.
    pub async fn handshake(
        &mut self,
        keeper: &'static Keeper,
        limit_ns: u64,
    ) -> Result<(), Broken> {
        while !self.tls.is_open() {
            if !self.step(keeper, limit_ns).await? {
                return Err(Ended::Gone.into());
            }
        }
        Ok(())
    }

    /// Waits for more of what the client says; `false` at the end.
    ///
    /// # Errors
    ///
    /// [`Broken`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped while the client is silent, nothing is lost.
    pub async fn fill(&mut self, keeper: &'static Keeper, limit_ns: u64) -> Result<bool, Broken> {
        let had = self.tls.plain().len();
        while self.tls.plain().len() == had {
            if !self.step(keeper, limit_ns).await? {
                return Ok(self.tls.plain().len() > had);
            }
        }
        Ok(true)
    }

    /// Goes on with what is there, sends what there is to send, and reads if nothing else is left
    /// to do. `false` at the client's end.
    async fn step(&mut self, keeper: &'static Keeper, limit_ns: u64) -> Result<bool, Broken> {
        let was_open = self.tls.is_open();
        let had = self.tls.plain().len();
        let wants = self.tls.advance();
        self.flush().await?;
        match wants? {
            Wants::Signature(to_sign) => {
                match keeper.sign(&to_sign).await {
                    // Other random bytes make another digest, which the device may sign sooner.
                    Err(Unsigned::Again) => self.tls.restart()?,
                    signed => self.tls.signed(signed?)?,
                }
                Ok(true)
            }
            Wants::Nothing => Ok(false),
            // There is something for the caller already.
            Wants::Bytes if self.tls.plain().len() > had || self.tls.is_open() != was_open => {
                Ok(true)
            }
            Wants::Bytes => {
                let mut bytes = [0; READ_LEN];
                let room = self.tls.room().min(READ_LEN);
                let len_bytes = self.socket.read(&mut bytes[..room], limit_ns).await?;
                self.tls.receive(&bytes[..len_bytes])?;
                Ok(len_bytes > 0)
            }
        }
    }

    /// Sends what is outgoing.
    async fn flush(&mut self) -> Result<(), Broken> {
        if !self.tls.outgoing().is_empty() {
            self.socket.write_all(self.tls.outgoing(), WRITE_NS).await?;
            self.tls.outgoing().clear();
        }
        Ok(())
    }

    /// Sends plain bytes.
    ///
    /// # Errors
    ///
    /// [`Broken`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the connection is of no more use.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        for part in bytes.chunks(MAX_PLAIN_LEN) {
            self.tls.write(part)?;
            self.flush().await?;
        }
        Ok(())
    }

    /// Says that there is no more.
    ///
    /// # Errors
    ///
    /// [`Broken`].
    pub async fn close(&mut self) -> Result<(), Broken> {
        self.tls.close()?;
        self.flush().await
    }
}
