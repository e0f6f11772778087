//! Connections that are awaited.
//!
//! The one rule: every wait has a time limit, but for that for a connection.

use alloc::vec;
use core::{
    fmt,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    task::{Poll, Waker},
};

use kernel::time;
use smoltcp::{
    iface::SocketHandle,
    socket::tcp::{self, State},
    time::Duration,
};

use super::stack::Network;

/// How long the other side may answer nothing, be it to a question whether it is still there.
const SILENT_S: u64 = 20;
/// How long the other side is waited for at the end.
const CLOSE_NS: u64 = 2_000_000_000;

/// Who is on the other side.
pub type Peer = SocketAddr;

/// Bytes of a connection's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// What comes.
    pub receive: usize,
    /// What goes.
    pub send: usize,
}

/// Why a connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The other side is gone.
    Gone,
    /// It took too long.
    TimedOut,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the other side is gone",
            Self::TimedOut => "the other side took too long",
        })
    }
}

/// A place for one connection at a time.
pub struct Socket {
    network: Network,
    sizes: Sizes,
    /// Of a connection, or of the wait for one.
    handle: SocketHandle,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.handle)
    }
}

fn closed(sizes: Sizes) -> tcp::Socket<'static> {
    let buffer = |len| tcp::SocketBuffer::new(vec![0; len]);
    let mut socket = tcp::Socket::new(buffer(sizes.receive), buffer(sizes.send));
    // What is written at once goes at once.
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket.set_timeout(Some(Duration::from_secs(SILENT_S)));
    // The limit counts from whatever came last, also where nothing is owed.
    socket.set_keep_alive(Some(Duration::from_secs(SILENT_S / 4)));
    socket
}

impl Socket {
    /// Makes room for a connection.
    pub fn new(network: Network, sizes: Sizes) -> Self {
        let socket = closed(sizes);
        let handle = network.with(|stack| stack.sockets.add(socket));
        Self {
            network,
            sizes,
            handle,
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut tcp::Socket<'static>) -> R) -> R {
        self.network
            .with(|stack| f(stack.sockets.get_mut(self.handle)))
    }

    /// Polls the socket until `f` is ready, then has the stack look at what it did.
    async fn poll<R>(&self, mut f: impl FnMut(&mut tcp::Socket<'static>, &Waker) -> Poll<R>) -> R {
        let done = poll_fn(|context| self.with(|socket| f(socket, context.waker()))).await;
        self.network.wake();
        done
    }

    async fn poll_for<R>(
        &self,
        limit_ns: u64,
        f: impl FnMut(&mut tcp::Socket<'static>, &Waker) -> Poll<Result<R, Ended>>,
    ) -> Result<R, Ended> {
        let polled = time::timeout(limit_ns, self.poll(f)).await;
        polled.unwrap_or(Err(Ended::TimedOut))
    }

    /// Ends what there was, without a word, and waits for a connection to `port`. The time limit is
    /// the caller's.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, a connection may come and wait; the next call ends it.
    pub async fn accept(&mut self, port: u16) -> Peer {
        loop {
            self.renew();
            let is_listening = self.with(|socket| socket.listen(port).is_ok());
            assert!(is_listening, "a new socket listens to a port above 0");
            let connected = self.poll(|socket, waker| {
                match socket.state() {
                    // A reset in the middle of the greeting.
                    State::Closed => return Poll::Ready(None),
                    State::Listen | State::SynReceived | State::SynSent => {}
                    _ => return Poll::Ready(Some(socket.remote_endpoint())),
                }
                socket.register_recv_waker(waker);
                socket.register_send_waker(waker);
                Poll::Pending
            });
            if let Some(Some(peer)) = connected.await {
                return SocketAddr::new(IpAddr::from(peer.addr), peer.port);
            }
        }
    }

    /// Replaces the socket by a new one, in whatever state it is.
    fn renew(&mut self) {
        let socket = closed(self.sizes);
        let old = self.network.with(|stack| {
            let old = stack.sockets.remove(self.handle);
            self.handle = stack.sockets.add(socket);
            old
        });
        drop(old);
    }

    /// Reads what there is, as soon as there is something; nothing at the end.
    ///
    /// # Errors
    ///
    /// [`Ended`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, nothing is lost.
    pub async fn read(&self, bytes: &mut [u8], limit_ns: u64) -> Result<usize, Ended> {
        self.poll_for(limit_ns, |socket, waker| {
            if socket.can_recv() {
                return Poll::Ready(socket.recv_slice(bytes).map_err(|_| Ended::Gone));
            }
            if !socket.may_recv() {
                // Both sides have said all, or the other one broke off.
                return Poll::Ready(match socket.state() {
                    State::Closed => Err(Ended::Gone),
                    _ => Ok(0),
                });
            }
            socket.register_recv_waker(waker);
            Poll::Pending
        })
        .await
    }

    /// Writes all of `bytes`, which the other side has to make room for in time: however many they
    /// are, the limit is for all: who takes one now and then holds nobody.
    ///
    /// # Errors
    ///
    /// [`Ended`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, any part of them may have been sent.
    pub async fn write_all(&self, mut bytes: &[u8], limit_ns: u64) -> Result<(), Ended> {
        let end_ns = time::now_ns().saturating_add(limit_ns);
        while !bytes.is_empty() {
            let left_ns = end_ns.saturating_sub(time::now_ns());
            let written = self.poll_for(left_ns, |socket, waker| {
                if !socket.may_send() {
                    return Poll::Ready(Err(Ended::Gone));
                }
                if socket.can_send() {
                    return Poll::Ready(socket.send_slice(bytes).map_err(|_| Ended::Gone));
                }
                socket.register_send_waker(waker);
                Poll::Pending
            });
            bytes = &bytes[written.await?..];
        }
        Ok(())
    }

    /// Says that there is no more, waits `limit_ns` for the other side to have all of it, and then
    /// a short while for it to say the same.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the rest goes on by itself until the next connection.
    pub async fn close(&self, limit_ns: u64) {
        self.with(tcp::Socket::close);
        self.network.wake();
        // To break off would take away what it has not read yet. If it is too slow, so be it.
        let _ = self
            .poll_for(limit_ns, |socket, waker| {
                if socket.send_queue() == 0 || socket.state() == State::Closed {
                    return Poll::Ready(Ok(()));
                }
                socket.register_send_waker(waker);
                Poll::Pending
            })
            .await;
        // What the other side still sends is thrown away, so that its end is seen.
        let mut rest = [0; 512];
        let ended = self.poll_for(CLOSE_NS, |socket, waker| {
            while socket.can_recv() && socket.recv_slice(&mut rest).is_ok() {}
            if matches!(socket.state(), State::Closed | State::TimeWait) {
                return Poll::Ready(Ok(()));
            }
            socket.register_recv_waker(waker);
            socket.register_send_waker(waker);
            Poll::Pending
        });
        // Where the other side has all of it, and our end, a reset would only take away what it has
        // not read yet. It hears of the rest when it says something.
        if ended.await.is_err() && self.with(|socket| socket.state() != State::FinWait2) {
            self.abort();
        }
    }

    /// Breaks off, and has said so when it returns.
    pub fn abort(&self) {
        self.with(tcp::Socket::abort);
        self.network.poll();
        // What else came of that is the network's task's.
        self.network.wake();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let old = self.network.with(|stack| stack.sockets.remove(self.handle));
        drop(old);
    }
}
