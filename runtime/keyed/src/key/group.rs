//! Key groups: the units in which keys are spread over lanes.

use std::ops::Range;

use twox_hash::XxHash3_64;

/// How many key groups there are, in every pipeline and for ever: they are part of the order of runs.
pub const KEY_GROUPS: usize = 256;

/// A range of key groups: within `0..256`.
pub type KeyGroups = Range<u16>;

/// The key group of an encoded key: the top byte of its XXH3-64 hash without a seed.
#[inline]
pub fn key_group(key: &[u8]) -> u8 {
    (XxHash3_64::oneshot(key) >> 56) as u8
}

/// The lane that owns a key group, of at least one lane.
pub fn owner(key_group: u8, lanes: usize) -> usize {
    usize::from(key_group) * lanes / KEY_GROUPS
}

/// The key groups that a lane owns: those whose [`owner`] it is. With more than 256 lanes some own none.
pub fn owned(lane: usize, lanes: usize) -> KeyGroups {
    // The least group with `group * lanes / 256 >= lane`.
    let first = |lane: usize| (lane * KEY_GROUPS).div_ceil(lanes.max(1)).min(KEY_GROUPS) as u16;
    first(lane)..first(lane + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_share_all_key_groups_without_overlap() {
        for lanes in 1..=300 {
            let owners: Vec<usize> = (0..=255).map(|group| owner(group, lanes)).collect();
            let ranges: Vec<usize> = (0..lanes).flat_map(|lane| owned(lane, lanes).map(move |_| lane)).collect();
            assert_eq!(owners, ranges, "{lanes} lanes");
        }
    }

    #[test]
    fn key_groups_are_those_of_xxh3() {
        // XXH3_64bits("") = 2d06800538d394c2 and XXH3_64bits("a") = e6c632b61e964e1f, as the reference implementation gives them.
        assert_eq!(key_group(b""), 0x2d);
        assert_eq!(key_group(b"a"), 0xe6);
    }
}
