//! Exact quotients, rounded once.

use arrow_buffer::i256;

/// The float that is nearest to `total / count`, for a count above 0.
pub(super) fn nearest_float(total: i128, count: i64) -> f64 {
    let divisor = u128::from(count.unsigned_abs().max(1));
    let magnitude = total.unsigned_abs();
    // As many bits of the quotient as there is room for: at least 63. A bit below them says that there is more.
    let shift = magnitude.leading_zeros().min(127);
    let shifted = magnitude << shift;
    let quotient = (shifted / divisor) | u128::from(!shifted.is_multiple_of(divisor));
    // 2^-shift, far from the ends of floats: the product is exact.
    let value = quotient as f64 * f64::from_bits(u64::from(1023 - shift) << 52);
    if total < 0 { -value } else { value }
}

/// `total * 10^digits / count`, rounded half away from zero, for a count above 0.
pub(super) fn nearest_decimal(total: i256, digits: u32, count: i64) -> Option<i128> {
    let scaled = total.checked_mul(i256::from_i128(10).checked_pow(digits)?)?;
    let divisor = i256::from_i128(i128::from(count));
    let (quotient, remainder) = (scaled.checked_div(divisor)?, scaled.checked_rem(divisor)?);
    let twice = remainder.checked_abs()?.checked_mul(i256::from_i128(2))?;
    let away = if scaled.is_negative() { i256::MINUS_ONE } else { i256::ONE };
    let rounded = if twice >= divisor { quotient.checked_add(away)? } else { quotient };
    rounded.to_i128()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotients_are_rounded_once() {
        assert_eq!(nearest_float(0, 3), 0.0);
        assert_eq!(nearest_float(-7, 2), -3.5);
        assert_eq!(nearest_float(i128::from(i64::MIN), 1), i64::MIN as f64);
        // 2^53 + 1 lies between two floats; two thirds more are nearer to the upper one.
        assert_eq!(nearest_float((1 << 53) + 1, 1), 9_007_199_254_740_992.0);
        assert_eq!(nearest_float(((1 << 53) + 1) * 3 + 1, 3), 9_007_199_254_740_994.0);
        let decimal = |total, digits, count| nearest_decimal(i256::from_i128(total), digits, count);
        assert_eq!([decimal(5, 0, 2), decimal(-5, 0, 2), decimal(10, 4, 3), decimal(20, 0, 3)], [Some(3), Some(-3), Some(33_333), Some(7)]);
    }

    proptest! {
        /// Quotients of numbers that floats hold are rounded by the processor.
        #[test]
        fn small_numbers_are_divided_as_floats(total in -(1_i64 << 53)..(1 << 53), count in 1_i64..(1 << 53)) {
            prop_assert_eq!(nearest_float(i128::from(total), count), total as f64 / count as f64);
        }
    }
}
