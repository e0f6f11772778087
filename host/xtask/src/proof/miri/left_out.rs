//! The one list of tests that Miri cannot run.
//!
//! The rule: that a test takes long is no reason. It gets a smaller size in Miri.

/// A test that is left out.
#[derive(Debug)]
pub struct LeftOut {
    /// Its name, or enough of it to tell it from others.
    pub test: &'static str,
    pub reason: &'static str,
}

pub const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        test: "memory::tests::stretches_come_and_go_whole",
        reason: "it maps a file into memory, which Miri does not do",
    },
    LeftOut {
        test: "corpus_is_replayed",
        reason: "it reads files, which Miri shows to nobody whose clock is its own",
    },
];

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::LEFT_OUT;
    use crate::{files::files_below, proof::crates::TESTS};

    #[test]
    fn what_is_left_out_is_a_test_and_has_a_reason() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let files = TESTS.map(|tests| files_below(&root.join(tests.folder)).unwrap());
        let texts: Vec<_> = files
            .iter()
            .flatten()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        for left_out in LEFT_OUT {
            let name = left_out.test.rsplit("::").next().unwrap();
            let function = format!("fn {name}()");
            assert!(!left_out.reason.is_empty());
            assert!(texts.iter().any(|text| text.contains(&function)), "{name}");
        }
    }
}
