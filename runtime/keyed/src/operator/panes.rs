//! The panes that an epoch's rows fall into.

use std::collections::HashMap;

use arrow_buffer::NullBuffer;

use crate::RowReject;
use crate::windows::Windows;

/// Panes by the low bits of their end are looked up without hashing.
const CACHE: usize = 64;

/// What becomes of a row by its event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pane(u32),
    Late,
    OutOfRange,
}

/// Numbers the panes of an epoch.
#[derive(Debug)]
pub(crate) struct Panes {
    windows: Windows,
    watermark: i64,
    /// The ends by number.
    ends: Vec<i64>,
    numbers: HashMap<i64, Fate>,
    cache: [(i64, Fate); CACHE],
}

/// Rows by what becomes of them.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// The pane of each row that is taken.
    pub panes: Vec<u32>,
    /// The rows that are taken, where those are not all.
    pub taken: Vec<u32>,
    pub late: Vec<u32>,
    pub without_time: Vec<u32>,
    pub out_of_range: Vec<u32>,
}

impl Sorted {
    pub fn takes_all(&self) -> bool {
        self.late.is_empty() && self.without_time.is_empty() && self.out_of_range.is_empty()
    }

    /// Makes more of the rows that are taken late.
    pub fn also_late(&mut self, is_late: impl Fn(u32) -> bool) {
        if !self.taken.iter().any(|&row| is_late(row)) {
            return;
        }
        let (taken, panes) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.panes));
        for (row, pane) in taken.into_iter().zip(panes) {
            if is_late(row) {
                self.late.push(row);
            } else {
                self.taken.push(row);
                self.panes.push(pane);
            }
        }
        self.late.sort_unstable();
    }

    /// Takes rows out of those that are taken, and returns how many.
    pub fn drop_rows(&mut self, is_out: impl Fn(u32) -> bool) -> usize {
        if !self.taken.iter().any(|&row| is_out(row)) {
            return 0;
        }
        let (taken, panes) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.panes));
        let before = taken.len();
        (self.taken, self.panes) = taken.into_iter().zip(panes).filter(|&(row, _)| !is_out(row)).unzip();
        before - self.taken.len()
    }

    /// The rows that have no event time, or one that lies in no window, in increasing order.
    pub fn rejects(&self, column: &str) -> Vec<RowReject> {
        let reject = |code: &'static str, message: &'static str| {
            move |&row: &u32| RowReject { row, code: code.to_owned(), column: Some(column.to_owned()), message: message.to_owned() }
        };
        let without = self.without_time.iter().map(reject("no-event-time", "the row has no event time"));
        let far = reject("event-time-out-of-range", "the event time is too far from 1970 to lie in a window");
        let mut rejects: Vec<RowReject> = without.chain(self.out_of_range.iter().map(far)).collect();
        rejects.sort_by_key(|reject| reject.row);
        rejects
    }

    pub fn clear(&mut self) {
        for rows in [&mut self.panes, &mut self.taken, &mut self.late, &mut self.without_time, &mut self.out_of_range] {
            rows.clear();
        }
    }
}

impl Panes {
    pub fn new(windows: Windows, watermark: i64) -> Self {
        Self { windows, watermark, ends: Vec::new(), numbers: HashMap::new(), cache: [(i64::MIN, Fate::OutOfRange); CACHE] }
    }

    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    pub fn ends(&self) -> &[i64] {
        &self.ends
    }

    pub fn memory_bytes(&self) -> usize {
        self.ends.capacity() * size_of::<i64>() + self.numbers.capacity() * size_of::<(i64, Fate)>()
    }

    /// The number of the only pane of stages without windows; `None` where it takes no rows any more.
    pub fn only(&mut self) -> Option<u32> {
        match self.fate(crate::windows::NEVER) {
            Fate::Pane(number) => Some(number),
            _ => None,
        }
    }

    /// Sorts rows by their times, over what `into` held.
    pub fn sort(&mut self, times: &[i64], nulls: Option<&NullBuffer>, into: &mut Sorted) {
        into.clear();
        into.panes.reserve(times.len());
        // Times are mostly near one another: the division is left out while they stay in one pane.
        let (mut here, mut fate) = (0..0, Fate::OutOfRange);
        for (row, &time) in times.iter().enumerate() {
            let number = row as u32;
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                into.without_time.push(number);
                continue;
            }
            if !here.contains(&time) {
                (here, fate) = match self.windows.pane_end(time) {
                    Some(end) => (self.windows.pane_start(end)..end, self.fate(end)),
                    None => (0..0, Fate::OutOfRange),
                };
            }
            match fate {
                Fate::Pane(pane) => {
                    into.panes.push(pane);
                    into.taken.push(number);
                }
                Fate::Late => into.late.push(number),
                Fate::OutOfRange => into.out_of_range.push(number),
            }
        }
    }

    #[inline]
    fn fate(&mut self, end: i64) -> Fate {
        let slot = self.windows.pane_number(end) as usize % CACHE;
        if self.cache[slot].0 == end {
            return self.cache[slot].1;
        }
        let fate = match self.numbers.get(&end) {
            Some(&fate) => fate,
            None => self.add(end),
        };
        self.cache[slot] = (end, fate);
        fate
    }

    fn add(&mut self, end: i64) -> Fate {
        let fate = if self.windows.has_expired(end, self.watermark) {
            Fate::Late
        } else {
            self.ends.push(end);
            Fate::Pane(self.ends.len() as u32 - 1)
        };
        self.numbers.insert(end, fate);
        fate
    }
}
