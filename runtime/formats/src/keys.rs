//! Finds the column of a key, fast where records have the same keys in the same order.

use std::cmp::Ordering;
use std::collections::HashMap;

/// More different positions than this are looked up instead of remembered.
const LONGEST_ORDER: usize = 1_024;
/// Longer keys are looked up instead of remembered.
const LONGEST_KEY: usize = 256;

/// The keys of an object: which column each belongs to, and in which order the last object had them.
pub struct Keys {
    columns: HashMap<Box<str>, u32>,
    /// The key at each position of the last object, as written with its quotes, and its column.
    order: Vec<(Box<[u8]>, Option<u32>)>,
}

impl Keys {
    /// Keys of the given columns, in order. If two columns share a name, the first is found.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut columns = HashMap::new();
        for (index, name) in (0u32..).zip(names) {
            columns.entry(Box::from(name)).or_insert(index);
        }
        Self { columns, order: Vec::new() }
    }

    /// If `bytes` begin with the key that the last object had at `position`: the key's length in
    /// bytes and its column.
    #[inline]
    pub fn expected(&self, position: usize, bytes: &[u8]) -> Option<(usize, Option<u32>)> {
        let (key, column) = self.order.get(position)?;
        bytes.starts_with(key).then_some((key.len(), *column))
    }

    /// Looks a key up and remembers it for the next object. `written` is the key with its quotes, as in the text.
    pub fn look_up(&mut self, position: usize, written: &[u8], key: &str) -> Option<u32> {
        let column = self.columns.get(key).copied();
        if written.len() <= LONGEST_KEY && position < LONGEST_ORDER {
            let entry = (Box::from(written), column);
            match position.cmp(&self.order.len()) {
                Ordering::Less => self.order[position] = entry,
                Ordering::Equal => self.order.push(entry),
                Ordering::Greater => {}
            }
        }
        column
    }
}
