//! A binary heap of sources by the places that they are at.

use std::cmp::Ordering;

/// Indices of sources, the least on top. Comparisons come from outside: they need the sources.
#[derive(Debug, Default)]
pub(super) struct Heap(Vec<u32>);

impl Heap {
    pub fn top(&self) -> Option<usize> {
        self.0.first().map(|&index| index as usize)
    }

    /// The one or two of which one is the next after the top.
    pub fn next_ones(&self) -> impl Iterator<Item = usize> {
        self.0.iter().skip(1).take(2).map(|&index| index as usize)
    }

    pub fn push(&mut self, index: usize, order: impl Fn(usize, usize) -> Ordering) {
        self.0.push(index as u32);
        let mut at = self.0.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if order(self.0[parent] as usize, self.0[at] as usize).is_le() {
                break;
            }
            self.0.swap(parent, at);
            at = parent;
        }
    }

    pub fn pop(&mut self, order: impl Fn(usize, usize) -> Ordering) -> Option<usize> {
        let top = self.top()?;
        self.0.swap_remove(0);
        self.sink(order);
        Some(top)
    }

    /// Moves the top to its place, after its source has moved.
    pub fn sink(&mut self, order: impl Fn(usize, usize) -> Ordering) {
        let mut at = 0;
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.0.len() && order(self.0[child] as usize, self.0[least] as usize).is_lt() {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.0.swap(at, least);
            at = least;
        }
    }
}
