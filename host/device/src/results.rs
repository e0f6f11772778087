//! Results of RSA that are not what they should be, as real devices give them.
//!
//! For drivers, which have to tell by the used length. The one rule: only numbers are changed,
//! never a message that was decrypted.

use crate::wire::header::{KeyOperation, Operation};

/// What becomes of the results of RSA that are numbers: what was encrypted or signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// All of it, as it should be.
    Whole,
    /// As QEMU with nettle does it: as many bytes are missing at the end as the number has zeros at
    /// its beginning.
    Cut,
    /// The zeros at the beginning are left out.
    Stripped,
    /// Always one byte short, zeros or not.
    AlwaysCut,
    /// Signatures have a wrong bit.
    Faulty,
}

impl Results {
    /// Takes away what a device does not give.
    pub fn shorten(self, operation: Operation, mut result: Vec<u8>) -> Vec<u8> {
        let is_signature = operation == Operation::Akcipher(KeyOperation::Sign);
        if !is_signature && operation != Operation::Akcipher(KeyOperation::Encrypt) {
            return result;
        }
        let zeros = result.iter().take_while(|byte| **byte == 0).count();
        match self {
            Self::Whole => {}
            Self::Cut => result.truncate(result.len() - zeros),
            Self::Stripped => drop(result.drain(..zeros)),
            Self::AlwaysCut => drop(result.pop()),
            Self::Faulty if is_signature => {
                result.last_mut().into_iter().for_each(|last| *last ^= 1);
            }
            Self::Faulty => {}
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_what_the_device_does_not_give() {
        let encrypt = Operation::Akcipher(KeyOperation::Encrypt);
        let sign = Operation::Akcipher(KeyOperation::Sign);
        let decrypt = Operation::Akcipher(KeyOperation::Decrypt);
        let number = vec![0, 0, 3, 4];
        let shorten = |results: Results, operation| results.shorten(operation, number.clone());
        assert_eq!(shorten(Results::Whole, sign), [0, 0, 3, 4]);
        assert_eq!(shorten(Results::Cut, sign), [0, 0]);
        assert_eq!(shorten(Results::Stripped, encrypt), [3, 4]);
        assert_eq!(shorten(Results::AlwaysCut, encrypt), [0, 0, 3]);
        assert_eq!(shorten(Results::Faulty, sign), [0, 0, 3, 5]);
        assert_eq!(shorten(Results::Faulty, encrypt), [0, 0, 3, 4]);
        assert_eq!(shorten(Results::AlwaysCut, decrypt), [0, 0, 3, 4]);
    }
}
