//! Random sequences of calls, each the same for the same seed: sessions of every algorithm opened,
//! closed and dropped in any order; requests in every form, awaited, dropped before or after the
//! device has them, kept for later or forgotten; wrong lengths; batches; recoveries in the middle.
//!
//! Whatever a sequence does, results equal the software's, errors are those that the call's own
//! documentation names, buffers come back, and afterwards the device serves a request.

use alloc::{boxed::Box, rc::Rc, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use virtio_crypto::{
    Cipher, CipherAlgorithm, Device, Direction, DmaBuffer, Error, Failed, Platform, Refusal,
    RsaHash, RsaPrivateKey, RsaSigner,
};

use super::{oracle, random::Random};

/// What has been done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Calls made.
    pub calls: u64,
    /// Calls that ended well.
    pub answered: u64,
    /// Calls that ended with the error that they had to end with.
    pub refused: u64,
    /// Futures dropped before their end.
    pub dropped: u64,
    /// Futures forgotten before their end: what they had stays taken.
    pub forgotten: u64,
    /// Resets in the middle.
    pub recoveries: u64,
}

impl Outcome {
    /// Adds another sequence's.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.refused += other.refused;
        self.dropped += other.dropped;
        self.forgotten += other.forgotten;
        self.recoveries += other.recoveries;
    }
}

/// A key, a digest and their signature.
const RSA_KEY: &[u8] = include_bytes!("../../../driver/testdata/rsa/1024.pkcs1.der");
const RSA_DIGEST: [u8; 32] = [
    0x05, 0xf7, 0xe7, 0x85, 0x54, 0xce, 0xad, 0x21, 0xc5, 0x6d, 0x2e, 0x73, 0x0a, 0x0c, 0x97, 0x2c,
    0x8a, 0x2c, 0x86, 0xb3, 0xb5, 0x39, 0xab, 0xd3, 0xe4, 0x94, 0xed, 0x61, 0x83, 0x88, 0x1f, 0x3e,
];
const RSA_SIGNATURE: &[u8] = include_bytes!("../../../driver/testdata/rsa/1024.sha256.sig");

/// A session and what it was opened with.
struct Open<P: Platform> {
    cipher: Cipher<P>,
    key: Vec<u8>,
    /// Which of the device's lives it is of.
    life: u64,
}

/// What all calls of a sequence share.
struct World<'d, P: Platform> {
    device: &'d Device<P>,
    sessions: RefCell<Vec<Rc<Open<P>>>>,
    /// Counts resets.
    life: Cell<u64>,
    answered: Cell<u64>,
    refused: Cell<u64>,
}

type Call<'w> = Pin<Box<dyn Future<Output = ()> + 'w>>;

/// The form of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Slice,
    InPlace,
    Try,
    Into,
    List,
}

const FORMS: [Form; 5] = [
    Form::Slice,
    Form::InPlace,
    Form::Try,
    Form::Into,
    Form::List,
];

/// What is sent, right or wrong.
#[derive(Debug)]
struct Request {
    form: Form,
    iv: Vec<u8>,
    parts: Vec<Vec<u8>>,
    destination_len_bytes: usize,
    /// All lengths are what they have to be.
    valid: bool,
}

/// Longest data of a request in blocks.
const MAX_BLOCKS: usize = 256;

impl Request {
    fn random(random: &mut Random, algorithm: CipherAlgorithm) -> Self {
        let block = algorithm.block_len_bytes();
        let blocks = match random.below(8) {
            0 => 1 + random.below(MAX_BLOCKS),
            _ => 1 + random.below(8),
        };
        let mut data = random.bytes(blocks * block);
        let mut request = Self {
            form: random.one_of(&FORMS),
            iv: random.bytes(algorithm.iv_len_bytes()),
            parts: Vec::new(),
            destination_len_bytes: data.len(),
            valid: true,
        };
        // One in six is wrong in one way.
        match random.below(30) {
            0 => data.clear(),
            1 if algorithm.granule_len_bytes() > 1 => {
                data.pop();
            }
            2 => request.iv.push(0),
            3 if !request.iv.is_empty() => {
                request.iv.pop();
            }
            4 if request.form == Form::Into => request.destination_len_bytes += block,
            _ => {}
        }
        let right_len = data.len() == blocks * block;
        request.valid = right_len && request.iv.len() == algorithm.iv_len_bytes();
        if request.form == Form::Into {
            request.valid &= request.destination_len_bytes == data.len();
        }
        if request.form == Form::List {
            // Cut anywhere; now and then a part is empty, or there are too many.
            let parts = random.one_of(&[0, 1, 2, 3, 7, 8]);
            for _ in 0..parts {
                let cut = match random.below(20) {
                    0 => 0,
                    _ => 1 + random.below(data.len().max(1)),
                };
                let rest = data.split_off(cut.min(data.len()));
                request.parts.push(core::mem::replace(&mut data, rest));
            }
            if !data.is_empty() {
                request.parts.push(data);
            }
            request.valid &= request.parts.iter().all(|part| !part.is_empty());
        } else {
            request.parts.push(data);
        }
        request
    }

