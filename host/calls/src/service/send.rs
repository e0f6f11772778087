//! A request on its way: sent in its form, judged when it is back.
//!
//! Judged here is what no device may change: an error is followed by nothing of an answer, and a
//! buffer is as it was or wiped.

use virtio_crypto::{ChainInput, DmaBuffer, Error, Failed};

use super::{
    expected::Expected,
    opened::Opened,
    public,
    request::{Form, Request},
    spec::Spec,
};
use crate::machine::{self, kernel::Kernel};

pub(crate) type Buffer = DmaBuffer<Kernel>;

/// What has become of a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) outcome: Result<(), Error>,
    /// Outcome and result are what an honest device's are.
    pub(crate) is_right: bool,
    /// Buffers that came back.
    pub(crate) buffers: Vec<Buffer>,
}

/// Makes a buffer for a request; without memory for it the request is over.
macro_rules! give {
    ($bytes:expr) => {
        match Buffer::from_slice($bytes) {
            Ok(buffer) => buffer,
            Err(error) => return Reply::of(Err(error)),
        }
    };
}

/// Makes the buffers of a list.
macro_rules! give_list {
    ($request:expr, $bytes:expr) => {{
        let mut buffers = Vec::new();
        for part in $request.parts($bytes) {
            buffers.push(give!(part));
        }
        buffers
    }};
}

/// Sends data in any form by the methods that there are for each.
macro_rules! forms {
    ($request:expr, $input:expr, $slice:expr, $session:expr,
     [$in_slice:ident, $one:ident, $try_one:ident, $list:ident],
     ($($before:expr),*), ($($after:expr),*)) => {
        match $request.form {
            Form::Slice => {
                let sent = $session.$in_slice($($before,)* &mut $slice[..], $($after),*);
                (sent.await, None)
            }
            Form::Try => held($session.$try_one($($before,)* give!($input), $($after),*).await),
            Form::List => {
                let list = give_list!($request, $input);
                held($session.$list($($before,)* list, $($after),*).await)
            }
            Form::One | Form::Into => {
                held($session.$one($($before,)* give!($input), $($after),*).await)
            }
        }
    };
}

/// What a caller gave.
trait Given {
    fn into_list(self) -> Vec<Buffer>;
}

impl Given for Buffer {
    fn into_list(self) -> Vec<Buffer> {
        vec![self]
    }
}

impl Given for Vec<Buffer> {
    fn into_list(self) -> Vec<Buffer> {
        self
    }
}

impl Given for (Buffer, Buffer) {
    fn into_list(self) -> Vec<Buffer> {
        vec![self.0, self.1]
    }
}

/// What came back of what a caller gave.
type Back = (Result<(), Error>, Option<Vec<Buffer>>);

fn held<G: Given>(outcome: Result<G, Failed<G>>) -> Back {
    let (outcome, back) = match outcome {
        Ok(given) => (Ok(()), Some(given)),
        Err(Failed {
            error, returned, ..
        }) => (Err(error), returned),
    };
    let back = back.map(Given::into_list);
    back.iter().flatten().for_each(machine::is_back);
    // What the device may still have comes with the end of the device, or of its queue.
    let may_be_kept = matches!(
        outcome,
        Err(Error::Broken(_) | Error::ShutDown | Error::QueueReset)
    );
    assert!(back.is_some() || may_be_kept, "{outcome:?} without buffers");
    (outcome, back)
}

