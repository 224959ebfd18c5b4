//! Groups in the order of runs: by window end, key group, key.

use std::cmp::Ordering;

use super::NULL_BIT;
use crate::key::{Keys, NULL, VALUE, key_group};

/// The groups that a table held, in the order of runs.
#[derive(Debug, Default)]
pub struct SortedGroups {
    /// The number that each had.
    pub numbers: Vec<u32>,
    /// The window end of each.
    pub ends: Vec<i64>,
    /// The key group of each.
    pub key_groups: Vec<u8>,
    /// The key of each.
    pub keys: Keys,
}

/// How many bits of a sort key hold the key group and whether there is a key.
const GROUP_BITS: u32 = 9;

/// Groups whose keys are one word each, or null by [`NULL_BIT`] in their pane.
pub(super) fn of_words(panes: &[u32], words: &[u64], ends: &[i64]) -> SortedGroups {
    let ranks = ranks(ends);
    let mut order: Vec<(u64, u64, u32)> = Vec::with_capacity(words.len());
    for (number, (&pane, &word)) in panes.iter().zip(words).enumerate() {
        let (key, length) = encoded(pane, word);
        let rank = u64::from(ranks[(pane & !NULL_BIT) as usize]);
        let place = rank << GROUP_BITS | u64::from(key_group(&key[..length])) << 1 | u64::from(pane & NULL_BIT == 0);
        order.push((place, word, number as u32));
    }
    let order = by_place(order, ends.len() << GROUP_BITS, |one, other| (one.1, one.2).cmp(&(other.1, other.2)));
    let mut sorted = SortedGroups::with_capacity(order.len(), 9 * order.len());
    for (place, word, number) in order {
        let pane = panes[number as usize];
        let (key, length) = encoded(pane, word);
        let end = ends[(pane & !NULL_BIT) as usize];
        sorted.push(number, end, (place >> 1) as u8, &key[..length]);
    }
    sorted
}

fn encoded(pane: u32, word: u64) -> ([u8; 9], usize) {
    if pane & NULL_BIT != 0 {
        return ([NULL; 9], 1);
    }
    let mut key = [VALUE; 9];
    key[1..].copy_from_slice(&word.to_be_bytes());
    (key, 9)
}

/// Groups whose keys are encoded.
pub(super) fn of_keys(panes: &[u32], keys: &Keys, ends: &[i64]) -> SortedGroups {
    let ranks = ranks(ends);
    let mut order: Vec<(u64, u128, u32)> = Vec::with_capacity(keys.len());
    for (number, (&pane, key)) in panes.iter().zip(keys.iter()).enumerate() {
        let place = u64::from(ranks[pane as usize]) << GROUP_BITS | u64::from(key_group(key)) << 1;
        order.push((place, prefix(key), number as u32));
    }
    let order = by_place(order, ends.len() << GROUP_BITS, |one, other| {
        one.1.cmp(&other.1).then_with(|| keys.get(one.2 as usize).cmp(keys.get(other.2 as usize)))
    });
    let mut sorted = SortedGroups::with_capacity(order.len(), keys.iter().map(<[u8]>::len).sum());
    for (place, _, number) in order {
        let end = ends[panes[number as usize] as usize];
        sorted.push(number, end, (place >> 1) as u8, keys.get(number as usize));
    }
    sorted
}

/// What is to be sorted: the place among windows and key groups, the key or its beginning, the group's number.
type Sortable<K> = (u64, K, u32);

/// Sorts by place, which is less than `places`, and then by `order`. Where there are many entries of a place they go there first: what is left to sort
/// lies in the processor's cache.
fn by_place<K: Copy>(mut all: Vec<Sortable<K>>, places: usize, order: impl Fn(&Sortable<K>, &Sortable<K>) -> Ordering) -> Vec<Sortable<K>> {
    if places >= all.len() {
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| order(one, other)));
        return all;
    }
    let mut sorted = to_places(&all, places, |entry| entry.0 as usize);
    for of_place in sorted.chunk_by_mut(|one, other| one.0 == other.0) {
        of_place.sort_unstable_by(&order);
    }
    sorted
}

/// Entries by their place, which is less than `places`; those of a place as they came. They are counted and not compared.
pub(crate) fn to_places<T: Copy>(all: &[T], places: usize, place: impl Fn(&T) -> usize) -> Vec<T> {
    let Some(&first) = all.first() else { return Vec::new() };
    let mut next = vec![0_usize; places + 1];
    all.iter().for_each(|entry| next[place(entry) + 1] += 1);
    for place in 1..next.len() {
        next[place] += next[place - 1];
    }
    let mut sorted = vec![first; all.len()];
    for entry in all {
        let at = &mut next[place(entry)];
        sorted[*at] = *entry;
        *at += 1;
    }
    sorted
}

/// The first 16 bytes of a key as a number, with zeros behind its end: where two differ, keys compare alike.
#[inline]
pub(crate) fn prefix(key: &[u8]) -> u128 {
    match key.first_chunk::<16>() {
        Some(first) => u128::from_be_bytes(*first),
        None => {
            let mut first = [0; 16];
            first[..key.len()].copy_from_slice(key);
            u128::from_be_bytes(first)
        }
    }
}

/// The place of each end among the ends.
fn ranks(ends: &[i64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..ends.len() as u32).collect();
    order.sort_unstable_by_key(|&index| ends[index as usize]);
    let mut ranks = vec![0; ends.len()];
    for (rank, &index) in order.iter().enumerate() {
        ranks[index as usize] = rank as u32;
    }
    ranks
}

impl SortedGroups {
    fn with_capacity(groups: usize, key_bytes: usize) -> Self {
        Self {
            numbers: Vec::with_capacity(groups),
            ends: Vec::with_capacity(groups),
            key_groups: Vec::with_capacity(groups),
            keys: Keys::with_capacity(groups, key_bytes),
        }
    }

    fn push(&mut self, number: u32, end: i64, key_group: u8, key: &[u8]) {
        self.numbers.push(number);
        self.ends.push(end);
        self.key_groups.push(key_group);
        self.keys.push(key);
    }
}
