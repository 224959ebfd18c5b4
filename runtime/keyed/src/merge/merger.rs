//! The merge itself.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::BATCH_GROUPS;
use super::cursor::{Cursor, Span};
use super::feed::{Feed, Take};
use super::heap::Heap;
use crate::groups::prefix;
use crate::key::{KeyGroups, Keys};
use crate::run::{Place, Run};
use crate::{Accumulator, Result};

/// State rows after which a batch of keys ends, at the next key.
const BATCH_ROWS: usize = 262_144;

/// A part of a run in a merge.
pub(crate) struct Source {
    cursor: Cursor,
    head: Head,
}

/// What most comparisons are decided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    end: i64,
    key_group: u8,
    prefix: u128,
}

/// Keys whose states an accumulator holds: key `i` is its group `i`.
#[derive(Debug, Default)]
pub(crate) struct MergedKeys {
    pub ends: Vec<i64>,
    pub key_groups: Vec<u8>,
    pub keys: Keys,
    /// Whether a complete entry was among a key's states.
    pub complete: Vec<bool>,
}

impl MergedKeys {
    pub fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Merges runs. See the [module](super).
pub(crate) struct Merger {
    /// The ends of all keys are taken for this one.
    window: Option<i64>,
    /// From the oldest to the newest; of a window by pane first.
    sources: Vec<Source>,
    heap: Heap,
    /// Sources that give no keys of their own: they are asked for those of the others. All are older than these.
    lookups: Vec<Source>,
    feed: Feed,
    /// Of the key in hand: the sources at it, and those whose states count.
    equal: Vec<usize>,
    chosen: Vec<usize>,
    covered: Vec<i64>,
    /// The most keys of a batch.
    most_keys: usize,
    /// The keys of the batch in which an error happened.
    failed: MergedKeys,
}

impl Merger {
    /// Merges keys of the same window: everything within `span` that is in `runs`, which come from the oldest to the newest.
    pub fn of_places(state_schema: SchemaRef, runs: &[Arc<Run>], span: &Span) -> Result<Self> {
        let sources = sources(runs, span)?;
        Ok(Self::new(state_schema, None, sources, Vec::new()))
    }

    /// Like [`of_places`](Self::of_places), of the keys in `new` alone, with the states that older runs have of them. Cost follows the number of
    /// new keys: older runs are searched, not read.
    pub fn of_new_places(state_schema: SchemaRef, old: &[Arc<Run>], new: &[Arc<Run>], span: &Span) -> Result<Self> {
        Ok(Self::new(state_schema, None, sources(new, span)?, sources(old, span)?))
    }

    /// Merges the panes of one window into it.
    pub fn of_window(state_schema: SchemaRef, window: Window, runs: &[Arc<Run>]) -> Result<Self> {
        Ok(Self::new(state_schema, Some(window.end), window.sources(runs)?, Vec::new()))
    }

    /// Like [`of_window`](Self::of_window), of the keys in `new` alone, with what older runs have of them.
    pub fn of_new_in_window(state_schema: SchemaRef, window: Window, old: &[Arc<Run>], new: &[Arc<Run>]) -> Result<Self> {
        Ok(Self::new(state_schema, Some(window.end), window.sources(new)?, window.sources(old)?))
    }

    fn new(state_schema: SchemaRef, window: Option<i64>, sources: Vec<Source>, lookups: Vec<Source>) -> Self {
        let feed = Feed::new(state_schema, lookups.len() + sources.len());
        let mut merger = Self {
            window,
            sources,
            heap: Heap::default(),
            lookups,
            feed,
            equal: Vec::new(),
            chosen: Vec::new(),
            covered: Vec::new(),
            most_keys: BATCH_GROUPS,
            failed: MergedKeys::default(),
        };
        for index in 0..merger.sources.len() {
            merger.sources[index].set_head(window);
            if merger.sources[index].cursor.place().is_some() {
                merger.heap.push(index, |one, other| order(&merger.sources, one, other));
            }
        }
        merger
    }

