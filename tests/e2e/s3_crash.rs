//! Kills the binary again and again while it writes a Delta table in S3 and keeps its checkpoints there, too, reading files or objects: in
//! the end the table and the dead letters hold exactly the expected rows, each once, and the store holds nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::crash::{POINTS as POINTS_ON_DISK, ROWS_A_FILE, Random, kills, number_from_environment};
use crate::support::{Ended, Pins, Running, Store, Workshop, expected};

/// Every point at which an epoch can be cut off whose dead letters are objects.
const POINTS_IN_S3: [(&str, &str); 12] = [
    ("lane-after-batch", "3*off->"),
    ("engine-before-prepare", "1*off->"),
    ("engine-before-checkpoint", "1*off->"),
    ("engine-after-checkpoint", "1*off->"),
    ("delta-after-rename", "1*off->"),
    ("delta-commit-before-log", "1*off->"),
    ("delta-commit-after-log", "1*off->"),
    ("engine-after-sink-commit", "2*off->"),
    ("s3-commit-before-token", "1*off->"),
    ("s3-commit-after-token", "1*off->"),
    ("s3-commit-after-complete", "1*off->"),
    ("engine-after-commit", "1*off->"),
];

/// What is read, and where dead letters go.
#[derive(Clone, Copy, PartialEq)]
enum From {
    /// Files, and dead letters into files.
    Files,
    /// Objects, and dead letters into objects.
    Objects,
}

impl From {
    fn points(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Files => &POINTS_ON_DISK,
            Self::Objects => &POINTS_IN_S3,
        }
    }
}

fn pipeline(store: &Store, from: From) -> String {
    let source = match from {
        From::Files => "files: { path: \"data/*.jsonl\" }".to_owned(),
        From::Objects => {
            format!("s3: {{ uri: \"{}/in/*.jsonl\", follow: 200ms, allow_empty: true, connection: {} }}", store.prefix, Store::options())
        }
    };
    let dead_letters = match from {
        From::Files => "files: { path: out/dead_letters, format: jsonl }".to_owned(),
        From::Objects => format!("s3: {{ uri: \"{}/dead_letters\", format: jsonl, connection: {} }}", store.prefix, Store::options()),
    };
    format!(
        r#"
name: crash
mode: batch
lanes: 2
batch_rows: 500
sources:
  pins:
    {source}
stages:
  clean_pins:
    from: pins
    plugin: clean-pin
sinks:
  pin_table:
    from: clean_pins
    delta: {{ uri: "{prefix}/pin_table", checkpoint_every: 5, s3: {options} }}
dead_letters:
  {dead_letters}
epoch: {{ every: 200ms, rows: 3000 }}
state: "{prefix}/state"
"#,
        prefix = store.prefix,
        options = Store::options()
    )
}

struct Crash {
    workshop: Workshop,
    store: Store,
    from: From,
    mode: &'static str,
    random: Random,
    files: u64,
    /// How often each point was the last one; `random` for kills from outside.
    kills: BTreeMap<String, u32>,
}

impl Crash {
    fn new(from: From, mode: &'static str) -> Self {
        let seed = number_from_environment("WASMILL_CRASH_SEED", u64::from(std::process::id()));
        println!("S3, {mode}: WASMILL_CRASH_SEED={seed}");
        let (workshop, store) = (Workshop::new(), Store::new());
        workshop.write("crash.yaml", &pipeline(&store, from));
        Self { workshop, store, from, mode, random: Random(seed), files: 0, kills: BTreeMap::new() }
    }

    /// More files arrive, each complete at once.
    fn add_files(&mut self, count: u64) {
        let mut files = Vec::new();
        for file in self.files..self.files + count {
            let start = file * ROWS_A_FILE;
            let incoming = self.workshop.write(&format!("incoming/{file}"), &Pins(start..start + ROWS_A_FILE).lines());
            files.push((incoming, format!("pins-{file:04}.jsonl")));
        }
        self.files += count;
        if self.from == From::Objects {
            let files: Vec<_> = files.into_iter().map(|(path, name)| (path, format!("in/{name}"))).collect();
            return self.store.put(&files);
        }
        std::fs::create_dir_all(self.workshop.path("data")).unwrap();
        for (path, name) in files {
            std::fs::rename(path, self.workshop.path(&format!("data/{name}"))).unwrap();
        }
    }

    fn start(&self, mode: &str, failpoints: &str) -> Running {
        let mut command = self.workshop.wasmill(&["run", "crash.yaml", "--mode", mode]);
        Store::environment(&mut command);
        command.env("FAILPOINTS", failpoints);
        Running::spawn(command)
    }

    fn kill_at_point(&mut self, index: usize) {
        let points = self.from.points();
        let (point, after) = points[index % points.len()];
        let mut running = self.start(self.mode, &format!("{point}={after}return(kill)"));
        let died = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        self.note(&ended);
        assert!(died && ended.code.is_none(), "{point} was never passed:\n{}", ended.stderr);
    }

    fn kill_at_random(&mut self) {
        let patience = Duration::from_millis(self.random.below(1500));
        let mut running = self.start(self.mode, "");
        let finished = running.ends_within(patience);
        let ended = running.kill();
        match finished {
            true => assert_eq!(ended.code, Some(0), "{}", ended.stderr),
            false => *self.kills.entry("random".to_owned()).or_default() += 1,
        }
    }

    fn note(&mut self, ended: &Ended) {
        let point = ended.stderr.lines().find_map(|line| line.strip_prefix("failpoint ")?.split(':').next());
        let point = point.unwrap_or_else(|| panic!("no failpoint was hit:\n{}", ended.stderr));
        *self.kills.entry(point.to_owned()).or_default() += 1;
    }

    fn run(mut self) {
        let points = self.from.points();
        let kills = kills().max(2 * points.len() as u64);
        for kill in 0..kills {
            // Enough new rows that every point is passed.
            self.add_files(4);
            match kill % 2 {
                0 => self.kill_at_point(kill as usize / 2),
                _ => self.kill_at_random(),
            }
        }
        let ended = self.start("batch", "").wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        self.check();
        println!("{}: {} files, kills: {:?}", self.mode, self.files, self.kills);
        assert!(points.iter().all(|(point, _)| self.kills.contains_key(*point)), "{:?}", self.kills);
        // No state was kept on this machine.
        assert!(!self.workshop.path(".wasmill").exists());
    }

    fn check(&self) {
        let expected = expected(0..self.files * ROWS_A_FILE);
        let table = self.store.delta_numbers("pin_table");
        assert_eq!(table.len(), expected.table.len(), "rows in the table");
        assert!(table.iter().eq(&expected.table), "the table holds other rows than expected");
        if self.from == From::Objects {
            self.store.copy_to("dead_letters", &self.workshop.path("out/dead_letters"));
        }
        let dead = self.workshop.dead_numbers("out/dead_letters");
        assert_eq!(dead.len(), expected.dead.len(), "dead letters");
        assert!(dead.iter().eq(&expected.dead), "the dead letters hold other rows than expected");
        assert_eq!(self.store.stray_files("pin_table"), Vec::<String>::new(), "objects beside the table's own");
        assert_eq!(self.store.pending_uploads(), Vec::<String>::new(), "uploads that nobody will complete");
    }
}

#[test]
fn a_batch_into_s3_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    Crash::new(From::Files, "batch").run();
}

#[test]
fn a_stream_into_s3_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    Crash::new(From::Files, "stream").run();
}

#[test]
fn a_stream_of_objects_into_s3_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    Crash::new(From::Objects, "stream").run();
}
