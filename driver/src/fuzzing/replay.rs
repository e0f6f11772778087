//! What the tests of every target do: replay its corpus, and inputs that look random.

use std::{fs, path::Path, println};

use alloc::{format, string::String, vec::Vec};

use crate::fake::{Random, times};

/// Runs a target on each file of its corpus. The driver's folder may stand alone, without any.
pub(super) fn corpus(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/fuzz/corpus");
    if !corpus.exists() {
        return;
    }
    let files = fs::read_dir(corpus.join(target)).expect("the corpus of the target");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let input = fs::read(&file).expect("an input");
        tell_at_panic(format!("{}", file.display()), || run(&input));
    }
}

/// Runs a target on so many inputs that look random, of so many bytes at most.
pub(super) fn random(run: fn(&[u8]), count: u64, max_len_bytes: usize) {
    for seed in 0..times(count, count / 300) {
        let mut random = Random::new(seed);
        let len_bytes = random.below(max_len_bytes + 1);
        let mut input = Vec::new();
        // A byte is often small or that of before: both mean something to a target.
        for _ in 0..len_bytes {
            let byte = random.next() as u8;
            input.push(match random.below(4) {
                0 => byte % 8,
                1 => input.last().copied().unwrap_or(byte),
                _ => byte,
            });
        }
        tell_at_panic(format!("seed {seed}"), || run(&input));
    }
}

/// Says which input it was.
fn tell_at_panic(name: String, run: impl FnOnce()) {
    struct Told(String);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("the input: {}", self.0);
            }
        }
    }
    let _told = Told(name);
    run();
}