    /// Merges the next keys into an empty accumulator; `None` when there are no more.
    pub fn next(&mut self, accumulator: &mut dyn Accumulator) -> Result<Option<MergedKeys>> {
        self.next_into(&mut |states, groups, count| accumulator.merge(states, groups, count))
    }

    /// Hands the states of the next keys to `into`, as [`Accumulator::merge`] gets them; `None` when there are no more.
    pub fn next_into(&mut self, into: &mut Take<'_>) -> Result<Option<MergedKeys>> {
        let mut keys = MergedKeys::default();
        match self.fill(&mut keys, into) {
            Ok(()) => Ok((keys.len() > 0).then_some(keys)),
            Err(error) => {
                self.failed = keys;
                Err(error)
            }
        }
    }

    /// Merges one key at a time, to find the one that an error comes from.
    pub fn one_by_one(self) -> Self {
        Self { most_keys: 1, ..self }
    }

    /// The keys of the batch in which the last error happened.
    pub fn failed(&self) -> &MergedKeys {
        &self.failed
    }

    fn fill(&mut self, keys: &mut MergedKeys, into: &mut Take<'_>) -> Result<()> {
        let mut rows = 0;
        self.feed.restart();
        while keys.len() < self.most_keys && rows < BATCH_ROWS {
            if !self.find_equal() {
                break;
            }
            self.name_key(keys);
            let complete = self.choose(keys)?;
            keys.complete.push(complete);
            let group = keys.len() as u32 - 1;
            rows += self.take(keys, group, into)?;
        }
        match keys.len() {
            0 => Ok(()),
            count => self.feed.flush(into, count as u32),
        }
    }

    /// Finds the sources that are at the least key, in the order of the sources. `false` at the end. Where there are several they leave the heap.
    fn find_equal(&mut self) -> bool {
        let Self { sources, heap, equal, .. } = self;
        equal.clear();
        let Some(top) = heap.top() else { return false };
        equal.push(top);
        if heap.next_ones().all(|next| !same_key(sources, top, next)) {
            return true;
        }
        heap.pop(|one, other| order(sources, one, other));
        while let Some(next) = heap.top().filter(|&next| same_key(sources, top, next)) {
            heap.pop(|one, other| order(sources, one, other));
            equal.push(next);
        }
        true
    }

    fn name_key(&self, keys: &mut MergedKeys) {
        if let Some(place) = self.equal.first().and_then(|&first| self.sources[first].cursor.place()) {
            keys.ends.push(self.window.unwrap_or(place.end));
            keys.key_groups.push(place.key_group);
            keys.keys.push(place.key);
        }
    }

    /// Chooses whose states of the key count: of each pane those back to its newest complete entry. Lookups are numbered before the other sources.
    fn choose(&mut self, keys: &MergedKeys) -> Result<bool> {
        let Self { sources, lookups, equal, chosen, covered, .. } = self;
        chosen.clear();
        covered.clear();
        let mut choose = |source: &Source, index: usize, covered: &mut Vec<i64>| {
            let Some((block, entry)) = source.cursor.here() else { return };
            let end = block.ends()[entry];
            if !covered.contains(&end) {
                chosen.push(index);
                if block.complete().value(entry) {
                    covered.push(end);
                }
            }
        };
        for &index in equal.iter().rev() {
            choose(&sources[index], lookups.len() + index, covered);
        }
        let last = keys.len() - 1;
        let (key_group, key) = (keys.key_groups[last], keys.keys.get(last));
        for (index, source) in lookups.iter_mut().enumerate().rev() {
            let end = match self.window {
                None => keys.ends[last],
                Some(_) => source.head.end,
            };
            if covered.contains(&end) {
                continue;
            }
            let place = Place { end, key_group, key };
            source.cursor.seek(place)?;
            if source.cursor.place() == Some(place) {
                choose(source, index, covered);
            }
        }
        Ok(!covered.is_empty())
    }