    fn data(&self) -> Vec<u8> {
        self.parts.concat()
    }

    /// Sends it; what comes back of the buffers, with an error or without.
    async fn send<P: Platform>(&self, cipher: &Cipher<P>) -> (Result<(), Error>, Option<Vec<u8>>) {
        let buffer = |bytes: &[u8]| DmaBuffer::from_slice(bytes).unwrap();
        let iv = &self.iv;
        match self.form {
            Form::Slice => {
                let mut data = self.data();
                (cipher.process_slice(iv, &mut data).await, Some(data))
            }
            Form::InPlace | Form::Try => {
                let given = buffer(&self.data());
                let outcome = match self.form {
                    Form::Try => cipher.try_process(iv, given).await,
                    _ => cipher.process(iv, given).await,
                };
                judge(outcome, |buffer| buffer.to_vec())
            }
            Form::Into => {
                let source = buffer(&self.data());
                let destination = DmaBuffer::new(self.destination_len_bytes).unwrap();
                match cipher.process_into(iv, source, destination).await {
                    Ok((source, destination)) => {
                        assert_eq!(source[..], self.data(), "the source has changed");
                        (Ok(()), Some(destination.to_vec()))
                    }
                    Err(failed) => judge(Err(failed), |(source, _): (DmaBuffer<P>, _)| {
                        source.to_vec()
                    }),
                }
            }
            Form::List => {
                let given = self.parts.iter().map(|part| buffer(part)).collect();
                judge(cipher.process_list(iv, given).await, |buffers| {
                    buffers.iter().flat_map(|buffer| buffer.to_vec()).collect()
                })
            }
        }
    }
}

fn judge<T>(
    outcome: Result<T, Failed<T>>,
    bytes: impl Fn(T) -> Vec<u8>,
) -> (Result<(), Error>, Option<Vec<u8>>) {
    match outcome {
        Ok(given) => (Ok(()), Some(bytes(given))),
        Err(Failed {
            error, returned, ..
        }) => (Err(error), returned.map(bytes)),
    }
}

impl<P: Platform> World<'_, P> {
    fn count(&self, outcome: Result<(), Error>) {
        let counter = if outcome.is_ok() {
            &self.answered
        } else {
            &self.refused
        };
        counter.set(counter.get() + 1);
    }

    /// Opens a session, with a key that is too short if `valid` says so.
    async fn open(
        &self,
        algorithm: CipherAlgorithm,
        direction: Direction,
        key: Vec<u8>,
        valid: bool,
    ) {
        let life = self.life.get();
        let outcome = Cipher::open(self.device, algorithm, direction, &key).await;
        self.count(outcome.as_ref().map(|_| ()).map_err(|error| *error));
        match outcome {
            Ok(cipher) => {
                assert!(valid, "{algorithm:?} with a key of {} bytes", key.len());
                self.sessions
                    .borrow_mut()
                    .push(Rc::new(Open { cipher, key, life }));
            }
            Err(Error::InvalidLength { .. }) => assert!(!valid, "{algorithm:?}, {}", key.len()),
            Err(Error::ShutDown) => assert_ne!(life, self.life.get()),
            Err(error) => panic!("{algorithm:?}: {error}"),
        }
    }

    async fn close(&self, open: Open<P>) {
        let outcome = open.cipher.close().await;
        self.count(outcome);
        match outcome {
            Ok(()) => {}
            Err(Error::ShutDown) => assert_ne!(open.life, self.life.get()),
            Err(error) => panic!("close: {error}"),
        }
    }

    /// A short life of another service's session: opened, used, closed.
    async fn sign(&self) {
        let life = self.life.get();
        let key = RsaPrivateKey::from_pkcs1_der(RSA_KEY).unwrap();
        let outcome = async {
            let signer = RsaSigner::open(self.device, &key, RsaHash::Sha256).await?;
            let signature = signer.sign(&RSA_DIGEST).await?;
            assert_eq!(signature.as_ref(), RSA_SIGNATURE);
            signer.close().await
        };
        let outcome = outcome.await;
        self.count(outcome);
        match outcome {
            // Some devices open the session and have no such operation.
            Ok(()) | Err(Error::Refused(Refusal::NotSupported)) => {}
            Err(Error::ShutDown) => assert_ne!(life, self.life.get()),
            Err(error) => panic!("sign: {error}"),
        }
    }

    /// Sends a request and checks what becomes of it.
    async fn request(&self, open: Rc<Open<P>>, request: Request) {
        let (outcome, returned) = request.send(&open.cipher).await;
        self.count(outcome);
        let returned = returned.expect("the buffers come back");
        let mut expected = request.data();
        match outcome {
            Ok(()) => {
                assert!(request.valid, "accepted: {request:?}");
                let (algorithm, direction) = (open.cipher.algorithm(), open.cipher.direction());
                oracle::transform(algorithm, direction, &open.key, &request.iv, &mut expected);
            }
            Err(Error::InvalidLength { .. }) => assert!(!request.valid, "refused: {request:?}"),
            Err(Error::TooManyBuffers { max, .. }) => assert!(2 + 2 * request.parts.len() > max),
            Err(Error::QueueFull) => assert_eq!(request.form, Form::Try),
            Err(Error::ShutDown) => assert_ne!(open.life, self.life.get()),
            Err(error) => panic!("{error}: {request:?}"),
        }
        assert!(
            returned == expected,
            "{outcome:?}, another result: {request:?}"
        );
    }
}

