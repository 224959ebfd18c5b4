//! Kills the binary with SIGKILL, again and again, at points in every phase and at random moments, while files still arrive; in the end
//! the table and the dead letters hold exactly the expected rows, each once.
//!
//! `WASMILL_CRASH_KILLS` sets how many kills (default 20), `WASMILL_CRASH_SEED` repeats a run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{Ended, Pins, Running, Workshop, expected};

/// Every point at which an epoch can be cut off, and how often it is passed before the kill.
pub const POINTS: [(&str, &str); 11] = [
    ("lane-after-batch", "3*off->"),
    ("engine-before-prepare", "1*off->"),
    ("engine-before-checkpoint", "1*off->"),
    ("engine-after-checkpoint", "1*off->"),
    ("delta-after-rename", "1*off->"),
    ("delta-commit-before-log", "1*off->"),
    ("delta-commit-after-log", "1*off->"),
    ("engine-after-sink-commit", "2*off->"),
    ("files-commit-after-rename", "1*off->"),
    ("files-commit-before-token", "1*off->"),
    ("engine-after-commit", "1*off->"),
];

pub(crate) const ROWS_A_FILE: u64 = 2_000;

const PIPELINE: &str = r#"
name: crash
mode: batch
lanes: 2
batch_rows: 500
sources:
  pins:
    files: { path: "data/*.jsonl" }
stages:
  clean_pins:
    from: pins
    plugin: clean-pin
sinks:
  pin_table:
    from: clean_pins
    delta: { uri: out/pin_table, write: append }
dead_letters:
  files: { path: out/dead_letters, format: jsonl }
epoch: { every: 200ms, rows: 3000 }
"#;

/// Small, seeded and the same everywhere (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % bound
    }
}

pub fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

struct Crash {
    workshop: Workshop,
    mode: &'static str,
    random: Random,
    files: u64,
    /// How often each point was the last one; `random` for kills from outside.
    kills: BTreeMap<String, u32>,
}

impl Crash {
    fn new(mode: &'static str) -> Self {
        let seed = number_from_environment("WASMILL_CRASH_SEED", u64::from(std::process::id()));
        println!("{mode}: WASMILL_CRASH_SEED={seed}");
        let workshop = Workshop::new();
        workshop.write("crash.yaml", PIPELINE);
        Self { workshop, mode, random: Random(seed), files: 0, kills: BTreeMap::new() }
    }

    /// Another file arrives, complete at once as a producer would do it.
    fn add_file(&mut self) {
        let start = self.files * ROWS_A_FILE;
        self.workshop.write("incoming", &Pins(start..start + ROWS_A_FILE).lines());
        let path = self.workshop.path(&format!("data/pins-{:04}.jsonl", self.files));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(self.workshop.path("incoming"), path).unwrap();
        self.files += 1;
    }

    fn start(&self, failpoints: &str) -> Running {
        let mut command = self.workshop.wasmill(&["run", "crash.yaml", "--mode", self.mode]);
        command.env("FAILPOINTS", failpoints);
        Running::spawn(command)
    }

    fn kill_at_point(&mut self, index: usize) {
        let (point, after) = POINTS[index % POINTS.len()];
        let mut running = self.start(&format!("{point}={after}return(kill)"));
        let died = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        self.note(&ended);
        assert!(died && ended.code.is_none(), "{point} was never passed:\n{}", ended.stderr);
    }

    fn kill_at_random(&mut self) {
        let patience = Duration::from_millis(self.random.below(900));
        let mut running = self.start("");
        let finished = running.ends_within(patience);
        let ended = running.kill();
        if finished {
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        } else {
            *self.kills.entry("random".to_owned()).or_default() += 1;
        }
    }

    fn note(&mut self, ended: &Ended) {
        let point = ended.stderr.lines().find_map(|line| line.strip_prefix("failpoint ")?.split(':').next());
        let point = point.unwrap_or_else(|| panic!("no failpoint was hit:\n{}", ended.stderr));
        *self.kills.entry(point.to_owned()).or_default() += 1;
    }

    fn run(mut self, kills: u64) {
        for kill in 0..kills {
            // Enough new rows that every point is passed.
            (0..4).for_each(|_| self.add_file());
            match kill % 2 {
                0 => self.kill_at_point(kill as usize / 2),
                _ => self.kill_at_random(),
            }
        }
        self.workshop.run_well(&["run", "crash.yaml", "--mode", "batch"]);
        self.check();
        println!("{}: {} files, kills: {:?}", self.mode, self.files, self.kills);
        let points = POINTS.len().min(kills.div_ceil(2) as usize);
        assert!(POINTS[..points].iter().all(|(point, _)| self.kills.contains_key(*point)), "{:?}", self.kills);
    }

    fn check(&self) {
        let expected = expected(0..self.files * ROWS_A_FILE);
        let table = self.workshop.delta_numbers("out/pin_table");
        assert_eq!(table.len(), expected.table.len(), "rows in the table");
        assert!(table.iter().eq(&expected.table), "the table holds other rows than expected");
        let dead = self.workshop.dead_numbers("out/dead_letters");
        assert_eq!(dead.len(), expected.dead.len(), "dead letters");
        assert!(dead.iter().eq(&expected.dead), "the dead letters hold other rows than expected");
        let (files, known) = (self.workshop.parquet_files("out/pin_table"), self.workshop.delta_file_count("out/pin_table"));
        assert_eq!(files, known, "stray files beside the table's own");
    }
}

/// In `make test` every point is met once in each mode; `make crash` sets more.
pub(crate) fn kills() -> u64 {
    number_from_environment("WASMILL_CRASH_KILLS", 2 * POINTS.len() as u64)
}

#[test]
fn a_batch_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    Crash::new("batch").run(kills());
}

#[test]
fn a_stream_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    Crash::new("stream").run(kills());
}
