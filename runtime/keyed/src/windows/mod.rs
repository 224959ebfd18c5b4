//! Windows over event time, and the watermark that closes them. All times are microseconds since 1970 in UTC.
//!
//! A window is `[end - size, end)` and is known by its end. Rows are kept by *pane*: the largest stretches of time that every window
//! holds whole or not at all, of length `gcd(size, every)`. A pane is known by its end too. A tumbling window is its own only pane. Without windows
//! there is one window, which ends at [`NEVER`].

mod event_time;

pub use event_time::event_times;

use std::collections::{BTreeMap, BTreeSet};

use crate::codes::WINDOW;
use crate::{Error, Result};

/// The end of the window of stages without windows, and the watermark when all sources have ended.
pub const NEVER: i64 = i64::MAX;

/// The watermark before any time is known.
pub const BEGINNING: i64 = i64::MIN;

/// How a stage cuts event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// `None`: one window for all time.
    sizes: Option<Sizes>,
    allowed_lateness: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    size: i64,
    every: i64,
    pane: i64,
}

/// A window that fires at the end of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// The end of the window.
    pub end: i64,
    /// Whether the watermark had passed its end before this epoch, so that the results replace earlier ones, if there were any.
    pub again: bool,
}

impl Windows {
    /// One window for all time.
    pub fn none() -> Self {
        Self { sizes: None, allowed_lateness: 0 }
    }

    /// Windows of `size` microseconds, one after the other.
    ///
    /// # Errors
    /// Configuration: the size is not positive.
    pub fn tumbling(size: i64) -> Result<Self> {
        Self::sliding(size, size)
    }

    /// Windows of `size` microseconds, one of which begins every `every` microseconds. Ends are multiples of `every` from 1970 on.
    ///
    /// # Errors
    /// Configuration: one is not positive, or `every` is larger than `size`, so that rows between the windows would be lost.
    pub fn sliding(size: i64, every: i64) -> Result<Self> {
        let wrong = |message: &str| Err(Error::configuration(message).code(WINDOW));
        if size <= 0 || every <= 0 {
            return wrong("the size of a window and the time between two windows have to be positive");
        }
        if every > size {
            return wrong("`every` is larger than `size`: rows between the windows would be in none");
        }
        Ok(Self { sizes: Some(Sizes { size, every, pane: gcd(size, every) }), allowed_lateness: 0 })
    }

    /// Takes rows until the watermark is this many microseconds behind the end of their last window; negative means none.
    #[must_use]
    pub fn with_allowed_lateness(self, microseconds: i64) -> Self {
        Self { allowed_lateness: microseconds.max(0), ..self }
    }

    /// Whether there is one window for all time.
    pub fn is_none(&self) -> bool {
        self.sizes.is_none()
    }

    /// Whether a pane is a whole window.
    pub fn panes_are_windows(&self) -> bool {
        self.sizes.is_none_or(|sizes| sizes.size == sizes.every)
    }

    /// The length of a window in microseconds; `None` without windows.
    pub fn size(&self) -> Option<i64> {
        self.sizes.map(|sizes| sizes.size)
    }

    /// The time between the beginnings of two windows in microseconds; `None` without windows.
    pub fn every(&self) -> Option<i64> {
        self.sizes.map(|sizes| sizes.every)
    }

    /// The end of the pane that holds a time; `None` where it, or one of its windows, lies outside what 64 bits hold.
    pub fn pane_end(&self, time: i64) -> Option<i64> {
        let Some(Sizes { size, pane, .. }) = self.sizes else { return Some(NEVER) };
        let end = time.div_euclid(pane).checked_add(1)?.checked_mul(pane)?;
        end.checked_sub(size)?;
        end.checked_add(size)?;
        Some(end)
    }

    /// The first time of a pane.
    pub(crate) fn pane_start(&self, pane_end: i64) -> i64 {
        self.sizes.map_or(i64::MIN, |sizes| pane_end - sizes.pane)
    }

    /// The number of a pane; those of panes that follow one another do so too.
    pub(crate) fn pane_number(&self, pane_end: i64) -> i64 {
        self.sizes.map_or(0, |sizes| pane_end / sizes.pane)
    }

    /// The ends of the windows that hold a pane, increasing.
    pub fn windows_of(&self, pane_end: i64) -> impl Iterator<Item = i64> + use<> {
        let (first, last, every) = match self.sizes {
            None => (NEVER, NEVER, 1),
            Some(Sizes { every, .. }) => {
                let floor = pane_end.div_euclid(every).saturating_mul(every);
                (if floor == pane_end { floor } else { floor.saturating_add(every) }, self.last_window(pane_end), every)
            }
        };
        std::iter::successors(Some(first), move |end| end.checked_add(every)).take_while(move |&end| end <= last)
    }

    /// The end of the last window that holds a pane.
    fn last_window(&self, pane_end: i64) -> i64 {
        match self.sizes {
            None => NEVER,
            Some(Sizes { size, every, .. }) => pane_end.saturating_add(size - 1).div_euclid(every).saturating_mul(every),
        }
    }

    /// The ends of the panes of a window: from the first to the last.
    pub fn panes_of(&self, window_end: i64) -> std::ops::RangeInclusive<i64> {
        match self.sizes {
            None => window_end..=window_end,
            Some(Sizes { size, pane, .. }) => window_end.saturating_sub(size - pane)..=window_end,
        }
    }

    /// Whether no window of a pane takes rows any more: its state can go, and rows that come for it are late.
    pub fn has_expired(&self, pane_end: i64, watermark: i64) -> bool {
        self.takes_no_more(self.last_window(pane_end), watermark)
    }

    /// The least watermark at which [a pane has expired](Self::has_expired); `None` without windows.
    pub fn expires_at(&self, pane_end: i64) -> Option<i64> {
        let at = self.last_window(pane_end).saturating_add(self.allowed_lateness);
        (!self.is_none() && at != NEVER).then_some(at)
    }

    /// Whether a window takes no rows any more.
    pub(crate) fn takes_no_more(&self, window_end: i64, watermark: i64) -> bool {
        window_end.saturating_add(self.allowed_lateness) <= watermark
    }

    /// The windows that fire at the end of an epoch, in increasing order of their ends.
    ///
    /// A window fires when the watermark passes its end: it is above `before` and not above `now`. A window that has passed fires again, whole, where
    /// it takes rows still and one of its panes has got some in this epoch. `kept` are the ends of the panes that there were, `added` of those
    /// that got rows; `before` and `now` are the watermarks at the begin and the end of the epoch.
    pub fn firing(&self, kept: impl IntoIterator<Item = i64>, added: impl IntoIterator<Item = i64>, before: i64, now: i64) -> Vec<Firing> {
        let mut ends = BTreeMap::new();
        let added: BTreeSet<i64> = added.into_iter().collect();
        let mut panes: BTreeSet<i64> = kept.into_iter().collect();
        for &pane in &added {
            let passed = self.windows_of(pane).filter(|&end| end <= before && !self.takes_no_more(end, before));
            ends.extend(passed.map(|end| (end, true)));
        }
        panes.extend(added);
        for pane in panes {
            ends.extend(self.windows_of(pane).filter(|&end| before < end && end <= now).map(|end| (end, false)));
        }
        ends.into_iter().map(|(end, again)| Firing { end, again }).collect()
    }
}

fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests;
