//! What becomes of a device between its set-up and its end, event by event.

use alloc::boxed::Box;
use core::{pin::Pin, task::Poll};

use crate::{
    Breakage, Cipher, Direction, Error,
    fake::{FakePlatform, IV, Rig, poll_once},
};

type Request<'s> = Pin<Box<dyn Future<Output = Result<(), Error>> + 's>>;

fn request(session: &Cipher<FakePlatform>) -> Request<'_> {
    let mut request: Request<'_> = Box::pin(async move {
        let mut data = [1; 16];
        session.process_slice(&IV, &mut data).await
    });
    assert!(poll_once(request.as_mut()).is_pending());
    request
}

#[test]
fn device_that_is_silent_is_found_out_by_a_look() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = request(&session);
    assert_eq!(rig.device.check(), Ok(()));
    // It asks for a reset, and its interrupt does not arrive.
    rig.fake.need_reset();
    assert!(poll_once(request.as_mut()).is_pending());
    let broken = Error::Broken(Breakage::NeedsReset);
    assert_eq!(rig.device.check(), Err(broken));
    assert_eq!(poll_once(request.as_mut()), Poll::Ready(Err(broken)));
    let [reads, writes, _] = rig.fake.accesses();
    assert_eq!(rig.device.check(), Err(broken), "and says so again");
    let [reads_after, writes_after, _] = rig.fake.accesses();
    assert_eq!((reads_after, writes_after), (reads + 1, writes));
}
