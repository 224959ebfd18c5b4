//! Follower counts as Pinterest displays them (`150`, `5k`, `1.2M`), as whole numbers.

/// Why a text is not a follower count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCount {
    /// It is not digits, optionally with a fraction, optionally with `k` or `M`.
    NotANumber,
    /// It is a number with a fraction: `1.5`, `1.2345k`.
    NotWhole,
    /// It is larger than 64 bits hold.
    TooLarge,
}

impl NoCount {
    /// The error, for readers.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotANumber => "is not a number such as 150, 5k or 1.2M",
            Self::NotWhole => "is not a whole number",
            Self::TooLarge => "is larger than 9,223,372,036,854,775,807",
        }
    }
}

/// Reads a follower count: digits, a decimal fraction if need be, then `k` for thousands or `M` for millions, in either case.
///
/// All in integers, so that `4.35k` is 4,350 and nothing else.
#[inline]
pub fn parse(text: &str) -> Result<i64, NoCount> {
    parse_short(text.as_bytes()).map_or_else(|| parse_any(text), Ok)
}

/// The form that nearly every count has: up to nine digits, which can't overflow, and a suffix.
#[inline]
fn parse_short(bytes: &[u8]) -> Option<i64> {
    let (digits, factor) = match bytes.split_last()? {
        (b'k' | b'K', digits) => (digits, 1_000),
        (b'm' | b'M', digits) => (digits, 1_000_000),
        _ => (bytes, 1),
    };
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let mut value = 0_u32;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(i64::from(value) * factor)
}

fn parse_any(text: &str) -> Result<i64, NoCount> {
    let bytes = text.trim().as_bytes();
    let (number, mut zeros) = match bytes.split_last() {
        Some((b'k' | b'K', number)) => (number, 3),
        Some((b'm' | b'M', number)) => (number, 6),
        _ => (bytes, 0_u32),
    };
    let (whole, fraction) = match number.iter().position(|&byte| byte == b'.') {
        Some(dot) => (&number[..dot], Some(&number[dot + 1..])),
        None => (number, None),
    };
    if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
        return Err(NoCount::NotANumber);
    }
    let mut value = digits(0, whole)?;
    if let Some(fraction) = fraction {
        let significant = fraction.iter().rposition(|&byte| byte != b'0').map_or(0, |last| last + 1);
        let (significant, rest) = fraction.split_at(significant);
        // Only zeros are left in `rest`, so they need no check.
        debug_assert!(rest.iter().all(|&byte| byte == b'0'));
        if !significant.iter().all(u8::is_ascii_digit) {
            return Err(NoCount::NotANumber);
        }
        zeros = u32::try_from(significant.len()).ok().and_then(|places| zeros.checked_sub(places)).ok_or(NoCount::NotWhole)?;
        value = digits(value, significant)?;
    }
    10_i64.checked_pow(zeros).and_then(|factor| value.checked_mul(factor)).ok_or(NoCount::TooLarge)
}

/// Appends decimal digits to a number.
fn digits(start: i64, digits: &[u8]) -> Result<i64, NoCount> {
    let mut value = Some(start);
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(NoCount::NotANumber);
        }
        value = value.and_then(|value| value.checked_mul(10)?.checked_add(i64::from(byte - b'0')));
    }
    value.ok_or(NoCount::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_suffixes_and_fractions_exactly() {
        for (text, count) in [
            ("0", 0),
            ("150", 150),
            ("5k", 5_000),
            ("603K", 603_000),
            ("2M", 2_000_000),
            ("15m", 15_000_000),
            ("1.2k", 1_200),
            ("4.35k", 4_350),
            ("1.234567M", 1_234_567),
            ("0.5k", 500),
            ("1.0", 1),
            ("1.50000k", 1_500),
            (" 7 ", 7),
            ("007", 7),
            ("9223372036854775807", i64::MAX),
            ("9223372036854.775807M", i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(count), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_count() {
        for text in
            ["", " ", "k", "M", ".", "1.", ".5k", "5kk", "5 k", "-5", "+5", "1,200", "1.2.3k", "5g", "User Info Error", "0x5", "5k5", "٣"]
        {
            assert_eq!(parse(text), Err(NoCount::NotANumber), "{text:?}");
        }
        for text in ["1.5", "1.2345k", "0.0000001M"] {
            assert_eq!(parse(text), Err(NoCount::NotWhole), "{text:?}");
        }
        for text in ["9223372036854775808", "9223372036854776k", "9223372036854.775808M", "99999999999999999999999M"] {
            assert_eq!(parse(text), Err(NoCount::TooLarge), "{text:?}");
        }
    }

    #[test]
    fn agrees_with_arithmetic_on_every_short_count() {
        for whole in 0..300_i64 {
            for tenths in 0..10 {
                assert_eq!(parse(&format!("{whole}.{tenths}k")), Ok(whole * 1_000 + tenths * 100));
                assert_eq!(parse(&format!("{whole}.0{tenths}M")), Ok(whole * 1_000_000 + tenths * 10_000));
            }
        }
    }
}
