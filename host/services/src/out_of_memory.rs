//! A heap without room: an error with what the caller gave, and nothing was sent.

use core::{future::Future, pin::Pin, task::Poll};

use virtio_crypto::{
    Cipher, CipherAlgorithm, CipherStream, Direction, DmaBuffer, Error, Failed, Mac, MacAlgorithm,
    join_all,
};

use crate::{
    heap::refuse_above,
    long::{key_of, small, text},
    rig::{FakePlatform, IV, KEY, Rig, Setup, live_pages, poll_once, run},
    ways::How,
};

/// Less than whatever grows with what the caller asks for.
const LIMIT_BYTES: usize = 2000;

/// Polls a future that ends at once while the heap has no room.
fn refused<T, E: Into<Error>>(future: Pin<Box<dyn Future<Output = Result<T, E>> + '_>>) -> E {
    let mut future = future;
    match refuse_above(LIMIT_BYTES, || poll_once(future.as_mut())) {
        Poll::Ready(Err(error)) => error,
        Poll::Ready(Ok(_)) => panic!("there was room"),
        Poll::Pending => panic!("something was sent"),
    }
}

/// Takes what came back from an error for want of room.
fn given<T>(failed: Failed<T>) -> T {
    assert_out_of_memory(failed.error);
    failed.returned.unwrap()
}

fn assert_out_of_memory(error: Error) {
    let asked = |len_bytes| len_bytes > LIMIT_BYTES;
    assert!(
        matches!(error, Error::OutOfMemory { len_bytes } if asked(len_bytes)),
        "{error:?}"
    );
}

fn open(rig: &Rig, algorithm: CipherAlgorithm, direction: Direction) -> Cipher<FakePlatform> {
    let key = key_of(algorithm);
    let mut open = Box::pin(Cipher::open(&rig.device, algorithm, direction, &key));
    match poll_once(open.as_mut()) {
        Poll::Ready(session) => session.unwrap(),
        Poll::Pending => panic!("the device is eager"),
    }
}

/// Of a cipher, and of what is put together of requests.
#[test]
fn batches_and_pieces_come_back() {
    let rig = small(2 * 64 + 89);
    rig.far.be_eager();
    let sent = || rig.device.data_stats().submitted;
    let before = sent();
    let data = text(100 * 64);
    let buffer = || DmaBuffer::from_slice(&data).unwrap();
    for direction in [Direction::Encrypt, Direction::Decrypt] {
        let session = open(&rig, CipherAlgorithm::AesCbc, direction);
        let requests: Vec<_> = (0..100)
            .map(|_| (IV, DmaBuffer::from_slice(&[3; 64]).unwrap()))
            .collect();
        let requests = given(refused(Box::pin(session.process_batch(requests))));
        assert_eq!(requests.len(), 100);
        assert!(
            requests
                .iter()
                .all(|(iv, data)| *iv == IV && data[..] == [3; 64])
        );
        let back = given(refused(Box::pin(session.process_long(&IV, buffer()))));
        assert!(back[..] == data);
        let mut slice = data.clone();
        let error = refused(Box::pin(session.process_slice(&IV, &mut slice)));
        assert_out_of_memory(error);
        let mut stream = CipherStream::new(&session, &IV).unwrap();
        assert_out_of_memory(refused(Box::pin(stream.process(&mut slice))));
        assert!(slice == data);
    }
    let session = open(&rig, CipherAlgorithm::AesXts, Direction::Encrypt);
    let back = given(refused(Box::pin(session.process_units(0, 32, buffer()))));
    assert!(back[..] == data);
    let mut slice = data.clone();
    let units = session.process_units_slice(0, 32, &mut slice);
    assert_out_of_memory(refused(Box::pin(units)));
    assert!(slice == data);
    assert_eq!(sent(), before);
    // With room again, the same goes well.
    assert!(run(session.process_units(0, 32, buffer())).is_ok());
}

#[test]
fn futures_that_are_joined_come_back() {
    let rig = Rig::simple();
    rig.far.be_eager();
    let session = rig.session(Direction::Encrypt);
    let before = rig.device.data_stats().submitted;
    let mut data = vec![[3; 16]; 300];
    let requests = data.iter_mut();
    let requests = requests.map(|data| Box::pin(session.process_slice(&IV, data)));
    let mut joined = Box::pin(join_all(requests.collect()));
    let Poll::Ready(Err(failed)) = refuse_above(LIMIT_BYTES, || poll_once(joined.as_mut())) else {
        panic!("there was room");
    };
    assert_out_of_memory(failed.error);
    let requests = failed.returned.unwrap();
    assert_eq!(requests.len(), 300);
    assert_eq!(rig.device.data_stats().submitted, before);
    let results = run(join_all(requests)).unwrap();
    assert!(results.iter().all(Result::is_ok));
}

#[test]
fn keys_that_are_kept_are_refused() {
    let rig = How::Stateless.rig();
    let key = [KEY; 200].concat();
    let algorithm = MacAlgorithm::HmacSha256;
    let mac = || Mac::stateless(&rig.device, algorithm, &key, 32).map(drop);
    assert_out_of_memory(refuse_above(LIMIT_BYTES, mac).unwrap_err());
    assert_eq!(mac(), Ok(()));
}

#[test]
fn set_up_without_heap_memory_is_an_error() {
    let setup = Setup {
        data_queues: 16,
        queue_size: 1024,
        ..Setup::default()
    };
    let options = Rig::options_with(|options| {
        options.data_slots = 1024;
        options.control_slots = 1024;
        options.sessions = 10_000;
    });
    let alone = Rig::simple();
    let pages = live_pages();
    let mut max_bytes = 4096;
    let mut set_up = || loop {
        let rig = refuse_above(max_bytes, || alone.beside(setup.clone(), options.clone()));
        match rig {
            Ok(rig) => return rig,
            Err(Error::OutOfMemory { len_bytes }) => {
                assert!(len_bytes > max_bytes);
                max_bytes = len_bytes;
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(live_pages(), pages);
    };
    let rig = set_up();
    // A recovery that finds none may be tried again.
    let refused = refuse_above(4096, || rig.device.recover(0)).unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory { .. }), "{refused}");
    assert_eq!(rig.device.ended(), Some(Error::ShutDown));
    rig.device.recover(0).unwrap();
    assert_eq!(rig.device.ended(), None);
}
