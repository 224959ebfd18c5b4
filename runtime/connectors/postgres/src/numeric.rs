//! Exact numbers in the server's binary form: groups of four decimal digits around the decimal point.

/// The most decimal digits of a 128-bit number.
const MAX_DIGITS: usize = 39;

/// A decimal number: digits without leading zeros (none: zero), times ten to the minus `scale`.
pub(super) struct Decimal {
    digits: [u8; MAX_DIGITS],
    start: usize,
    negative: bool,
    scale: i32,
}

impl Decimal {
    /// `value * 10^-scale`.
    pub(super) fn new(value: i128, scale: i32) -> Self {
        let (mut digits, mut start, mut rest) = ([0; MAX_DIGITS], MAX_DIGITS, value.unsigned_abs());
        // Division of 128 bits is a call; most numbers need it never.
        while rest > u128::from(u64::MAX) {
            start -= 1;
            digits[start] = (rest % 10) as u8;
            rest /= 10;
        }
        let mut rest = rest as u64;
        while rest > 0 {
            start -= 1;
            digits[start] = (rest % 10) as u8;
            rest /= 10;
        }
        Self { digits, start, negative: value < 0, scale }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[self.start..]
    }

    /// Whether a column of this precision and scale holds it without rounding.
    pub(super) fn fits(&self, precision: i32, scale: i32) -> bool {
        let digits = self.digits();
        let Some(last) = digits.iter().rposition(|&digit| digit != 0) else { return true };
        let lowest = (digits.len() - 1 - last) as i32 - self.scale;
        let highest = digits.len() as i32 - 1 - self.scale;
        lowest >= -scale && highest < precision - scale
    }

    /// Appends its binary form.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        let head = out.len();
        out.extend_from_slice(&[0; 8]);
        let highest = digits.len() as i32 - 1 - self.scale;
        let weight = highest.div_euclid(4);
        let mut group = 0_u16;
        // How many digits the group being filled still takes.
        let mut room = highest.rem_euclid(4) + 1;
        let mut end = out.len();
        for &digit in digits {
            group = group * 10 + u16::from(digit);
            room -= 1;
            if room == 0 {
                out.extend_from_slice(&group.to_be_bytes());
                if group != 0 {
                    end = out.len();
                }
                (group, room) = (0, 4);
            }
        }
        if group != 0 {
            let shift = 10_u16.pow(room as u32);
            out.extend_from_slice(&(group * shift).to_be_bytes());
            end = out.len();
        }
        // Groups of zeros at the end are not written.
        out.truncate(end);
        let groups = ((end - head - 8) / 2) as u16;
        let (weight, sign) = if groups == 0 { (0, 0) } else { (weight as i16, if self.negative { 0x4000_u16 } else { 0 }) };
        out[head..head + 2].copy_from_slice(&groups.to_be_bytes());
        out[head + 2..head + 4].copy_from_slice(&weight.to_be_bytes());
        out[head + 4..head + 6].copy_from_slice(&sign.to_be_bytes());
        out[head + 6..head + 8].copy_from_slice(&(self.scale.max(0) as u16).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn groups(value: i128, scale: i32) -> (i16, bool, u16, Vec<u16>) {
        let mut out = vec![9];
        Decimal::new(value, scale).put(&mut out);
        let words: Vec<u16> = out[1..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        assert_eq!(usize::from(words[0]), words.len() - 4);
        (words[1] as i16, words[2] == 0x4000, words[3], words[4..].to_vec())
    }

    #[test]
    fn digits_are_grouped_around_the_point() {
        assert_eq!(groups(0, 2), (0, false, 2, vec![]));
        assert_eq!(groups(12_345, 2), (0, false, 2, vec![123, 4500]));
        assert_eq!(groups(-1, 0), (0, true, 0, vec![1]));
        assert_eq!(groups(10_000, 0), (1, false, 0, vec![1]));
        assert_eq!(groups(1, 5), (-2, false, 5, vec![1000]));
        assert_eq!(groups(7, -6), (1, false, 0, vec![700]));
        assert_eq!(groups(1_0000_0000_5000, 0), (3, false, 0, vec![1, 0, 0, 5000]));
    }

    #[test]
    fn only_what_needs_no_rounding_fits() {
        let fits = |value, scale, precision, target| Decimal::new(value, scale).fits(precision, target);
        assert!(fits(12_345, 2, 5, 2) && !fits(123_456, 2, 5, 2));
        assert!(fits(12_300, 4, 3, 2) && !fits(12_301, 4, 9, 2));
        assert!(fits(0, 30, 1, 0));
        assert!(fits(1_000, 0, 1, -3) && !fits(1_001, 0, 9, -3));
        assert!(fits(i128::MAX, 0, 39, 0) && !fits(i128::MAX, 0, 38, 0));
    }

    proptest! {
        /// The groups, added up by arithmetic without digits, are the number.
        #[test]
        fn groups_add_up_to_the_number(value: i64, scale in -9i32..20) {
            let (weight, negative, _, groups) = groups(i128::from(value), scale);
            prop_assert!(groups.iter().all(|group| *group < 10_000));
            prop_assert!(groups.first() != Some(&0) && groups.last() != Some(&0));
            // Both sides times ten to the 40.
            let mut sum = zero();
            for (index, group) in groups.iter().enumerate() {
                let exponent = 40 + 4 * (i32::from(weight) - index as i32);
                prop_assert!(exponent >= 0);
                add(&mut sum, u64::from(*group), exponent as usize);
            }
            let mut expected = zero();
            add(&mut expected, value.unsigned_abs(), (40 - scale) as usize);
            prop_assert_eq!(sum, expected);
            prop_assert_eq!(negative, value < 0);
        }
    }

    fn zero() -> Vec<u8> {
        vec![0; 100]
    }

    /// Adds `value * 10^exponent` to little-endian decimal digits.
    fn add(sum: &mut [u8], mut value: u64, mut at: usize) {
        let mut carry = 0;
        while value > 0 || carry > 0 {
            let digit = u64::from(sum[at]) + value % 10 + carry;
            sum[at] = (digit % 10) as u8;
            (carry, value, at) = (digit / 10, value / 10, at + 1);
        }
    }
}
