//! Puts entries into a stream: full calls, retries of failed entries only, and rows of a key in
//! their order.

use std::collections::{HashSet, VecDeque};

use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use bytes::{Bytes, BytesMut};
use wasmill_engine::{Error, Result};

use super::entry::{Entry, take};
use crate::api::Api;
use crate::failure::Failure;
use wasmill_connect::spool::{Spool, SpoolFile, SpoolReader};
use wasmill_engine::codes::PREPARED_FILE_DAMAGED;

/// The most records of a call.
const CALL_RECORDS: usize = 500;
/// The most bytes of a call, keys included.
const CALL_BYTES: usize = 5 << 20;
/// This many entries are scanned for a call, and this many bytes of them held.
const WINDOW: (usize, usize) = (5_000, 16 << 20);

/// Reads entries from the files of a spool, one after the other.
pub(super) struct Entries<'a> {
    spool: &'a Spool,
    files: std::slice::Iter<'a, SpoolFile>,
    open: Option<SpoolReader>,
    /// What was read and not taken; an entry may be cut at its end.
    bytes: Bytes,
}

impl<'a> Entries<'a> {
    pub(super) fn new(spool: &'a Spool, files: &'a [SpoolFile]) -> Self {
        Self { spool, files: files.iter(), open: None, bytes: Bytes::new() }
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(entry) = take(&mut self.bytes)? {
                return Ok(Some(entry));
            }
            let Some(open) = &mut self.open else {
                let Some(file) = self.files.next() else { return Ok(None) };
                self.open = Some(self.spool.open(file)?);
                continue;
            };
            match open.next_bytes()? {
                Some(more) => {
                    let mut joined = BytesMut::with_capacity(self.bytes.len() + more.len());
                    joined.extend_from_slice(&self.bytes);
                    joined.extend_from_slice(&more);
                    self.bytes = joined.freeze();
                }
                None if self.bytes.is_empty() => self.open = None,
                None => {
                    return Err(Error::environment("a prepared file ends in the middle of a record")
                        .code(PREPARED_FILE_DAMAGED)
                        .hint("give its rows up with `wasmill state reset`"));
                }
            }
        }
    }
}

/// Entries that wait to be put, in order.
struct Window {
    entries: VecDeque<Entry>,
    bytes: usize,
    ordered: bool,
}

impl Window {
    fn fill(&mut self, source: &mut Entries<'_>) -> Result<()> {
        while self.entries.len() < WINDOW.0 && self.bytes < WINDOW.1 {
            let Some(entry) = source.next()? else { break };
            self.bytes += entry.size();
            self.entries.push_back(entry);
        }
        Ok(())
    }

    /// The places of the entries of the next call. Where order counts, there is one of each key at
    /// most: a later one of a key must not be put where an earlier one is refused.
    fn call(&self) -> Vec<usize> {
        let (mut places, mut bytes, mut keys) = (Vec::new(), 0, HashSet::new());
        for (place, entry) in self.entries.iter().enumerate() {
            if places.len() == CALL_RECORDS || bytes + entry.size() > CALL_BYTES {
                break;
            }
            if self.ordered && !keys.insert(entry.key.as_str()) {
                continue;
            }
            bytes += entry.size();
            places.push(place);
        }
        places
    }

    /// Takes out what was put.
    fn done(&mut self, places: &[usize]) {
        let done: HashSet<usize> = places.iter().copied().collect();
        let mut place = 0;
        self.entries.retain(|entry| {
            let is_done = done.contains(&place);
            place += 1;
            if is_done {
                self.bytes -= entry.size();
            }
            !is_done
        });
    }
}

/// Puts all entries. Fails only when records are refused for too long; what was put before stays.
pub(super) async fn put(api: &Api, mut source: Entries<'_>, ordered: bool) -> Result<()> {
    let mut window = Window { entries: VecDeque::new(), bytes: 0, ordered };
    let mut retry = api.retries.retry();
    loop {
        window.fill(&mut source)?;
        let places = window.call();
        if places.is_empty() {
            return Ok(());
        }
        match put_once(api, &window, &places).await {
            Ok(Outcome { done, refused }) => {
                if !done.is_empty() {
                    retry.worked();
                }
                window.done(&done);
                if let Some(refused) = refused {
                    retry.after(refused).await?;
                }
            }
            Err(failure) => retry.after(failure).await?,
        }
    }
}

/// The result of one call.
struct Outcome {
    /// The places of the entries that were put.
    done: Vec<usize>,
    /// Why another entry was refused, if one was.
    refused: Option<Failure>,
}

/// One call.
async fn put_once(api: &Api, window: &Window, places: &[usize]) -> Result<Outcome, Failure> {
    let entries = places.iter().filter_map(|place| window.entries.get(*place));
    let entries = entries.map(|entry| {
        let data = aws_sdk_kinesis::primitives::Blob::new(entry.data.to_vec());
        PutRecordsRequestEntry::builder().partition_key(&entry.key).data(data).build()
    });
    let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| Error::bug(format!("a record can't be put: {error}")))?;
    let results = api.put(entries).await?;
    if results.len() != places.len() {
        return Err(Failure::passing(format!("{} results came for {} records", results.len(), places.len())));
    }
    let (mut done, mut refused) = (Vec::with_capacity(places.len()), None);
    for (place, result) in places.iter().zip(results) {
        match result {
            None => done.push(*place),
            Some(failure) => refused = Some(failure),
        }
    }
    Ok(Outcome { done, refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(keys: &[&str], size: usize, ordered: bool) -> Window {
        let entries: VecDeque<Entry> = keys.iter().map(|key| Entry { key: (*key).into(), data: vec![0; size].into() }).collect();
        let bytes = entries.iter().map(Entry::size).sum();
        Window { entries, bytes, ordered }
    }

    #[test]
    fn a_call_is_filled_to_its_bounds() {
        let many = vec!["k"; 600];
        assert_eq!(window(&many, 10, false).call(), (0..500).collect::<Vec<_>>());
        assert_eq!(window(&many, (1 << 20) - 1, false).call().len(), 5);
    }

    #[test]
    fn a_later_row_of_a_key_waits_for_the_earlier_ones() {
        let mut window = window(&["a", "b", "a", "c", "b", "a"], 10, true);
        assert_eq!(window.call(), [0, 1, 3]);
        // The first of `a` was refused.
        window.done(&[1, 3]);
        assert_eq!(window.call(), [0, 2]);
        window.done(&[0, 2]);
        assert_eq!((window.call(), window.entries.len(), window.bytes), (vec![0], 2, 22));
    }
}
