//! `wasmill health`.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use wasmill_engine::Error;

use super::checked::fail;
use super::codes::HEARTBEAT;
use crate::document::Redactor;
use crate::exit;
use crate::run::{Beat, Bounds, Verdict};
use crate::spec::Period;

/// Says whether a run is healthy, for probes: exit status 0 if it is, 1 if it is not
///
/// It reads the file that `wasmill run --heartbeat FILE` replaces every second, and contacts nothing. A run is healthy if it gives signs of life, and commits what it reads.
/// A run with no input is healthy. Servers that are away are no reason to be restarted: let --max-stall be longer than the `retry` of sinks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill health /run/wasmill/orders.json\n  \
    wasmill health /run/wasmill/orders.json --ready\n  \
    wasmill health /run/wasmill/orders.json --max-age 30s --max-stall 15m --json")]
pub struct Health {
    /// The file that `--heartbeat` of the run names
    #[arg(value_name = "FILE", env = "WASMILL_HEARTBEAT", value_hint = clap::ValueHint::FilePath)]
    path: PathBuf,
    /// The greatest age of the last sign of life
    #[arg(long, value_name = "TIME", default_value = "1m")]
    max_age: Period,
    /// The longest time that records may have been read without a commit, or a start may take
    #[arg(long, value_name = "TIME", default_value = "10m")]
    max_stall: Period,
    /// Whether the run has recovered and reads: it is not starting and not stopping
    #[arg(long)]
    ready: bool,
    /// Prints the verdict and the last sign of life as one JSON object
    #[arg(long)]
    json: bool,
}

impl Health {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let bounds = Bounds { max_age: self.max_age.0, max_stall: self.max_stall.0, must_be_ready: self.ready };
        let shown = self.path.display();
        let (beat, verdict) = match Beat::read(&self.path) {
            Ok(beat) => {
                let verdict = beat.judge(now_ms(), bounds);
                (Some(beat), verdict)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => (
                None,
                Verdict { is_healthy: false, why: format!("there is no heartbeat {shown}: the run has not begun, or writes another one") },
            ),
            Err(error) => {
                let error = Error::environment(format!("the heartbeat {shown} can't be read: {error}")).code(HEARTBEAT);
                return fail(&error.hint("name the file that `wasmill run --heartbeat` writes"), &Redactor::default(), self.json);
            }
        };
        let status = if verdict.is_healthy { exit::OK } else { exit::UNHEALTHY };
        let text = match self.json {
            true => format!("{}\n", serde_json::json!({ "healthy": verdict.is_healthy, "why": verdict.why, "heartbeat": beat })),
            false => format!("{}\n", verdict.why),
        };
        match super::print(&text) {
            exit::OK => status,
            failed => failed,
        }
    }
}

fn now_ms() -> u64 {
    let passed: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}
