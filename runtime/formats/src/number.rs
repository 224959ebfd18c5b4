//! Numbers as text, read without loss.
//!
//! A number has JSON's grammar: `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`. Spaces, a leading
//! `+`, leading zeros, bare dots, hexadecimal digits and thousands separators make it a text. The
//! writer of `007` may mean more than seven.

/// The exact value of a number: `digits * 10^exponent`, without trailing zeros in `digits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    negative: bool,
    digits: u128,
    exponent: i32,
}

/// Why a number does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The text is not a number.
    NotANumber,
    /// It has digits after the point that the type can't hold.
    Fraction,
    /// It is too large or too small for the type.
    Range,
    /// It has more digits than a float holds.
    Digits,
}

/// The length of the number that `bytes` begin with, if they do.
pub fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

/// Whether all of `text` is a number.
pub fn is_number(text: &str) -> bool {
    number_length(text.as_bytes()) == Some(text.len())
}

impl Exact {
    /// The exact value of a text that is a number.
    ///
    /// # Errors
    /// [`Misfit::NotANumber`]; [`Misfit::Range`] where it has more significant digits than 128 bits hold (some 38).
    pub fn parse(text: &str) -> Result<Self, Misfit> {
        if !is_number(text) {
            return Err(Misfit::NotANumber);
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        // Saturates: no supported type holds 10^100000.
        let mut exponent = exponent.parse::<i32>().unwrap_or(if exponent.starts_with('-') { -100_000 } else { 100_000 });
        exponent = exponent.clamp(-100_000, 100_000);
        let negative = mantissa.starts_with('-');
        let (mut digits, mut zeros, mut fraction) = (0u128, 0u32, false);
        for byte in mantissa.bytes() {
            match byte {
                b'.' => fraction = true,
                b'0'..=b'9' => {
                    exponent = if fraction { exponent.saturating_sub(1) } else { exponent };
                    if byte == b'0' {
                        zeros += 1;
                        continue;
                    }
                    // Zeros count only once a digit follows them.
                    if digits != 0 {
                        digits = 10u128.checked_pow(zeros).and_then(|power| digits.checked_mul(power)).ok_or(Misfit::Range)?;
                    }
                    zeros = 0;
                    let digit = u128::from(byte - b'0');
                    digits = digits.checked_mul(10).and_then(|digits| digits.checked_add(digit)).ok_or(Misfit::Range)?;
                }
                _ => {}
            }
        }
        let exponent = if digits == 0 { 0 } else { exponent.saturating_add_unsigned(zeros) };
        Ok(Self { negative, digits, exponent })
    }

    /// The value times `10^scale`, which must be whole.
    pub fn scaled(self, scale: i32) -> Result<i128, Misfit> {
        if self.digits == 0 {
            return Ok(0);
        }
        let power = u32::try_from(self.exponent.saturating_add(scale)).map_err(|_| Misfit::Fraction)?;
        let magnitude = 10u128.checked_pow(power).and_then(|power| self.digits.checked_mul(power)).ok_or(Misfit::Range)?;
        let magnitude = i128::try_from(magnitude).map_err(|_| Misfit::Range)?;
        Ok(if self.negative { -magnitude } else { magnitude })
    }

    /// The largest whole number that is not above the value times `10^scale`.
    pub fn scaled_down(self, scale: i32) -> Result<i128, Misfit> {
        match self.scaled(scale) {
            Err(Misfit::Fraction) => {}
            scaled => return scaled,
        }
        let lost = self.exponent.saturating_add(scale).unsigned_abs();
        let whole = 10u128.checked_pow(lost).map_or(0, |power| self.digits / power);
        let magnitude = i128::try_from(whole).map_err(|_| Misfit::Range)?;
        Ok(if self.negative { -magnitude - 1 } else { magnitude })
    }
}

/// The whole number that a text holds, in any notation: `12`, `12.0`, `1.2e1`.
#[inline]
pub fn integer(text: &str) -> Result<i128, Misfit> {
    if let Some(value) = short_integer(text.as_bytes()) {
        return Ok(i128::from(value));
    }
    Exact::parse(text)?.scaled(0)
}

/// Up to 18 digits and a sign: nearly every integer there is.
#[inline]
fn short_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    let mut value = 0i64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// A decimal of `precision` digits, `scale` of them after the point, as the integer that Arrow holds.
pub fn decimal(text: &str, precision: u8, scale: i8) -> Result<i128, Misfit> {
    let value = Exact::parse(text)?.scaled(i32::from(scale))?;
    match 10u128.checked_pow(u32::from(precision)) {
        Some(limit) if value.unsigned_abs() >= limit => Err(Misfit::Range),
        _ => Ok(value),
    }
}

/// A count of `10^-epoch` seconds as a count of `10^-unit` seconds; `cut` drops the digits that are left over.
#[inline]
pub fn epoch(text: &str, epoch: i32, unit: i32, cut: bool) -> Result<i64, Misfit> {
    let value = match short_integer(text.as_bytes()) {
        Some(value) if epoch == unit => i128::from(value),
        _ if cut => Exact::parse(text)?.scaled_down(unit - epoch)?,
        _ => Exact::parse(text)?.scaled(unit - epoch)?,
    };
    i64::try_from(value).map_err(|_| Misfit::Range)
}

/// The float nearest to a number. A number written as a whole one must be represented exactly, for
/// it may be a key. The shortest digits of the float, filled up with zeros, are accepted too: other
/// writers print floats that way.
#[inline]
pub fn float<T: Float>(text: &str) -> Result<T, Misfit> {
    if !is_number(text) {
        return match text {
            "NaN" | "Infinity" | "-Infinity" => text.parse().map_err(|_| Misfit::NotANumber),
            _ => Err(Misfit::NotANumber),
        };
    }
    let value = text.parse::<T>().map_err(|_| Misfit::NotANumber)?;
    if !value.is_finite() {
        return Err(Misfit::Range);
    }
    let is_short = text.len() <= T::WHOLE_DIGITS || text.contains(['.', 'e', 'E']);
    match is_short || format!("{value:.0}") == text || value.to_string() == text {
        true => Ok(value),
        false => Err(Misfit::Digits),
    }
}

/// The two floats.
pub trait Float: std::str::FromStr + std::fmt::Display {
    /// Whole numbers of up to this many digits are all represented exactly.
    const WHOLE_DIGITS: usize;

