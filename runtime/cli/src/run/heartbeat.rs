//! The sign of life of a run: a small file that is replaced every second, and what it says about the health of the run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Event, Observer, Progression, Result};

/// The file is replaced no more often than this.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It checks its pipeline, and commits again what an earlier run had prepared.
    Starting,
    /// It reads, transforms and commits.
    Running,
    /// It finishes its last epoch.
    Stopping,
    /// It has ended well.
    Ended,
    /// It has ended with an error.
    Failed,
}

/// The contents of the file. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The pipeline, or the schedule.
    pub name: String,
    /// The number of the process.
    pub process: u32,
    /// What it is at.
    pub phase: Phase,
    /// When the run last gave a sign of life: for a run, its coordinator, which waits for nothing.
    pub at_ms: u64,
    /// When it last committed what it had read, or had nothing to commit.
    pub progressed_at_ms: u64,
    /// Records that it has read.
    pub rows: u64,
    /// Records of them that are committed.
    pub committed_rows: u64,
    /// The last epoch that is committed.
    pub committed_epoch: u64,
}

/// Writes the sign of life of a run.
pub struct Heartbeat {
    path: PathBuf,
    state: Mutex<(Beat, Option<Instant>)>,
}

impl Heartbeat {
    /// Writes the first sign, of a run that is starting.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn start(path: &Path, name: &str) -> Result<Self> {
        let now = now_ms();
        let beat = Beat {
            name: name.to_owned(),
            process: std::process::id(),
            phase: Phase::Starting,
            at_ms: now,
            progressed_at_ms: now,
            rows: 0,
            committed_rows: 0,
            committed_epoch: 0,
        };
        write(path, &beat).map_err(|error| {
            let hint = "`wasmill health` reads it; name a file in a folder that can be written, or leave --heartbeat out";
            Error::io(format_args!("write the heartbeat {}", path.display()), error).hint(hint)
        })?;
        Ok(Self { path: path.to_path_buf(), state: Mutex::new((beat, None)) })
    }

    /// The name of the pipeline is known.
    pub fn named(&self, name: &str) {
        self.beat(true, |beat| name.clone_into(&mut beat.name));
    }

    /// The run starts over, with columns that have come up.
    pub fn starts_again(&self) {
        self.beat(true, |beat| {
            (beat.phase, beat.rows, beat.committed_rows) = (Phase::Starting, 0, 0);
        });
    }

    /// Something works that has nothing to commit.
    pub fn at_work(&self, is_stopping: bool) {
        self.beat(false, |beat| beat.phase = if is_stopping { Phase::Stopping } else { Phase::Running });
    }

    /// The last sign.
    pub fn end(&self, is_well: bool) {
        self.beat(true, |beat| beat.phase = if is_well { Phase::Ended } else { Phase::Failed });
    }

    fn committed(&self, epoch: u64, rows: u64) {
        self.beat(false, |beat| {
            beat.committed_rows += rows;
            beat.committed_epoch = epoch;
            beat.progressed_at_ms = now_ms();
        });
    }

    fn progress(&self, progress: &Progression) {
        self.beat(false, |beat| beat.rows = progress.rows);
    }

    fn recovered(&self, epoch: u64) {
        self.beat(true, |beat| (beat.phase, beat.committed_epoch) = (Phase::Running, epoch));
    }

    /// Changes the sign, and writes it if it is time or must be. A file that can't be written is not the end of a run: it grows old, which says enough.
    fn beat(&self, must: bool, change: impl FnOnce(&mut Beat)) {
        let mut state = self.state.lock();
        let (beat, written) = &mut *state;
        change(beat);
        beat.at_ms = now_ms();
        if beat.rows <= beat.committed_rows {
            beat.progressed_at_ms = beat.at_ms;
        }
        if must || written.is_none_or(|written| written.elapsed() >= BEAT_EVERY) {
            *written = Some(Instant::now());
            let _ = write(&self.path, beat);
        }
    }
}

impl Observer for Heartbeat {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Recovered { epoch, .. } => self.recovered(epoch.unwrap_or_default()),
            Event::EpochCommitted { epoch, rows, .. } => self.committed(epoch, rows),
            Event::Progress(progress) => self.progress(progress),
            Event::Stopping => self.beat(true, |beat| beat.phase = Phase::Stopping),
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
}

/// Replaces the file at once: a reader finds the old one or the new one.
fn write(path: &Path, beat: &Beat) -> std::io::Result<()> {
    let text = serde_json::to_string(beat).map_err(std::io::Error::other)? + "\n";
    let new = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

/// What a sign of life is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The greatest age of the last sign.
    pub max_age: Duration,
    /// The longest time for a start, and for a commit to come once records were read.
    pub max_stall: Duration,
    /// Whether the run must have recovered, and not be stopping.
    pub must_be_ready: bool,
}

/// Whether a run is healthy, and why, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is.
    pub is_healthy: bool,
    /// Why.
    pub why: String,
}

