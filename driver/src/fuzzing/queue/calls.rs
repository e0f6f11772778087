//! What callers call, and what has to come of it.
//!
//! The one rule: of an honest device every result is right, and no error says that it broke a rule.

use alloc::{rc::Rc, sync::Arc, vec::Vec};
use core::cell::RefCell;

use super::device::transform;
use crate::{
    Error,
    device::Device,
    dma::DmaBuffer,
    fuzzing::machine::Kernel,
    service::cipher::Cipher,
    wire::{CipherAlgorithm, Direction},
};

/// Sessions with the first byte of the key of each.
pub(super) type Sessions = Rc<RefCell<Vec<(u8, Rc<Cipher<Kernel>>)>>>;

/// What a call may end with: of an honest device nothing that says that it broke a rule.
pub(super) fn check_error(error: Option<Error>, is_hostile: bool) {
    let is_expected = is_hostile
        || matches!(
            error,
            None | Some(
                Error::HardwareNotReady
                    | Error::ShutDown
                    | Error::Resetting
                    | Error::QueueReset
                    | Error::TooManySessions { .. }
                    | Error::InvalidLength { .. }
                    | Error::OutOfDeviceMemory { .. }
            )
        );
    assert!(is_expected, "of an honest device: {error:?}");
}

pub(super) async fn open(
    device: Arc<Device<Kernel>>,
    sessions: Sessions,
    key: u8,
    is_hostile: bool,
) {
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let opened = Cipher::open(&device, algorithm, direction, &[key; 16]).await;
    match opened {
        Ok(session) => sessions.borrow_mut().push((key, Rc::new(session))),
        Err(error) => check_error(Some(error), is_hostile),
    }
}

/// Lengths of data: in the slot, in the fast path, in a buffer.
const LENS: [usize; 4] = [16, 64, 256, 1040];

fn data(choice: u8) -> Vec<u8> {
    let len_bytes = LENS[usize::from(choice & 3)];
    (0..len_bytes).map(|at| at as u8 ^ choice).collect()
}

/// Checks the result of an honest device.
fn check_result(key: u8, choice: u8, result: &[u8]) {
    let before = data(choice);
    let expected = before.iter().map(|byte| transform(key, choice, *byte));
    assert!(expected.eq(result.iter().copied()), "a wrong result");
}

pub(super) async fn process_slice(
    (key, session): (u8, Rc<Cipher<Kernel>>),
    choice: u8,
    is_hostile: bool,
) {
    let mut data = data(choice);
    let outcome = session.process_slice(&[choice; 16], &mut data).await;
    match outcome {
        Ok(()) if is_hostile => {}
        Ok(()) => check_result(key, choice, &data),
        Err(error) => {
            assert_eq!(
                data,
                self::data(choice),
                "changed, although it failed: {error}"
            );
            check_error(Some(error), is_hostile);
        }
    }
}

pub(super) async fn process(
    (key, session): (u8, Rc<Cipher<Kernel>>),
    choice: u8,
    is_hostile: bool,
) {
    let Ok(buffer) = DmaBuffer::from_slice(&data(choice)) else {
        return;
    };
    let iv = [choice; 16];
    let outcome = match choice & 4 {
        0 => session.process(&iv, buffer).await,
        _ => session.try_process(&iv, buffer).await,
    };
    match outcome {
        Ok(_) if is_hostile => {}
        Ok(buffer) => check_result(key, choice, &buffer),
        Err(failed) if failed.error == Error::QueueFull => {
            assert_eq!(failed.returned.as_deref(), Some(&data(choice)[..]));
        }
        Err(failed) => check_error(Some(failed.error), is_hostile),
    }
}