fn poll_once(call: &mut Call<'_>) -> bool {
    call.as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// Makes calls at random.
struct Player<'w, 'd, P: Platform> {
    world: &'w World<'d, P>,
    random: Random,
    /// Calls that are polled while others are awaited.
    later: Vec<Call<'w>>,
    /// Futures that may still be forgotten.
    may_forget: u64,
    outcome: Outcome,
}

impl<'w, P: Platform> Player<'w, '_, P> {
    /// Polls calls to their end, and those kept for later beside them.
    async fn finish(&mut self, mut calls: Vec<Call<'w>>) {
        let later = &mut self.later;
        let all = poll_fn(|context| {
            later.retain_mut(|call| call.as_mut().poll(context).is_pending());
            calls.retain_mut(|call| call.as_mut().poll(context).is_pending());
            if calls.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        if self.random.below(3) == 0 {
            self.world.device.batch(all).await;
        } else {
            all.await;
        }
    }

    /// Awaits a call, drops it at some point, keeps it or forgets it.
    async fn play(&mut self, mut call: Call<'w>) {
        self.outcome.calls += 1;
        match self.random.below(10) {
            0 => self.outcome.dropped += 1,
            1 | 2 => {
                let polls = 1 + self.random.below(3);
                let ended = (0..polls).any(|_| poll_once(&mut call));
                self.outcome.dropped += u64::from(!ended);
            }
            3 | 4 => {
                if !poll_once(&mut call) {
                    self.later.push(call);
                }
            }
            5..=8 if self.may_forget > 0 => {
                if !poll_once(&mut call) {
                    self.may_forget -= 1;
                    self.outcome.forgotten += 1;
                    core::mem::forget(call);
                }
            }
            _ => self.finish(Vec::from([call])).await,
        }
    }

    fn open(&mut self) -> Call<'w> {
        let algorithm = self.random.one_of(&oracle::ALGORITHMS);
        let direction = self
            .random
            .one_of(&[Direction::Encrypt, Direction::Decrypt]);
        let lens = algorithm.key_lens_bytes();
        let len_bytes = *lens[self.random.below(lens.len())].start();
        let mut key = self.random.bytes(len_bytes);
        let valid = self.random.below(12) > 0;
        if !valid {
            key.truncate(self.random.below(len_bytes.min(16)));
        }
        Box::pin(self.world.open(algorithm, direction, key, valid))
    }

    fn sign(&mut self) -> Call<'w> {
        Box::pin(self.world.sign())
    }

    fn some_session(&mut self) -> Option<Rc<Open<P>>> {
        let sessions = self.world.sessions.borrow();
        let count = sessions.len();
        (count > 0).then(|| sessions[self.random.below(count)].clone())
    }

    fn take_session(&mut self) -> Option<Rc<Open<P>>> {
        let mut sessions = self.world.sessions.borrow_mut();
        let count = sessions.len();
        (count > 0).then(|| sessions.swap_remove(self.random.below(count)))
    }

    fn request(&mut self) -> Option<Call<'w>> {
        let open = self.some_session()?;
        let request = Request::random(&mut self.random, open.cipher.algorithm());
        Some(Box::pin(self.world.request(open, request)))
    }

    fn close(&mut self) -> Option<Call<'w>> {
        // Where a request still has it, it is dropped, which ends it as well.
        let open = Rc::into_inner(self.take_session()?)?;
        Some(Box::pin(self.world.close(open)))
    }

    fn recover(&mut self) {
        let drained = self.world.device.recover(2_000_000_000).unwrap();
        assert_eq!(drained.in_flight, 0, "given up at a recovery");
        self.world.life.set(self.world.life.get() + 1);
        self.outcome.recoveries += 1;
    }

    /// What kills a device that meets the requests under another session's id.
    async fn orphans_then_another_session(&mut self) {
        for _ in 0..1 + self.random.below(4) {
            let Some(mut call) = self.request() else {
                return;
            };
            self.outcome.calls += 1;
            self.outcome.dropped += u64::from(!poll_once(&mut call));
        }
        let sessions = self.world.sessions.take();
        drop(sessions);
        if self.random.below(2) == 0 {
            let sign = self.sign();
            return self.play(sign).await;
        }
        self.outcome.calls += 1;
        let open = self.open();
        self.finish(Vec::from([open])).await;
        if let Some(call) = self.request() {
            self.outcome.calls += 1;
            self.finish(Vec::from([call])).await;
        }
    }

    async fn step(&mut self) {
        let call = match self.random.below(100) {
            0..14 => Some(self.open()),
            14..17 => Some(self.sign()),
            17..60 => self.request(),
            60..66 => self.close(),
            66..72 => {
                drop(self.take_session());
                None
            }
            72..80 => {
                let count = self.random.below(12);
                let calls: Vec<_> = (0..count).filter_map(|_| self.request()).collect();
                self.outcome.calls += calls.len() as u64;
                self.finish(calls).await;
                None
            }
            80..88 => {
                self.orphans_then_another_session().await;
                None
            }
            88..94 => {
                if !self.later.is_empty() {
                    let position = self.random.below(self.later.len());
                    drop(self.later.swap_remove(position));
                    self.outcome.dropped += 1;
                }
                None
            }
            94..97 => {
                self.later.retain_mut(|call| !poll_once(call));
                None
            }
            97 => {
                self.world.device.settle();
                None
            }
            _ => {
                self.world.device.poll();
                None
            }
        };
        if let Some(call) = call {
            self.play(call).await;
        }
    }
}