    /// Takes the states of the key in hand and moves the sources that had it behind it.
    fn take(&mut self, keys: &MergedKeys, group: u32, into: &mut Take<'_>) -> Result<usize> {
        let key = keys.keys.get(group as usize);
        let mut rows = 0;
        let Self { lookups, feed, chosen, .. } = self;
        for &index in chosen.iter() {
            if let Some(source) = lookups.get_mut(index) {
                rows += take_key(&mut source.cursor, key, |block, entry| feed.take(index, block, entry, group))?;
            }
        }
        let is_only = self.equal.len() == 1;
        for &index in &self.equal {
            let number = self.lookups.len() + index;
            let is_chosen = self.chosen.contains(&number);
            let source = &mut self.sources[index];
            rows += take_key(&mut source.cursor, key, |block, entry| {
                if is_chosen {
                    self.feed.take(number, block, entry, group);
                }
            })?;
            source.set_head(self.window);
            let (sources, is_at_end) = (&self.sources, self.sources[index].cursor.place().is_none());
            match (is_only, is_at_end) {
                (true, true) => drop(self.heap.pop(|one, other| order(sources, one, other))),
                (true, false) => self.heap.sink(|one, other| order(sources, one, other)),
                (false, true) => {}
                (false, false) => self.heap.push(index, |one, other| order(sources, one, other)),
            }
        }
        if self.feed.is_full() {
            self.feed.flush(into, group + 1)?;
        }
        Ok(rows)
    }
}

/// Moves a cursor over all entries of the place that it is at. Returns how many rows they have.
fn take_key(cursor: &mut Cursor, key: &[u8], mut entry: impl FnMut(&Arc<crate::run::Block>, usize)) -> Result<usize> {
    let mut rows = 0;
    let end = cursor.place().map(|place| place.end);
    while let Some((block, at)) = cursor.here() {
        let place = block.place(at);
        if Some(place.end) != end || place.key != key {
            break;
        }
        rows += block.rows(at).len();
        entry(block, at);
        cursor.advance()?;
    }
    Ok(rows)
}

/// A window in a merge: its end, its panes, and the key groups that are merged.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub end: i64,
    pub span: Span,
}

impl Window {
    /// A source for each pane of each run, by pane first.
    fn sources(&self, runs: &[Arc<Run>]) -> Result<Vec<Source>> {
        let mut panes: Vec<(i64, usize)> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let from = run.windows().partition_point(|window| window.end < *self.span.ends.start());
            let ends = run.windows()[from..].iter().map(|window| window.end).take_while(|end| self.span.ends.contains(end));
            panes.extend(ends.map(|end| (end, index)));
        }
        panes.sort_unstable();
        panes
            .into_iter()
            .map(|(end, index)| {
                let span = Span { ends: end..=end, key_groups: KeyGroups::clone(&self.span.key_groups) };
                let cursor = Cursor::new(Arc::clone(&runs[index]), span)?;
                Ok(Source { cursor, head: Head { end, ..Head::default() } })
            })
            .collect()
    }
}

fn sources(runs: &[Arc<Run>], span: &Span) -> Result<Vec<Source>> {
    let source = |run: &Arc<Run>| Ok(Source { cursor: Cursor::new(Arc::clone(run), span.clone())?, head: Head::default() });
    runs.iter().map(source).collect()
}

impl Source {
    #[inline]
    fn set_head(&mut self, window: Option<i64>) {
        if let Some(place) = self.cursor.place() {
            self.head = Head { end: window.unwrap_or(place.end), key_group: place.key_group, prefix: prefix(place.key) };
        }
    }
}

/// By key, then by age.
#[inline]
fn order(sources: &[Source], one: usize, other: usize) -> Ordering {
    let (a, b) = (&sources[one], &sources[other]);
    a.head.cmp(&b.head).then_with(|| key(a).cmp(&key(b))).then(one.cmp(&other))
}

#[inline]
fn same_key(sources: &[Source], one: usize, other: usize) -> bool {
    let (a, b) = (&sources[one], &sources[other]);
    a.head == b.head && key(a) == key(b)
}

fn key(source: &Source) -> Option<&[u8]> {
    source.cursor.place().map(|place| place.key)
}
