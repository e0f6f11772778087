//! The targets on the corpus that is kept, and on inputs that look random.

use std::{fs, panic, path::Path};

use device::random::Random;

/// Returns bytes of a seed, mostly few.
fn input(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let most = [40, 200, 600, 1000][random.below(4)];
    let len_bytes = 1 + random.below(most);
    // Of three, one is calm: less happens at each step.
    let is_calm = random.below(3) == 0;
    let mut byte = || {
        let number = random.number();
        match is_calm && number >> 60 < 6 {
            true => 0,
            false => number as u8,
        }
    };
    (0..len_bytes).map(|_| byte()).collect()
}

/// Plays a target on the corpus of its name, and on the inputs of so many seeds; says which it is
/// that fails.
fn play(name: &str, target: fn(&[u8]), seeds: u64) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let files = fs::read_dir(corpus.join(name)).expect("the corpus of the target");
    let files = files.map(|file| file.expect("a file").path());
    let mut inputs: Vec<_> = files
        .map(|file| {
            (
                file.display().to_string(),
                fs::read(&file).expect("an input"),
            )
        })
        .collect();
    assert!(!inputs.is_empty());
    inputs.extend((0..seeds).map(|seed| (format!("seed {seed}"), input(seed))));
    for (name, input) in inputs {
        let played = panic::catch_unwind(|| target(&input));
        assert!(played.is_ok(), "the input: {name}");
    }
}

#[test]
fn answers_of_the_corpus_and_by_seed() {
    play("answers", crate::answers, 600);
}

#[test]
fn honest_calls_of_the_corpus_and_by_seed() {
    play("calls_honest", crate::calls_honest, 300);
}

#[test]
fn hostile_calls_of_the_corpus_and_by_seed() {
    play("calls_hostile", crate::calls_hostile, 300);
}
