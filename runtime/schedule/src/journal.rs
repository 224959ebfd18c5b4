//! What has happened to the jobs of a schedule: one line of JSON per entry, in a file that only grows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmill_engine::codes::DISK;
use wasmill_engine::disk::sync_folder;
use wasmill_engine::{Error, Result};

use crate::codes::HISTORY_DAMAGED;
use crate::{Attempt, Moment, Outcome};

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Entry {
    /// The schedule has the job since then, or has other times for it. Times before that are none of its business.
    Known {
        /// The job's name.
        job: String,
        /// When.
        at: Moment,
        /// The cron expression and its zone.
        times: String,
    },
    /// Times of the job passed without a run.
    Skipped {
        /// The job's name.
        job: String,
        /// When that was noted.
        at: Moment,
        /// The first of these times.
        first: Moment,
        /// The last of them.
        last: Moment,
        /// How many there are.
        count: u64,
        /// Why.
        why: Skipped,
    },
    /// An attempt is about to begin.
    Started {
        /// The job's name.
        job: String,
        /// When.
        at: Moment,
        /// What for.
        #[serde(flatten)]
        attempt: Attempt,
        /// The file with what the process prints, below the folder of the schedule.
        log: String,
    },
    /// An attempt has ended.
    Ended {
        /// The job's name.
        job: String,
        /// When.
        at: Moment,
        /// What it was for.
        #[serde(flatten)]
        attempt: Attempt,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
        /// How long it took.
        seconds: f64,
        /// How many records the pipeline has read, if it reported that.
        #[serde(skip_serializing_if = "Option::is_none")]
        rows: Option<u64>,
        /// What went wrong, as the process reported it.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// Why times passed without a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skipped {
    /// No scheduler ran.
    Missed,
    /// The run before had not ended, or waited for its next attempt.
    Overlap,
    /// A later time is run in their place.
    Superseded,
}

impl Entry {
    /// The job's name.
    pub fn job(&self) -> &str {
        match self {
            Self::Known { job, .. } | Self::Skipped { job, .. } | Self::Started { job, .. } | Self::Ended { job, .. } => job,
        }
    }

    /// When it was noted.
    pub fn at(&self) -> Moment {
        match self {
            Self::Known { at, .. } | Self::Skipped { at, .. } | Self::Started { at, .. } | Self::Ended { at, .. } => *at,
        }
    }
}

/// The file of a schedule's history, open for writing.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

const NAME: &str = "history.jsonl";
/// With more entries than this, a start drops the oldest.
const MOST_ENTRIES: usize = 20_000;
/// How many of each job stay then.
const KEPT_PER_JOB: usize = 500;

impl Journal {
    /// Opens the history in a folder that the caller has locked, and reads it. A last line that a killed process left half written is removed.
    ///
    /// # Errors
    /// It can't be read or written, or a line is damaged.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Entry>)> {
        let path = folder.join(NAME);
        let bytes = read_bytes(&path)?;
        let whole = whole_lines(&bytes);
        let entries = decode(&path, whole)?;
        let shown = path.display();
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.map_err(|error| Error::io(format_args!("open {shown}"), error).or_code(DISK))?;
        file.set_len(whole.len() as u64)
            .and_then(|()| file.sync_all())
            .map_err(|error| Error::io(format_args!("write to {shown}"), error).or_code(DISK))?;
        sync_folder(folder)?;
        let mut journal = Self { path, file };
        if entries.len() > MOST_ENTRIES {
            journal.rewrite(folder, &entries)?;
        }
        Ok((journal, entries))
    }

    /// Reads the history in a folder, beside a process that may be writing it.
    ///
    /// # Errors
    /// It can't be read, or a line is damaged.
    pub fn read(folder: &Path) -> Result<Vec<Entry>> {
        let path = folder.join(NAME);
        let bytes = read_bytes(&path)?;
        decode(&path, whole_lines(&bytes))
    }

    /// Adds an entry. It is durable when this returns.
    ///
    /// # Errors
    /// It can't be written.
    pub fn add(&mut self, entry: &Entry) -> Result<()> {
        let line = encode(entry)?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| Error::io(format_args!("write to {}", self.path.display()), error).or_code(DISK))
    }

    /// Replaces the file by one with the newest entries of each job.
    fn rewrite(&mut self, folder: &Path, entries: &[Entry]) -> Result<()> {
        let failed = |error| Error::io(format_args!("rewrite {}", self.path.display()), error).or_code(DISK);
        let mut new = tempfile::Builder::new().prefix(".history-").tempfile_in(folder).map_err(failed)?;
        for entry in newest(entries) {
            new.write_all(encode(entry)?.as_bytes()).map_err(failed)?;
        }
        new.as_file().sync_all().map_err(failed)?;
        new.persist(&self.path).map_err(|error| failed(error.error))?;
        sync_folder(folder)?;
        self.file = OpenOptions::new().append(true).open(&self.path).map_err(failed)?;
        Ok(())
    }
}