impl Beat {
    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, or is no sign of life: the reason, in words.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        serde_json::from_slice(&std::fs::read(path)?).map_err(std::io::Error::other)
    }

    /// Judges the sign at a time, in milliseconds since 1970. A clock that was put back makes nothing older.
    pub fn judge(&self, now_ms: u64, bounds: Bounds) -> Verdict {
        let age = Duration::from_millis(now_ms.saturating_sub(self.at_ms));
        let stalled = Duration::from_millis(now_ms.saturating_sub(self.progressed_at_ms));
        let shown = |time: Duration| humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
        let unhealthy = |why: String| Verdict { is_healthy: false, why: format!("{}: {why}", self.name) };
        match self.phase {
            Phase::Ended => return unhealthy("the run has ended".to_owned()),
            Phase::Failed => return unhealthy("the run has failed".to_owned()),
            Phase::Starting if bounds.must_be_ready => return unhealthy("the run is starting".to_owned()),
            Phase::Stopping if bounds.must_be_ready => return unhealthy("the run is stopping".to_owned()),
            Phase::Starting if age > bounds.max_stall => return unhealthy(format!("the run has been starting for {}", shown(age))),
            Phase::Starting => {}
            Phase::Running | Phase::Stopping if age > bounds.max_age => {
                return unhealthy(format!("the last sign of life is {} old", shown(age)));
            }
            Phase::Running | Phase::Stopping if stalled > bounds.max_stall => {
                let waiting = self.rows.saturating_sub(self.committed_rows);
                return unhealthy(format!("{waiting} records were read and nothing was committed for {}", shown(stalled)));
            }
            Phase::Running | Phase::Stopping => {}
        }
        let phase = match self.phase {
            Phase::Starting => "starting",
            Phase::Stopping => "stopping",
            _ => "running",
        };
        Verdict { is_healthy: true, why: format!("{}: {phase}, the last sign of life is {} old", self.name, shown(age)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { max_age: Duration::from_secs(60), max_stall: Duration::from_secs(600), must_be_ready: false };
    const READY: Bounds = Bounds { must_be_ready: true, ..BOUNDS };
    const T: u64 = 1_000_000_000;

    fn beat(phase: Phase) -> Beat {
        Beat { name: "p".into(), process: 1, phase, at_ms: T, progressed_at_ms: T, rows: 5, committed_rows: 3, committed_epoch: 1 }
    }

    #[test]
    fn a_run_is_alive_while_it_gives_signs_and_commits_what_it_reads() {
        let at = |phase, seconds: u64, bounds| beat(phase).judge(T + seconds * 1000, bounds);
        assert!(at(Phase::Running, 60, BOUNDS).is_healthy);
        assert!(!at(Phase::Running, 61, BOUNDS).is_healthy);
        assert!(at(Phase::Starting, 600, BOUNDS).is_healthy, "a start may take long");
        assert!(!at(Phase::Starting, 601, BOUNDS).is_healthy);
        assert!(at(Phase::Stopping, 10, BOUNDS).is_healthy);
        assert!(!at(Phase::Ended, 0, BOUNDS).is_healthy && !at(Phase::Failed, 0, BOUNDS).is_healthy);
        let stalled = Beat { progressed_at_ms: T - 601_000, ..beat(Phase::Running) }.judge(T, BOUNDS);
        assert_eq!(stalled.why, "p: 2 records were read and nothing was committed for 10m 1s");
        assert!(beat(Phase::Running).judge(T - 5000, BOUNDS).is_healthy, "a clock that was put back");
    }

    #[test]
    fn a_run_is_ready_once_it_has_recovered_and_until_it_stops() {
        for (phase, expected) in [(Phase::Starting, false), (Phase::Running, true), (Phase::Stopping, false), (Phase::Ended, false)] {
            assert_eq!(beat(phase).judge(T, READY).is_healthy, expected, "{phase:?}");
        }
    }

    #[test]
    fn what_waits_for_a_commit_does_not_progress_and_what_is_idle_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("beat.json");
        let heartbeat = Heartbeat::start(&path, "p").unwrap();
        assert_eq!(Beat::read(&path).unwrap().phase, Phase::Starting);
        heartbeat.on(Event::Recovered { epoch: Some(7), committed: &[] });
        assert_eq!((Beat::read(&path).unwrap().phase, Beat::read(&path).unwrap().committed_epoch), (Phase::Running, 7));
        let progressed = || heartbeat.state.lock().0.progressed_at_ms;
        let long_ago = || heartbeat.state.lock().0.progressed_at_ms = 5;
        long_ago();
        heartbeat.on(Event::Progress(&Progression { rows: 10, ..Progression::default() }));
        assert_eq!(progressed(), 5, "ten records wait");
        heartbeat.on(Event::EpochCommitted { epoch: 8, rows: 4, took: Default::default() });
        assert!(progressed() > 5);
        long_ago();
        heartbeat.on(Event::EpochCommitted { epoch: 9, rows: 6, took: Default::default() });
        long_ago();
        heartbeat.on(Event::Progress(&Progression { rows: 10, ..Progression::default() }));
        assert!(progressed() > 5, "nothing waits");
        heartbeat.end(true);
        assert_eq!(Beat::read(&path).unwrap().phase, Phase::Ended);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
