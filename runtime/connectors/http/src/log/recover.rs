//! Opens a log: verifies it, cuts off what was being written, and finds out where it ends.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use twox_hash::XxHash3_64;
use uuid::Uuid;
use wasmill_engine::codes::DISK;
use wasmill_engine::disk::create_folder;
use wasmill_engine::{Error, Result};

use super::block::has_block;
use super::keys::{Keys, Known};
use super::scan::{Found, Segment};
use super::{Limits, files, millis, now_millis};
use crate::codes::{LOG_DAMAGED, LOG_IN_USE, LOG_LOST};

/// A log as it was found.
pub(super) struct Recovered {
    pub id: Uuid,
    pub lock: File,
    pub next: u64,
    pub keys: Keys,
    pub blocks: VecDeque<(u64, u64)>,
    pub written: u64,
    pub committed: u64,
    pub segments: BTreeMap<u64, u64>,
    /// The first record of the segment that is written on, if there is one.
    pub last: Option<u64>,
}

/// A log without its lock, for reading what is there.
pub(crate) struct Extent {
    pub id: Uuid,
    /// The first record that it has, and the number behind the last.
    pub records: std::ops::Range<u64>,
}

/// The error for a file that is not as it was written.
pub(super) fn damaged(path: &Path, what: &str) -> Error {
    Error::environment(format!("the log of requests {} is damaged: {what}", path.display()))
        .code(LOG_DAMAGED)
        .hint("restore its folder; `wasmill explain http/log-damaged` says what else can be done")
}

fn lost(folder: &Path, what: &str) -> Error {
    Error::environment(format!("the log of requests in {} is not the one that the checkpoint has read: {what}", folder.display()))
        .code(LOG_LOST)
        .hint("restore the folder, or start over with `wasmill state reset`: requests that were not read are lost")
}

/// Opens a log for writing.
pub(super) fn open(folder: &Path, limits: Limits, committed: Option<(Uuid, u64)>) -> Result<Recovered> {
    create_folder(folder)?;
    let lock = lock(folder)?;
    files::remove_unfinished(folder)?;
    let id = match read_id(folder)? {
        Some(id) => id,
        None if committed.is_some() => return Err(lost(folder, "there is none")),
        None => create_id(folder)?,
    };
    let mut found = scan(folder, id, Ending::CutOff)?;
    check(folder, id, &found.records, committed)?;
    let after = now_millis() - millis(limits.keep_keys);
    let mut keys = Keys::default();
    for first in files::list(folder)?.1 {
        if !keys.load(&files::keys(folder, first), after)? {
            files::remove(&files::keys(folder, first))?;
        }
    }
    for (key, known) in found.keys.into_iter().filter(|(_, known)| known.at >= after) {
        keys.add(key, known);
    }
    let committed = committed.map_or_else(|| begin(folder, &found.records), |(_, record)| Ok(record))?;
    let mut bytes = 0;
    while let Some(&(end, to)) = found.blocks.front()
        && end <= committed
    {
        found.blocks.pop_front();
        bytes = to;
    }
    let last = found.segments.keys().next_back().copied();
    let (next, blocks, written, segments) = (found.records.end, found.blocks, found.written, found.segments);
    Ok(Recovered { id, lock, next, keys, blocks, written, committed: bytes, segments, last })
}

/// What a log has, without its lock; `None` if there is none.
///
/// # Errors
/// Environment: it is damaged, or lacks what the checkpoint has read.
pub(crate) fn extent(folder: &Path, committed: Option<(Uuid, u64)>) -> Result<Option<Extent>> {
    let Some(id) = read_id(folder)? else {
        return if committed.is_some() { Err(lost(folder, "there is none")) } else { Ok(None) };
    };
    let found = scan(folder, id, Ending::LeaveOut)?;
    check(folder, id, &found.records, committed)?;
    Ok(Some(Extent { id, records: found.records }))
}

/// Where a source begins that knows of no progress: behind what was committed before its state was reset.
pub(crate) fn begin(folder: &Path, records: &std::ops::Range<u64>) -> Result<u64> {
    let path = folder.join("read-to");
    let Some(text) = files::read(&path)? else { return Ok(records.start) };
    let noted = std::str::from_utf8(&text).ok().and_then(|text| {
        let record = text.split(' ').next()?.parse().ok()?;
        (read_to(record) == text).then_some(record)
    });
    let noted = noted.ok_or_else(|| damaged(&path, "it does not match its checksum"))?;
    Ok(if (records.start..=records.end).contains(&noted) { noted } else { records.start })
}

/// The text of the file `read-to`: the number of a record, and a checksum. A changed digit would leave out records.
pub(super) fn read_to(record: u64) -> String {
    format!("{record} {:016x}\n", XxHash3_64::oneshot(&record.to_le_bytes()))
}