/// The newest entries of each job, in their order. What a job is known since stays: it decides which times are its own.
fn newest(entries: &[Entry]) -> Vec<&Entry> {
    let (mut counts, mut known) = (BTreeMap::<&str, usize>::new(), BTreeSet::new());
    let mut kept: Vec<&Entry> = entries
        .iter()
        .rev()
        .filter(|entry| {
            let count = counts.entry(entry.job()).or_default();
            *count += 1;
            let is_newest_known = matches!(entry, Entry::Known { .. }) && known.insert(entry.job());
            is_newest_known || *count <= KEPT_PER_JOB
        })
        .collect();
    kept.reverse();
    kept
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(format_args!("read the history {}", path.display()), error)),
    }
}

/// Everything up to the last line's end.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    &bytes[..end]
}

fn encode(entry: &Entry) -> Result<String> {
    let text = serde_json::to_string(entry).map_err(|error| Error::bug(format!("an entry of the history is no JSON: {error}")))?;
    Ok(text + "\n")
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|error| {
                Error::environment(format!("line {} of the history {} is damaged: {error}", index + 1, path.display()))
                    .code(HISTORY_DAMAGED)
                    .hint("restore the file from a backup; without it, the schedule starts over")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(second: i64) -> Moment {
        Moment::from_timestamp(second, 0).unwrap()
    }

    fn ended(job: &str, second: i64, outcome: Outcome) -> Entry {
        let attempt = Attempt { scheduled: moment(second), attempt: 1, by_hand: false };
        Entry::Ended { job: job.into(), at: moment(second), attempt, outcome, seconds: 1.5, rows: Some(3), error: None }
    }

    #[test]
    fn what_is_added_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, entries) = Journal::open(folder.path()).unwrap();
        assert_eq!(entries, []);
        let outcomes =
            [Outcome::Succeeded, Outcome::Failed { status: 5 }, Outcome::Killed { signal: 9 }, Outcome::TimedOut, Outcome::Stopped];
        let mut all: Vec<Entry> = outcomes.into_iter().zip(0..).map(|(outcome, second)| ended("a", second, outcome)).collect();
        let attempt = Attempt { scheduled: moment(9), attempt: 2, by_hand: true };
        all.push(Entry::Known { job: "a".into(), at: moment(7), times: "0 2 * * * UTC".into() });
        all.push(Entry::Started { job: "a".into(), at: moment(9), attempt, log: "jobs/a/x.log".into() });
        let (first, last) = (moment(1), moment(5));
        all.push(Entry::Skipped { job: "b".into(), at: moment(9), first, last, count: 5, why: Skipped::Missed });
        all.iter().for_each(|entry| journal.add(entry).unwrap());
        assert_eq!(Journal::read(folder.path()).unwrap(), all);
        drop(journal);
        assert_eq!(Journal::open(folder.path()).unwrap().1, all);
    }

    #[test]
    fn a_half_written_last_line_goes_and_any_other_damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        journal.add(&ended("a", 1, Outcome::Succeeded)).unwrap();
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            let torn = [&whole[..], &whole[..cut]].concat();
            fs::write(&path, &torn).unwrap();
            assert_eq!(Journal::read(folder.path()).unwrap().len(), 1, "{cut}");
            let (mut journal, entries) = Journal::open(folder.path()).unwrap();
            assert_eq!(entries.len(), 1);
            journal.add(&ended("a", 2, Outcome::Succeeded)).unwrap();
            assert_eq!(Journal::read(folder.path()).unwrap().len(), 2, "{cut}");
        }
        fs::write(&path, [b"{\"event\":\"else\"}\n", &whole[..]].concat()).unwrap();
        let error = Journal::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), Some(HISTORY_DAMAGED));
        assert!(error.message().contains("line 1"), "{error}");
    }

    #[test]
    fn a_long_history_keeps_the_newest_of_each_job_and_since_when_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let known = |job: &str| Entry::Known { job: job.into(), at: moment(0), times: "x".into() };
        let mut text: String =
            [known("a"), known("b"), ended("b", 1, Outcome::TimedOut)].iter().map(|entry| encode(entry).unwrap()).collect();
        for second in 2..=MOST_ENTRIES as i64 {
            text += &encode(&ended("a", second, Outcome::Succeeded)).unwrap();
        }
        fs::write(folder.path().join(NAME), &text).unwrap();
        let (mut journal, read) = Journal::open(folder.path()).unwrap();
        assert!(read.len() > MOST_ENTRIES);
        journal.add(&ended("a", 77, Outcome::Stopped)).unwrap();
        let kept = Journal::read(folder.path()).unwrap();
        assert_eq!(kept[..3], read[..3]);
        assert_eq!(kept.len(), 3 + KEPT_PER_JOB + 1);
        assert_eq!(kept.last(), Some(&ended("a", 77, Outcome::Stopped)));
    }
}