impl Request {
    /// Sends it, and judges what no device may change: nothing half is given back.
    pub(crate) async fn send(&self, opened: &Opened, spec: &Spec) -> Reply {
        let expected = Expected::of(spec, self);
        let Expected { input, tag, .. } = &expected;
        let mut slice = input.clone();
        let mut result = vec![0xee; expected.result_len(spec)];
        let fresh = result.clone();
        let (outcome, given) = match opened {
            Opened::Cipher(cipher) => match self.form {
                Form::Slice => (cipher.process_slice(self.iv, &mut slice).await, None),
                Form::One => held(cipher.process(self.iv, give!(input)).await),
                Form::Try => held(cipher.try_process(self.iv, give!(input)).await),
                Form::List => held(cipher.process_list(self.iv, give_list!(self, input)).await),
                Form::Into => {
                    let (source, destination) = (give!(input), give!(&slice));
                    held(cipher.process_into(self.iv, source, destination).await)
                }
            },
            Opened::Hash(hash) => forms!(
                self,
                input,
                slice,
                hash,
                [digest_slice, digest, try_digest, digest_list],
                (),
                (&mut result)
            ),
            Opened::Mac(mac) if self.is_verified => forms!(
                self,
                input,
                slice,
                mac,
                [verify_slice, verify, verify, verify_list],
                (),
                (tag)
            ),
            Opened::Mac(mac) => forms!(
                self,
                input,
                slice,
                mac,
                [tag_slice, tag, try_tag, tag_list],
                (),
                (&mut result)
            ),
            Opened::Seal(seal) => forms!(
                self,
                input,
                slice,
                seal,
                [encrypt_slice, encrypt, try_encrypt, encrypt_list],
                (self.iv, self.aad),
                (&mut result)
            ),
            Opened::Unseal(unseal) => forms!(
                self,
                input,
                slice,
                unseal,
                [decrypt_slice, decrypt, try_decrypt, decrypt_list],
                (self.iv, self.aad),
                (tag)
            ),
            Opened::Chain(chain) => {
                let chained = ChainInput {
                    iv: self.iv,
                    aad: self.aad,
                    cipher: self.ciphered.clone(),
                    hash: self.hashed.clone(),
                };
                forms!(
                    self,
                    input,
                    slice,
                    chain,
                    [process_slice, process, try_process, process_list],
                    (chained),
                    (&mut result)
                )
            }
            public => return Reply::of_public(public::send(public, self.is_forged).await),
        };
        let sent = (&slice[..], &result[..], &fresh[..]);
        Reply::judge(&expected, self.form, outcome, given, sent)
    }

    /// Cuts data for a list.
    fn parts<'d>(&self, mut data: &'d [u8]) -> Vec<&'d [u8]> {
        let mut parts = Vec::new();
        let mut from = 0;
        for cut in self.cuts {
            let len_bytes = usize::saturating_sub(cut, from);
            let (part, rest) = data.split_at(len_bytes.min(data.len()));
            (data, from) = (rest, cut.max(from));
            // One that is empty is refused, so the first is left where there is no other.
            if !part.is_empty() || (parts.is_empty() && rest.is_empty()) {
                parts.push(part);
            }
        }
        if !data.is_empty() {
            parts.push(data);
        }
        parts
    }
}

impl Reply {
    fn of(outcome: Result<(), Error>) -> Self {
        Self {
            outcome,
            is_right: false,
            buffers: Vec::new(),
        }
    }

    fn of_public((outcome, is_right): (Result<(), Error>, bool)) -> Self {
        Self {
            is_right,
            ..Self::of(outcome)
        }
    }

    /// Judges what came back.
    fn judge(
        expected: &Expected,
        form: Form,
        outcome: Result<(), Error>,
        back: Option<Vec<Buffer>>,
        (slice, result, fresh): (&[u8], &[u8], &[u8]),
    ) -> Self {
        let Expected { input, output, .. } = expected;
        let is_slice = back.is_none();
        let buffers = back.unwrap_or_default();
        if outcome.is_err() {
            assert!(*result == *fresh, "{outcome:?} and a result");
            assert!(*slice == **input, "{outcome:?} and the data has changed");
            let mut rest = &input[..];
            for (position, buffer) in buffers.iter().enumerate() {
                let is_destination = form == Form::Into && position == 1;
                let was = if is_destination { slice } else { rest };
                let was = &was[..buffer.len().min(was.len())];
                let is_wiped = buffer.iter().all(|byte| *byte == 0);
                assert!(
                    **buffer == *was || is_wiped,
                    "{outcome:?} and half an answer in buffer {position}"
                );
                rest = &rest[was.len().min(rest.len())..];
            }
            return Self {
                outcome,
                is_right: outcome == expected.outcome,
                buffers,
            };
        }
        let got = match (is_slice, form) {
            (true, _) => slice.to_vec(),
            (false, Form::Into) => buffers.last().expect("a destination").to_vec(),
            (false, _) => buffers.iter().flat_map(|buffer| buffer.to_vec()).collect(),
        };
        let is_right = expected.outcome.is_ok() && got == *output && *result == *expected.result;
        Self {
            outcome,
            is_right,
            buffers,
        }
    }
}
