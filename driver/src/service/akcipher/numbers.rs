//! Big-endian numbers of keys: their lengths, and the little arithmetic that checking them takes.

use subtle::{
    Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater, ConstantTimeLess,
};
use zeroize::Zeroizing;

/// Longest modulus in bytes: no number of a key is longer.
pub(super) const MAX_MODULUS_LEN: usize = 512;

/// Reads hexadecimal digits when the driver is compiled.
pub(crate) const fn hex<const LEN: usize>(digits: &str) -> [u8; LEN] {
    const fn value(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("no digit"),
        }
    }
    let digits = digits.as_bytes();
    assert!(digits.len() == 2 * LEN);
    let mut bytes = [0; LEN];
    let mut at = 0;
    while at < LEN {
        bytes[at] = value(digits[2 * at]) << 4 | value(digits[2 * at + 1]);
        at += 1;
    }
    bytes
}

/// Returns the bits of a number without leading zero bytes.
pub(super) fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros());
    8 * number.len() - unused as usize
}

pub(super) fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

pub(super) fn is_zero(number: &[u8]) -> bool {
    number.iter().all(|byte| *byte == 0)
}

/// Tells whether a number without leading zero bytes is above 0 and below `limit`, in a time that
/// the lengths alone decide.
pub(super) fn is_in_range(number: &[u8], limit: &[u8]) -> bool {
    if number.len() > limit.len() {
        return false;
    }
    // From the last digit to the first: the first that differs decides.
    let (mut is_below, mut is_above_zero) = (Choice::from(0), Choice::from(0));
    let digits = number.iter().rev().chain(core::iter::repeat(&0));
    for (digit, limit) in digits.zip(limit.iter().rev()) {
        let is_other = !digit.ct_eq(limit);
        is_below.conditional_assign(&digit.ct_lt(limit), is_other);
        is_above_zero |= digit.ct_gt(&0);
    }
    (is_below & is_above_zero).into()
}

/// Tells whether `p` times `q` is `n`, in a time that the lengths alone decide.
pub(super) fn is_product(p: &[u8], q: &[u8], n: &[u8]) -> bool {
    // Little-endian. A product has the bytes of both factors, or one less.
    let mut product = Zeroizing::new([0u8; MAX_MODULUS_LEN + 1]);
    let Some(room) = product.get_mut(..p.len() + q.len()) else {
        return false;
    };
    for (shift, a) in p.iter().rev().enumerate() {
        let mut carry = 0;
        let row = &mut room[shift..];
        for (digit, b) in row.iter_mut().zip(q.iter().rev().chain(&[0])) {
            let sum = u32::from(*digit) + u32::from(*a) * u32::from(*b) + carry;
            *digit = sum as u8;
            carry = sum >> 8;
        }
    }
    room.len() >= n.len()
        && room
            .iter()
            .zip(n.iter().rev().chain(core::iter::repeat(&0)))
            .all(|(a, b)| a == b)
}

/// Multiplies a number in place by one so small that the product has no more bytes.
pub(super) fn multiply(number: &mut [u8], factor: u8) {
    let mut carry = 0;
    for digit in number.iter_mut().rev() {
        let sum = u16::from(*digit) * u16::from(factor) + carry;
        *digit = sum as u8;
        carry = sum >> 8;
    }
    debug_assert_eq!(carry, 0);
}

/// Takes a multiple of `modulus` away from a number of the same length, until it is below. Both are
/// public, and `modulus` has no leading zero byte.
pub(super) fn reduce(number: &mut [u8], modulus: &[u8]) {
    debug_assert_eq!(number.len(), modulus.len());
    // The quotient has eight bits.
    for shift in (0..8u32).rev() {
        // What the shift brings out in front makes the multiple the larger one.
        if u16::from(modulus.first().copied().unwrap_or(0)) << shift > 0xff {
            continue;
        }
        // A digit of the multiple: with what the digit behind it shifts in.
        let multiple = |at: usize| {
            let behind = modulus.get(at + 1).copied().unwrap_or(0);
            (u16::from_be_bytes([modulus[at], behind]) << shift >> 8) as u8
        };
        if !number.iter().copied().ge((0..modulus.len()).map(multiple)) {
            continue;
        }
        let mut borrow = 0;
        for (at, digit) in number.iter_mut().enumerate().rev() {
            let difference = i16::from(*digit) - i16::from(multiple(at)) - borrow;
            *digit = difference as u8;
            borrow = i16::from(difference < 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::times;

    #[test]
    fn products_are_compared_whole() {
        assert!(is_product(
            &[0xff, 0xff],
            &[0xff, 0xff],
            &[0xff, 0xfe, 0, 1]
        ));
        assert!(is_product(&[3], &[5], &[15]));
        assert!(!is_product(&[3], &[5], &[1, 15]));
        assert!(!is_product(&[3, 1], &[5], &[5]));
        assert!(!is_product(&[0xff; 300], &[0xff; 300], &[0xff; 512]));
    }

    #[test]
    fn ranges_end_below_their_limit() {
        for limit in [0x0100u16, 0x0102, 0x7f00, 0xff01] {
            for number in
                (0..=u16::MAX)
                    .step_by(times(17, 4099))
                    .chain([1, limit - 1, limit, limit + 1])
            {
                let is = is_in_range(&number.to_be_bytes(), &limit.to_be_bytes());
                assert_eq!(is, number > 0 && number < limit, "{number} {limit}");
            }
        }
        assert!(is_in_range(&[0xff], &[1, 0]));
        assert!(!is_in_range(&[], &[1, 0]));
        assert!(!is_in_range(&[0, 0, 1], &[1, 0]));
    }

    #[test]
    fn multiples_are_taken_away() {
        for modulus in [0x0101u16, 0x0123, 0x01ff, 0x0203, 0x7fff, 0x8001, 0xffff] {
            for number in (0..=u16::MAX)
                .step_by(times(7, 4099))
                .chain([modulus, u16::MAX])
            {
                let mut bytes = number.to_be_bytes();
                reduce(&mut bytes, &modulus.to_be_bytes());
                assert_eq!(u16::from_be_bytes(bytes), number % modulus);
            }
        }
        let mut number = [0, 3, 0xff];
        multiply(&mut number, 201);
        assert_eq!(number, [3, 0x23, 0x37]);
    }
}
