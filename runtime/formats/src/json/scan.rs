//! Finds the end of a JSON string's plain part, 16 bytes a step.

/// The index of the first byte at or after `at` that is a quote, a backslash or a control
/// character. The length of `bytes` if there is none.
#[inline]
pub fn plain_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    while let Some(block) = bytes.get(at..at + 16).and_then(|block| <&[u8; 16]>::try_from(block).ok()) {
        let specials = specials_of_16(block);
        if specials != 0 {
            return at + specials.trailing_zeros() as usize;
        }
        at += 16;
    }
    while let Some(block) = bytes.get(at..at + 8).and_then(|block| <[u8; 8]>::try_from(block).ok()) {
        let specials = specials_of_8(u64::from_le_bytes(block));
        if specials != 0 {
            return at + (specials.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && !is_special(bytes[at]) {
        at += 1;
    }
    at
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// One bit a byte.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[inline]
fn specials_of_16(block: &[u8; 16]) -> u32 {
    use std::arch::x86_64::*;
    // SAFETY: the load is unaligned and of 16 bytes from an array of 16; SSE2 is part of the target, as the `cfg` says.
    unsafe {
        let block = _mm_loadu_si128(block.as_ptr().cast());
        let last_control = _mm_set1_epi8(0x1f);
        let controls = _mm_cmpeq_epi8(_mm_max_epu8(block, last_control), last_control);
        let quotes = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'"'.cast_signed()));
        let slashes = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\\'.cast_signed()));
        _mm_movemask_epi8(_mm_or_si128(controls, _mm_or_si128(quotes, slashes))).cast_unsigned()
    }
}

/// The high bit of each byte, right up to and including the first special byte.
#[inline]
fn specials_of_8(block: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES * 0x80;
    let zeros = |value: u64| value.wrapping_sub(ONES) & !value;
    let controls = block.wrapping_sub(ONES * 0x20) & !block;
    (zeros(block ^ (ONES * u64::from(b'"'))) | zeros(block ^ (ONES * u64::from(b'\\'))) | controls) & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slow(bytes: &[u8], at: usize) -> usize {
        (at..bytes.len()).find(|&index| is_special(bytes[index])).unwrap_or(bytes.len())
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for place in 0..40 {
                let mut bytes = [b'x'; 40];
                bytes[place] = byte;
                assert_eq!(plain_end(&bytes, 0), slow(&bytes, 0), "{byte} at {place}");
                assert_eq!(plain_end(&bytes[..39], 3), slow(&bytes[..39], 3), "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_slow_way(bytes in proptest::collection::vec(any::<u8>(), 0..100), at in 0usize..100) {
            let at = at.min(bytes.len());
            prop_assert_eq!(plain_end(&bytes, at), slow(&bytes, at));
            if let Ok(block) = <[u8; 8]>::try_from(&bytes[..bytes.len().min(8)]) {
                let found = specials_of_8(u64::from_le_bytes(block));
                prop_assert_eq!((found.trailing_zeros() / 8) as usize, slow(&block, 0));
            }
        }
    }
}