/// Whether a checkpoint fits.
fn check(folder: &Path, id: Uuid, records: &std::ops::Range<u64>, committed: Option<(Uuid, u64)>) -> Result<()> {
    let Some((of, record)) = committed else { return Ok(()) };
    if of != id {
        return Err(lost(folder, "it was created anew"));
    }
    if record > records.end {
        return Err(lost(folder, &format!("the checkpoint has read {record} records, and it has {}", records.end)));
    }
    if record < records.start {
        return Err(lost(folder, &format!("the checkpoint is at record {record}, and it begins with {}", records.start)));
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|error| Error::io(format_args!("open {}", path.display()), error).or_code(DISK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::environment(format!("another process has the log of requests in {}", folder.display()))
                .code(LOG_IN_USE)
                .hint("stop it, or give this source another `folder`"))
        }
        Err(TryLockError::Error(error)) => Err(Error::io(format_args!("lock {}", path.display()), error).or_code(DISK)),
    }
}

fn read_id(folder: &Path) -> Result<Option<Uuid>> {
    let path = folder.join("id");
    let Some(text) = files::read(&path)? else { return Ok(None) };
    let id = std::str::from_utf8(&text).ok().and_then(|text| Uuid::try_parse(text.trim()).ok());
    id.map(Some).ok_or_else(|| damaged(&path, "it is not the id of a log"))
}

fn create_id(folder: &Path) -> Result<Uuid> {
    if let Some(first) = files::list(folder)?.0.first() {
        return Err(damaged(&files::segment(folder, *first), "the file `id` beside it is gone"));
    }
    let id = Uuid::new_v4();
    files::replace(&folder.join("id"), format!("{id}\n").as_bytes())?;
    Ok(id)
}

/// What to do with the end of a block that was being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    CutOff,
    LeaveOut,
}

struct Scanned {
    records: std::ops::Range<u64>,
    keys: Vec<([u8; 16], Known)>,
    blocks: VecDeque<(u64, u64)>,
    written: u64,
    segments: BTreeMap<u64, u64>,
}

/// Reads and verifies all segments.
fn scan(folder: &Path, id: Uuid, ending: Ending) -> Result<Scanned> {
    let (segments, _) = files::list(folder)?;
    let start = segments.first().copied().unwrap_or(0);
    let mut all = Scanned { records: start..start, keys: Vec::new(), blocks: VecDeque::new(), written: 0, segments: BTreeMap::new() };
    for (at, &first) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len();
        if first != all.records.end {
            return Err(damaged(&files::segment(folder, first), &format!("it follows record {}: one before it is gone", all.records.end)));
        }
        let Some(mut segment) = Segment::open(folder, id, first)? else {
            if !is_last {
                return Err(damaged(&files::segment(folder, first), "it is cut off in its beginning"));
            }
            if ending == Ending::CutOff {
                files::remove(&files::segment(folder, first))?;
            }
            break;
        };
        scan_segment(&mut segment, is_last, ending, &mut all)?;
        all.segments.insert(first, segment.at);
    }
    Ok(all)
}

fn scan_segment(segment: &mut Segment, is_last: bool, ending: Ending, all: &mut Scanned) -> Result<()> {
    loop {
        let before = segment.at;
        match segment.next()? {
            Found::End => return Ok(()),
            Found::Block(entries) => {
                for entry in entries {
                    if entry.first != all.records.end {
                        let what = format!("record {} is where {} belongs", entry.first, all.records.end);
                        return Err(damaged(segment.path(), &what));
                    }
                    let count = entry.records.len();
                    all.records.end += count as u64;
                    if let Some(key) = entry.key {
                        let known = Known { request: key.request, first: entry.first, count: count as u32, at: entry.at };
                        all.keys.push((key.key, known));
                    }
                }
                all.written += segment.at - before;
                all.blocks.push_back((all.records.end, all.written));
            }
            Found::Torn => {
                // A block is only written when the one before it is durable.
                if !is_last || has_block(&segment.rest()?) {
                    return Err(damaged(segment.path(), &format!("the block at byte {} does not match its checksum", segment.at)));
                }
                if ending == Ending::CutOff {
                    tracing::warn!(
                        "{} ends in a block that was being written: it is cut off; none of its requests was answered",
                        segment.path().display()
                    );
                    cut(segment.path(), segment.at)?;
                }
                return Ok(());
            }
        }
    }
}

fn cut(path: &Path, length: u64) -> Result<()> {
    let cut = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    };
    cut().map_err(|error| Error::io(format_args!("cut {}", path.display()), error).or_code(DISK))
}