    /// Whether it is a number.
    fn is_finite(&self) -> bool;
}

impl Float for f32 {
    const WHOLE_DIGITS: usize = 7;

    fn is_finite(&self) -> bool {
        f32::is_finite(*self)
    }
}

impl Float for f64 {
    const WHOLE_DIGITS: usize = 15;

    fn is_finite(&self) -> bool {
        f64::is_finite(*self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_come_in_any_notation_and_lose_nothing() {
        for (text, value) in
            [("12", 12), ("-0", 0), ("12.0", 12), ("1.2e1", 12), ("120e-1", 12), ("1E3", 1000), ("0.000", 0), ("0e99999999999", 0)]
        {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        assert_eq!(integer("12.5"), Err(Misfit::Fraction));
        assert_eq!(integer("1e-1"), Err(Misfit::Fraction));
        assert_eq!(integer("1e99999999999"), Err(Misfit::Range));
        assert_eq!(integer("1e-99999999999"), Err(Misfit::Fraction));
        assert_eq!(integer("170141183460469231731687303715884105728"), Err(Misfit::Range));
    }

    #[test]
    fn floats_are_the_nearest_ones_and_whole_numbers_are_met() {
        assert_eq!(float::<f64>("0.1"), Ok(0.1));
        assert_eq!(float::<f64>("0.1000000000000000055"), Ok(0.1));
        assert_eq!(float::<f64>("9007199254740992"), Ok(9_007_199_254_740_992.0));
        assert_eq!(float::<f64>("18446744073709551616"), Ok(18_446_744_073_709_551_616.0));
        assert_eq!(float::<f64>("1152921504606846976"), Ok((1_u64 << 60) as f64));
        assert_eq!(float::<f64>("1152921504606847000"), Ok((1_u64 << 60) as f64), "as JavaScript prints it");
        assert_eq!(float::<f64>("1152921504606847001"), Err(Misfit::Digits));
        assert_eq!(float::<f64>("-9007199254740993"), Err(Misfit::Digits));
        assert_eq!(float::<f64>("123456789012345678901234567890"), Err(Misfit::Digits));
        assert_eq!(float::<f64>("9.007199254740993e15"), Ok(9_007_199_254_740_992.0));
        assert_eq!(float::<f32>("16777217"), Err(Misfit::Digits));
        assert_eq!(float::<f32>("16777216"), Ok(16_777_216.0));
        assert_eq!(float::<f64>("1e309"), Err(Misfit::Range));
    }

    #[test]
    fn epochs_are_exact_unless_they_are_cut() {
        assert_eq!(epoch("1657153121000", 3, 6, false), Ok(1_657_153_121_000_000));
        assert_eq!(epoch("1657153121.123", 0, 6, false), Ok(1_657_153_121_123_000));
        assert_eq!(epoch("1500", 9, 6, false), Err(Misfit::Fraction));
        assert_eq!(epoch("1500", 9, 6, true), Ok(1));
        assert_eq!(epoch("-1500", 9, 6, true), Ok(-2));
        assert_eq!(epoch("-1e-99999", 9, 6, true), Ok(-1));
        assert_eq!(epoch("9223372036854775807", 0, 6, false), Err(Misfit::Range));
    }

    #[test]
    fn what_is_no_number() {
        for text in ["", "-", "+1", "01", "1.", ".5", " 1", "1 ", "1e", "1e+", "0x1", "1_000", "NaN", "--1", "1.2.3", "١"] {
            assert_eq!(integer(text), Err(Misfit::NotANumber), "{text}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal("12.5", 4, 2), Ok(1250));
        assert_eq!(decimal("-12.50", 4, 2), Ok(-1250));
        assert_eq!(decimal("12.505", 5, 2), Err(Misfit::Fraction));
        assert_eq!(decimal("100", 4, 2), Err(Misfit::Range));
        assert_eq!(decimal("1200", 2, -2), Ok(12));
        assert_eq!(decimal("99999999999999999999999999999999999999", 38, 0), Ok(10i128.pow(38) - 1));
    }

    proptest! {
        #[test]
        fn exact_agrees_with_the_standard_library(value in any::<i64>(), zeros in 0u32..5) {
            let text = format!("{value}{}", "0".repeat(zeros as usize));
            prop_assert_eq!(integer(&text), if value == 0 && zeros > 0 { Err(Misfit::NotANumber) } else { Ok(i128::from(value) * 10i128.pow(zeros)) });
        }

        #[test]
        fn is_number_agrees_with_serde_json(text in "[-+0-9.eE]{0,8}") {
            // A raw value keeps numbers as text, so that none is out of range.
            let theirs = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).is_ok();
            prop_assert_eq!(is_number(&text), theirs);
        }
    }
}
