//! The bytes of an execution, read from both ends.
//!
//! What is called comes from the front; what the device does meanwhile comes from the back. So a
//! change of the one leaves the other as it was, and what is learned by a fuzzer stays learned.

/// The bytes that are left.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    front: usize,
    back: usize,
}

impl Input {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            front: 0,
            back: bytes.len(),
        }
    }

    /// Tells whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.front >= self.back
    }

    /// Returns the next byte of what is called; 0 where nothing is left.
    pub(crate) fn byte(&mut self) -> u8 {
        if self.is_over() {
            return 0;
        }
        self.front += 1;
        self.bytes[self.front - 1]
    }

    /// Returns the next byte of what happens meanwhile.
    pub(crate) fn meanwhile(&mut self) -> Option<u8> {
        if self.is_over() {
            return None;
        }
        self.back -= 1;
        Some(self.bytes[self.back])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_meet() {
        let mut input = Input::new(&[1, 2, 3]);
        assert_eq!((input.byte(), input.meanwhile()), (1, Some(3)));
        assert!(!input.is_over());
        assert_eq!((input.meanwhile(), input.byte()), (Some(2), 0));
        assert!(input.is_over() && input.meanwhile().is_none());
    }
}
