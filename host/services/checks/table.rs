//! A table of vectors as bytes, read: what [`convert`](../convert.rs) writes.

/// What should become of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Accepted, with the result that the test says.
    Valid,
    /// Accepted or refused.
    Acceptable,
    /// Refused.
    Invalid,
}

/// Takes a table apart.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'t>(&'t [u8]);

impl<'t> Reader<'t> {
    fn bytes(&mut self, len_bytes: usize) -> &'t [u8] {
        let (bytes, rest) = self.0.split_at(len_bytes);
        self.0 = rest;
        bytes
    }

    fn number<const N: usize>(&mut self) -> usize {
        let bytes: [u8; N] = self.bytes(N).try_into().unwrap();
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn fields<const N: usize>(&mut self) -> [&'t [u8]; N] {
        [(); N].map(|()| {
            let len_bytes = self.number::<2>();
            self.bytes(len_bytes)
        })
    }
}

/// Calls `each` for every test with its group's fields, and returns how many the source says that
/// there are.
pub fn for_each<'t, const GROUP: usize, const TEST: usize>(
    table: &'t [u8],
    mut each: impl FnMut([&'t [u8]; GROUP], usize, Expectation, [&'t [u8]; TEST]),
) -> usize {
    let mut reader = Reader(table);
    let total = reader.number::<4>();
    while !reader.0.is_empty() {
        let tests = reader.number::<2>();
        let group = reader.fields();
        for _ in 0..tests {
            let id = reader.number::<4>();
            let expectation = match reader.number::<1>() {
                0 => Expectation::Valid,
                1 => Expectation::Acceptable,
                _ => Expectation::Invalid,
            };
            each(group, id, expectation, reader.fields());
        }
    }
    total
}