/// Runs the sequence of a seed, and one request more. Afterwards nothing is open or in flight, and
/// nothing taken unless something was forgotten.
///
/// # Panics
///
/// When anything is not as it has to be.
pub async fn run<P: Platform>(device: &Device<P>, seed: u64) -> Outcome {
    let world = World {
        device,
        sessions: RefCell::default(),
        life: Cell::new(0),
        answered: Cell::new(0),
        refused: Cell::new(0),
    };
    let mut random = Random::new(seed);
    let recovers = random.below(40) == 0;
    // What it costs stays taken: a slot, and the memory of a whole life of the device.
    let forgets = random.below(150) == 0;
    let mut player = Player {
        world: &world,
        random,
        later: Vec::new(),
        may_forget: u64::from(forgets),
        outcome: Outcome::default(),
    };
    for _ in 0..8 + player.random.below(40) {
        player.step().await;
        if recovers && player.random.below(8) == 0 {
            player.recover();
        }
    }
    if player.random.below(2) == 0 {
        let later = core::mem::take(&mut player.later);
        player.finish(later).await;
    }
    player.outcome.dropped += player.later.len() as u64;
    player.later.clear();
    world.sessions.take();
    if recovers || forgets {
        // What sessions from before a reset, and forgotten calls, have kept.
        player.recover();
    }
    still_works(&world).await;
    Outcome {
        answered: world.answered.get(),
        refused: world.refused.get(),
        ..player.outcome
    }
}

/// Checks that the device serves a request.
async fn still_works<P: Platform>(world: &World<'_, P>) {
    let (key, algorithm) = ([0x2b; 16], CipherAlgorithm::AesCbc);
    let session = Cipher::open(world.device, algorithm, Direction::Encrypt, &key);
    let session = session.await.expect("the device opens a session");
    let (mut data, mut expected) = ([7; 32], [7; 32]);
    session
        .process_slice(&key, &mut data)
        .await
        .expect("the device serves a request");
    oracle::transform(algorithm, Direction::Encrypt, &key, &key, &mut expected);
    assert_eq!(data, expected);
    session.close().await.expect("the device ends a session");
}
