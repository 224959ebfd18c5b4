//! Where the rows of the matrix go, dead letters too, and how they are read back.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::mill::State;
use crate::kafka_broker::{address, create, read_at, unique};
use crate::support::{Database, Store, Workshop};

/// A sink, dead letters of its kind, and whoever reads what they wrote.
pub trait Destination {
    /// As the matrix calls it.
    const NAME: &'static str;
    /// The points at which a commit into it can be cut off, besides those of the engine.
    const POINTS: &'static [&'static str];
    /// Where a pipeline into it usually keeps its checkpoints.
    const STATE: State;

    /// A place of its own, still empty.
    fn new() -> Self;

    /// The sink in YAML, on one line.
    fn sink(&self) -> String;

    /// The dead letters in YAML, on one line.
    fn dead_letters(&self) -> String;

    /// What the process has to be told besides the file.
    fn environment(&self, _: &mut Command) {}

    /// The numbers of the posts in the table, and of those in the dead letters: sorted, with repetitions.
    fn posts(&self, workshop: &Workshop) -> (Vec<u64>, Vec<u64>);

    /// What lies around that no reader sees and nobody needs any more.
    fn left_over(&self, workshop: &Workshop) -> Vec<String>;
}

/// A Delta table in a folder, dead letters in files.
pub struct DeltaOnDisk;

impl Destination for DeltaOnDisk {
    const NAME: &'static str = "delta_on_disk";
    const POINTS: &'static [&'static str] = &[
        "delta-after-rename",
        "delta-commit-before-log",
        "delta-commit-after-log",
        "files-commit-before-token",
        "files-commit-after-token",
        "files-commit-after-rename",
    ];
    const STATE: State = State::Disk;

    fn new() -> Self {
        Self
    }

    fn sink(&self) -> String {
        "delta: { uri: out/pin_table, checkpoint_every: 5 }".to_owned()
    }

    fn dead_letters(&self) -> String {
        "files: { path: out/dead_letters, format: jsonl }".to_owned()
    }

    fn posts(&self, workshop: &Workshop) -> (Vec<u64>, Vec<u64>) {
        (workshop.delta_numbers("out/pin_table"), workshop.dead_numbers("out/dead_letters"))
    }

    fn left_over(&self, workshop: &Workshop) -> Vec<String> {
        let mut found = files_below(&workshop.path("out"), |path| {
            let staged = path.components().any(|part| [".wasmill", "_wasmill"].iter().any(|hidden| part.as_os_str() == *hidden));
            staged && path.extension().is_some_and(|extension| extension == "parquet" || extension == "jsonl")
        });
        let (files, known) = (workshop.parquet_files("out/pin_table"), workshop.delta_file_count("out/pin_table"));
        if files != known {
            found.push(format!("{files} files in the table's folder, of which it knows {known}"));
        }
        found
    }
}

/// A Delta table in a bucket, dead letters as objects.
pub struct DeltaOnS3(pub Store);

