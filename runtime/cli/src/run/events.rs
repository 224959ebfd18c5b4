//! Turns the engine's events into what is shown.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use serde_json::json;
use wasmill_engine::{EpochTimes, Event, Observer, Progression};

use super::Display;

/// Log lines of progress come no closer than this.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// An observer that displays a run.
pub struct Shown {
    display: Display,
    pipeline: String,
    begun: Instant,
    line: ProgressBar,
    last_log: Mutex<Option<Instant>>,
    /// Source records of the epochs that were committed.
    committed: AtomicU64,
}

impl Shown {
    /// Displays the run of a pipeline.
    pub fn new(display: Display, pipeline: &str) -> Self {
        let line = ProgressBar::no_length();
        line.set_draw_target(match display {
            Display::Line => ProgressDrawTarget::stderr_with_hz(10),
            _ => ProgressDrawTarget::hidden(),
        });
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            line.set_style(style);
        }
        Self {
            display,
            pipeline: pipeline.to_owned(),
            begun: Instant::now(),
            line,
            last_log: Mutex::new(None),
            committed: AtomicU64::new(0),
        }
    }

    /// Takes the line off the terminal, before something else is printed.
    pub fn finish(&self) {
        self.line.finish_and_clear();
    }

    fn log(&self, text: &str) {
        let text = crate::terminal::harmless(text);
        if self.display == Display::Log {
            let _ = writeln!(std::io::stderr(), "{}: {text}", self.pipeline);
        } else if self.display == Display::Line {
            self.line.println(format!("{}: {text}", self.pipeline));
        }
    }

    fn json(&self, value: &serde_json::Value) {
        if self.display == Display::Json {
            let _ = writeln!(std::io::stdout(), "{}", crate::terminal::harmless(&value.to_string()));
        }
    }

    fn is_log_due(&self) -> bool {
        let mut last = self.last_log.lock();
        let due = last.is_none_or(|last| last.elapsed() >= LOG_EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    fn progress(&self, progress: &Progression) {
        self.line.set_message(progress_text(progress, self.begun.elapsed()));
        self.line.tick();
        self.json(&json!({ "event": "progress", "pipeline": self.pipeline, "progress": progress }));
    }

    /// How many source records were committed so far.
    pub fn committed_records(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    fn committed(&self, epoch: u64, rows: u64, took: &EpochTimes) {
        self.committed.fetch_add(rows, Ordering::Relaxed);
        self.json(&json!({
            "event": "epoch", "pipeline": self.pipeline, "epoch": epoch, "rows": rows,
            "prepare_seconds": took.prepare.as_secs_f64(),
            "checkpoint_seconds": took.checkpoint.as_secs_f64(),
            "commit_seconds": took.commit.as_secs_f64(),
        }));
        if self.display == Display::Log && self.is_log_due() {
            self.log(&format!("epoch {epoch} committed: {} rows, in {} ms", HumanCount(rows), took.total().as_millis()));
        }
    }
}

impl Observer for Shown {
    fn on(&self, event: Event<'_>) {
        match event {
            // Epoch 0 is the claim of a start that committed nothing.
            Event::Recovered { epoch: Some(epoch @ 1..), committed } => {
                self.json(&json!({ "event": "recovered", "pipeline": self.pipeline, "epoch": epoch, "committed": committed }));
                let sent = match committed {
                    [] => String::new(),
                    sinks => format!("; its commit was sent again to {}", sinks.join(", ")),
                };
                self.log(&format!("resumes after epoch {epoch}{sent}"));
            }
            Event::Recovered { .. } => self.json(&json!({ "event": "started", "pipeline": self.pipeline })),
            Event::EpochCommitted { epoch, rows, took } => self.committed(epoch, rows, &took),
            Event::Progress(progress) => self.progress(progress),
            Event::Stopping => {
                self.json(&json!({ "event": "stopping", "pipeline": self.pipeline }));
                self.log("stopping: finishing the epoch (a second signal ends the process at once; nothing is lost either way)");
            }
        }
    }
}

/// Rows, rows per second, bytes, rejects, epoch, and the time left or the bytes behind.
fn progress_text(progress: &Progression, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = progress.rows as f64 / seconds;
    let mut text = format!(
        "{} rows, {}/s, {}, {} rejected, epoch {}",
        HumanCount(progress.rows),
        HumanCount(rate as u64),
        HumanBytes(progress.bytes),
        HumanCount(progress.rejects),
        progress.epoch
    );
    if let Some(behind) = progress.rows_behind {
        text += &format!(", {} rows behind", HumanCount(behind));
    }
    if let Some(behind) = progress.milliseconds_behind.filter(|behind| *behind >= 1_000) {
        text += &format!(", {} behind", HumanDuration(Duration::from_millis(behind)));
    }
    if let Some(left) = progress.bytes_known.map(|known| known.saturating_sub(progress.bytes)).filter(|left| *left > 0) {
        let byte_rate = progress.bytes as f64 / seconds;
        text += &format!(", {} behind", HumanBytes(left));
        if byte_rate > 0.0 {
            text += &format!(", {} left", HumanDuration(Duration::from_secs_f64((left as f64 / byte_rate).min(1e9))));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_long() {
        let progress =
            Progression { rows: 120_000, bytes: 1 << 20, bytes_known: Some(3 << 20), rejects: 7, epoch: 3, ..Progression::default() };
        let text = progress_text(&progress, Duration::from_secs(2));
        assert_eq!(text, "120,000 rows, 60,000/s, 1.00 MiB, 7 rejected, epoch 3, 2.00 MiB behind, 4 seconds left");
        let progress = Progression { rows: 2, milliseconds_behind: Some(30_000), ..Progression::default() };
        let text = progress_text(&progress, Duration::from_secs(2));
        assert_eq!(text, "2 rows, 1/s, 0 B, 0 rejected, epoch 0, 30 seconds behind");
    }
}
