//! A sketch of a set: HyperLogLog with 2^14 registers.
//!
//! Estimated as by Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), which needs no tables and no switch between
//! ranges. Few registers are held as a sorted list. The bytes are part of checkpoints: they change only with the state's version.

/// Bits of a hash that choose a register.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
/// The greatest value of a register.
const MAX_RANK: usize = 64 - INDEX_BITS as usize + 1;
/// Bits of a rank in an entry of the list.
const RANK_BITS: u32 = 6;
/// The most entries of a list: 4 KiB.
const MAX_ENTRIES: usize = 1_024;

const LIST: u8 = 0;
const ARRAY: u8 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Registers {
    /// `index << 6 | rank`, by index.
    List(Vec<u32>),
    /// A rank per register.
    Array(Vec<u8>),
}

impl Default for Registers {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Registers {
    /// Adds the hash of a value.
    pub fn add(&mut self, hash: u64) {
        let index = (hash >> (64 - INDEX_BITS)) as u32;
        let rank = ((hash << INDEX_BITS).leading_zeros() + 1).min(MAX_RANK as u32);
        self.raise(index, rank as u8);
    }

    fn raise(&mut self, index: u32, rank: u8) {
        match self {
            Self::Array(ranks) => {
                let held = &mut ranks[index as usize];
                *held = rank.max(*held);
            }
            Self::List(entries) => {
                let entry = index << RANK_BITS | u32::from(rank);
                let at = entries.partition_point(|entry| entry >> RANK_BITS < index);
                let is_full = entries.len() >= MAX_ENTRIES;
                match entries.get_mut(at).filter(|entry| **entry >> RANK_BITS == index) {
                    Some(held) => *held = entry.max(*held),
                    None if is_full => {
                        self.spread();
                        self.raise(index, rank);
                    }
                    None => entries.insert(at, entry),
                }
            }
        }
    }

    fn spread(&mut self) {
        let mut ranks = vec![0; REGISTERS];
        self.entries(|index, rank| ranks[index as usize] = rank);
        *self = Self::Array(ranks);
    }

    /// The registers that are not zero.
    fn entries(&self, mut each: impl FnMut(u32, u8)) {
        match self {
            Self::List(entries) => entries.iter().for_each(|entry| each(entry >> RANK_BITS, (entry & ((1 << RANK_BITS) - 1)) as u8)),
            Self::Array(ranks) => {
                (0_u32..).zip(ranks).filter(|(_, rank)| **rank > 0).for_each(|(index, &rank)| each(index, rank));
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        other.entries(|index, rank| self.raise(index, rank));
    }

    /// The form in a state.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::List(entries) => std::iter::once(LIST).chain(entries.iter().flat_map(|entry| entry.to_le_bytes())).collect(),
            Self::Array(ranks) => std::iter::once(ARRAY).chain(ranks.iter().copied()).collect(),
        }
    }

    /// `None`: these bytes are no registers.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rank_of = |rank: u8| (1..=MAX_RANK).contains(&usize::from(rank));
        match bytes.split_first()? {
            (&LIST, entries) => {
                let (entries, rest) = entries.as_chunks::<4>();
                let entries: Vec<u32> = entries.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
                let is_sorted = entries.windows(2).all(|pair| pair[0] >> RANK_BITS < pair[1] >> RANK_BITS);
                let is_bounded = entries.len() <= MAX_ENTRIES && entries.last().is_none_or(|last| last >> RANK_BITS < REGISTERS as u32);
                let has_ranks = entries.iter().all(|entry| rank_of((entry & ((1 << RANK_BITS) - 1)) as u8));
                (rest.is_empty() && is_sorted && is_bounded && has_ranks).then_some(Self::List(entries))
            }
            (&ARRAY, ranks) => {
                let is_whole = ranks.len() == REGISTERS && ranks.iter().all(|&rank| rank == 0 || rank_of(rank));
                is_whole.then(|| Self::Array(ranks.to_vec()))
            }
            _ => None,
        }
    }

    /// About how many different hashes were added.
    pub fn estimate(&self) -> i64 {
        const M: f64 = REGISTERS as f64;
        let mut counts = [0_u32; MAX_RANK + 1];
        self.entries(|_, rank| counts[usize::from(rank)] += 1);
        counts[0] = REGISTERS as u32 - counts.iter().sum::<u32>();
        let count = |rank: usize| f64::from(counts[rank]);
        let mut sum = M * tau(1.0 - count(MAX_RANK) / M);
        for rank in (1..MAX_RANK).rev() {
            sum = 0.5 * (sum + count(rank));
        }
        sum += M * sigma(count(0) / M);
        (M / (2.0 * std::f64::consts::LN_2) * (M / sum)).round() as i64
    }

    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::List(entries) => entries.capacity() * size_of::<u32>(),
            Self::Array(ranks) => ranks.capacity(),
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: std::ops::Range<u64>) -> Registers {
        let mut registers = Registers::default();
        numbers.for_each(|number| registers.add(twox_hash::XxHash3_64::oneshot(&number.to_le_bytes())));
        registers
    }

    #[test]
    fn estimates_are_within_four_standard_errors() {
        assert_eq!(of(0..0).estimate(), 0);
        assert_eq!(of(0..1).estimate(), 1);
        for number in [10, 100, 1_000, 5_000, 20_000, 100_000, 1_000_000] {
            let wrong = (of(0..number).estimate() - number as i64).abs() as f64 / number as f64;
            assert!(wrong < 4.0 * 0.0081, "{number}: {wrong}");
        }
    }

    #[test]
    fn parts_merge_to_the_whole_in_any_form() {
        for (cut, end) in [(3, 10), (10, 2_000), (1_500, 3_000), (50_000, 90_000)] {
            let (mut first, second) = (of(0..cut), of(cut / 2..end));
            first.merge(&second);
            assert_eq!(first, of(0..end));
            assert_eq!(Registers::from_bytes(&first.to_bytes()), Some(first));
        }
    }

    #[test]
    fn other_bytes_are_no_registers() {
        for bytes in [&[][..], &[2], &[0, 1], &[1, 0, 0], &[0, 0, 0, 0, 0], &[0, 1, 0, 16, 0], &[0, 65, 0, 0, 0, 65, 0, 0, 0]] {
            assert_eq!(Registers::from_bytes(bytes), None, "{bytes:?}");
        }
    }

    /// Bytes of a state that may be in a checkpoint.
    #[test]
    fn the_form_does_not_change() {
        assert_eq!(hex(&of(0..3).to_bytes()), "0041080200c4fb020081770c00");
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