impl Destination for DeltaOnS3 {
    const NAME: &'static str = "delta_on_s3";
    const POINTS: &'static [&'static str] = &[
        "delta-after-rename",
        "delta-commit-before-log",
        "delta-commit-after-log",
        "s3-commit-before-token",
        "s3-commit-after-token",
        "s3-commit-after-complete",
    ];
    const STATE: State = State::Bucket;

    fn new() -> Self {
        Self(Store::new())
    }

    fn sink(&self) -> String {
        format!(r#"delta: {{ uri: "{}/pin_table", checkpoint_every: 5, s3: {} }}"#, self.0.prefix, Store::options())
    }

    fn dead_letters(&self) -> String {
        format!(r#"s3: {{ uri: "{}/dead_letters", format: jsonl, connection: {} }}"#, self.0.prefix, Store::options())
    }

    fn posts(&self, workshop: &Workshop) -> (Vec<u64>, Vec<u64>) {
        let dead = workshop.dead_numbers(&copied(&self.0, workshop, "dead_letters"));
        (self.0.delta_numbers("pin_table"), dead)
    }

    fn left_over(&self, _: &Workshop) -> Vec<String> {
        [self.0.stray_files("pin_table"), self.0.pending_uploads()].concat()
    }
}

/// Objects of JSON lines in a bucket, dead letters too.
pub struct S3(Store);

impl Destination for S3 {
    const NAME: &'static str = "s3";
    const POINTS: &'static [&'static str] = &["s3-commit-before-token", "s3-commit-after-token", "s3-commit-after-complete"];
    const STATE: State = State::Bucket;

    fn new() -> Self {
        Self(Store::new())
    }

    fn sink(&self) -> String {
        format!(r#"s3: {{ uri: "{}/pins", format: jsonl, connection: {} }}"#, self.0.prefix, Store::options())
    }

    fn dead_letters(&self) -> String {
        format!(r#"s3: {{ uri: "{}/dead_letters", format: jsonl, connection: {} }}"#, self.0.prefix, Store::options())
    }

    fn posts(&self, workshop: &Workshop) -> (Vec<u64>, Vec<u64>) {
        let rows = workshop.jsonl_rows(&copied(&self.0, workshop, "pins"));
        let mut table: Vec<u64> = rows.iter().map(|row| row["ind"].as_u64().unwrap()).collect();
        table.sort_unstable();
        (table, workshop.dead_numbers(&copied(&self.0, workshop, "dead_letters")))
    }

    fn left_over(&self, _: &Workshop) -> Vec<String> {
        self.0.pending_uploads()
    }
}

/// A table of PostgreSQL, dead letters in another one.
pub struct Postgres(Database);

impl Destination for Postgres {
    const NAME: &'static str = "postgres";
    const POINTS: &'static [&'static str] =
        &["postgres-commit-before-copy", "postgres-commit-before-commit", "postgres-commit-after-commit", "sink-clean-up"];
    const STATE: State = State::Disk;

    fn new() -> Self {
        Self(Database::new())
    }

    fn sink(&self) -> String {
        r#"postgres: { url: "${env:PG_URL}", table: pin_table }"#.to_owned()
    }

    fn dead_letters(&self) -> String {
        r#"postgres: { url: "${env:PG_URL}", table: dead_letters }"#.to_owned()
    }

    fn environment(&self, command: &mut Command) {
        command.env("PG_URL", self.0.url());
    }

    fn posts(&self, _: &Workshop) -> (Vec<u64>, Vec<u64>) {
        self.0.posts()
    }

    fn left_over(&self, workshop: &Workshop) -> Vec<String> {
        files_below(&workshop.path(".wasmill"), |path| path.extension().is_some_and(|extension| extension == "rows"))
    }
}

/// A topic of Kafka, dead letters in another one, as readers of what is committed see them.
pub struct Kafka {
    name: String,
}

impl Kafka {
    fn topic(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    fn committed(&self, what: &str) -> Vec<serde_json::Value> {
        read_at(&address(), &self.topic(what), "read_committed").iter().map(|record| record.json()).collect()
    }
}

impl Destination for Kafka {
    const NAME: &'static str = "kafka";
    const POINTS: &'static [&'static str] =
        &["kafka-commit-before-token", "kafka-commit-before-commit", "kafka-commit-after-commit", "sink-clean-up"];
    const STATE: State = State::Disk;

    fn new() -> Self {
        let topics = Self { name: unique("m") };
        ["clean", "dead"].iter().for_each(|what| create(&topics.topic(what), 3));
        topics
    }

    fn sink(&self) -> String {
        let (brokers, name) = ("${env:WASMILL_TEST_KAFKA}", &self.name);
        format!(r#"kafka: {{ brokers: "{brokers}", topic: {name}.clean, key: unique_id, commits_topic: {name}.commits }}"#)
    }

    fn dead_letters(&self) -> String {
        let (brokers, name) = ("${env:WASMILL_TEST_KAFKA}", &self.name);
        format!(r#"kafka: {{ brokers: "{brokers}", topic: {name}.dead, commits_topic: {name}.commits }}"#)
    }

    fn posts(&self, _: &Workshop) -> (Vec<u64>, Vec<u64>) {
        let mut table: Vec<u64> = self.committed("clean").iter().map(|row| row["ind"].as_u64().unwrap()).collect();
        let number = |row: &serde_json::Value| row["record"].as_str().unwrap().split('#').nth(1).unwrap().parse().unwrap();
        let mut dead: Vec<u64> = self.committed("dead").iter().map(number).collect();
        table.sort_unstable();
        dead.sort_unstable();
        (table, dead)
    }

    fn left_over(&self, workshop: &Workshop) -> Vec<String> {
        files_below(&workshop.path(".wasmill"), |path| path.extension().is_some_and(|extension| extension == "rows"))
    }
}

/// Copies the objects below a name into a folder of the workshop that was not there before. Answers its name.
fn copied(store: &Store, workshop: &Workshop, name: &str) -> String {
    let folder = (0..).map(|copy| format!("copies/{name}-{copy}")).find(|folder| !workshop.path(folder).exists()).unwrap();
    store.copy_to(name, &workshop.path(&folder));
    folder
}

fn files_below(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<String> {
    let (mut folders, mut found): (Vec<PathBuf>, Vec<String>) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if wanted(&path) => found.push(path.display().to_string()),
                false => {}
            }
        }
    }
    found
}
