//! Where the rows of the matrix go, dead letters too, and how they are read back.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::mill::State;
use crate::kafka_broker::{Seen, address, create, read_at, unique};
use crate::support::{Database, KinesisStream, Store, Workshop};

/// A sink, dead letters of its kind, and the reader of what they wrote.
pub trait Destination {
    /// As the matrix calls it.
    const NAME: &'static str;
    /// The points at which a commit into it can be cut off, besides those of the engine.
    const POINTS: &'static [&'static str];
    /// What the names of staged rows have in them: of the table's, and of the dead letters'.
    const PLACES: [&'static str; 2];
    /// Where a pipeline into it usually keeps its checkpoints.
    const STATE: State;
    /// The points that only rows pass which replace others.
    const REPLACING_POINTS: &'static [&'static str] = &[];
    /// As many posts as it takes at a time.
    const POSTS: u64 = u64::MAX;
    /// Whether a row may be there more than once: its sink promises at-least-once alone.
    const MAY_REPEAT: bool = false;

    /// A place of its own, still empty.
    fn new() -> Self;

    /// The sink in YAML, on one line, of rows in which no two are equal in the columns of the key.
    fn sink(&self, key: &[&str]) -> String;

    /// The dead letters in YAML, on one line.
    fn dead_letters(&self) -> String;

    /// What the process has to be told besides the file.
    fn environment(&self, _: &mut Command) {}

    /// The rows of the table, and those of the dead letters.
    fn rows(&self, workshop: &Workshop) -> (Vec<Value>, Vec<Value>);

    /// The rows of the table once more, by a reader that shares no code with our writer, where there is one besides.
    fn rows_of_another_reader(&self, _: &Workshop) -> Option<Vec<Value>> {
        None
    }

    /// Whether a file of the state beside the checkpoints, by its name from there, is what a sink remembers between runs.
    fn remembers(&self, _: &str) -> bool {
        false
    }

    /// The bucket of its sinks, if they write into one.
    fn store(&self) -> Option<&Store> {
        None
    }

    /// What lies at the places of its sinks and is neither rows that readers see nor what the next commit needs: anything that is not known.
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
        "sink-clean-up",
    ];
    const PLACES: [&'static str; 2] = ["out/pin_table/", "out/dead_letters/"];
    const STATE: State = State::Disk;

    fn new() -> Self {
        Self
    }

    fn sink(&self, _: &[&str]) -> String {
        "delta: { uri: out/pin_table, checkpoint_every: 5 }".to_owned()
    }

    fn dead_letters(&self) -> String {
        "files: { path: out/dead_letters, format: jsonl }".to_owned()
    }

    fn rows(&self, workshop: &Workshop) -> (Vec<Value>, Vec<Value>) {
        (workshop.delta_rows("out/pin_table"), workshop.jsonl_rows("out/dead_letters"))
    }

    fn rows_of_another_reader(&self, workshop: &Workshop) -> Option<Vec<Value>> {
        Some(workshop.duckdb_rows("out/pin_table"))
    }

    fn left_over(&self, workshop: &Workshop) -> Vec<String> {
        let known = workshop.delta_files("out/pin_table");
        let table = strangers(&workshop.path("out/pin_table"), |name| is_log(name) || known.iter().any(|file| file == name));
        [table, strangers(&workshop.path("out/dead_letters"), |name| is_row_file(name) || is_token_file(name))].concat()
    }
}

/// Files in folders that columns name, of rows and of dead letters.
pub struct FilesOnDisk;

impl Destination for FilesOnDisk {
    const NAME: &'static str = "files_on_disk";
    const POINTS: &'static [&'static str] =
        &["files-commit-before-token", "files-commit-after-token", "files-commit-after-rename", "sink-clean-up"];
    const PLACES: [&'static str; 2] = ["out/pin_table/", "out/dead_letters/"];
    const STATE: State = State::Disk;

    fn new() -> Self {
        Self
    }

    fn sink(&self, _: &[&str]) -> String {
        "files: { path: out/pin_table, format: jsonl, partition_by: [poster_name, category] }".to_owned()
    }

    fn dead_letters(&self) -> String {
        "files: { path: out/dead_letters, format: jsonl, partition_by: [code] }".to_owned()
    }

    fn rows(&self, workshop: &Workshop) -> (Vec<Value>, Vec<Value>) {
        (workshop.partitioned_rows("out/pin_table"), workshop.partitioned_rows("out/dead_letters"))
    }

    fn left_over(&self, workshop: &Workshop) -> Vec<String> {
        let known = |name: &str| is_row_file(name) || is_token_file(name);
        ["out/pin_table", "out/dead_letters"].map(|folder| strangers(&workshop.path(folder), known)).concat()
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
        "sink-clean-up",
    ];
    const PLACES: [&'static str; 2] = ["pin_table/", "dead_letters/"];
    const STATE: State = State::Bucket;

    fn new() -> Self {
        Self(Store::new())
    }

    fn sink(&self, _: &[&str]) -> String {
        format!(r#"delta: {{ uri: "{}/pin_table", checkpoint_every: 5, connection: {} }}"#, self.0.prefix, Store::options())
    }

    fn dead_letters(&self) -> String {
        format!(r#"s3: {{ uri: "{}/dead_letters", format: jsonl, connection: {} }}"#, self.0.prefix, Store::options())
    }

    fn rows(&self, workshop: &Workshop) -> (Vec<Value>, Vec<Value>) {
        (self.0.delta_rows("pin_table"), workshop.jsonl_rows(&copied(&self.0, workshop, "dead_letters")))
    }

    fn store(&self) -> Option<&Store> {
        Some(&self.0)
    }

    fn rows_of_another_reader(&self, workshop: &Workshop) -> Option<Vec<Value>> {
        let folder = fresh(workshop, "pin_table");
        self.0.copy_all("pin_table", &workshop.path(&folder));
        Some(workshop.duckdb_rows(&folder))
    }

    fn left_over(&self, _: &Workshop) -> Vec<String> {
        let known = self.0.delta_files("pin_table");
        let is_known = |key: &String| match key.split_once('/') {
            Some(("pin_table", name)) => is_log(name) || known.iter().any(|file| file == name),
            Some(("dead_letters", name)) => is_row_file(name) || is_token_object(name),
            _ => false,
        };
        let keys = self.0.keys().into_iter().filter(|key| !is_known(key)).collect();
        [keys, self.0.pending_uploads()].concat()
    }
}

/// Objects of JSON lines in a bucket, dead letters too.
pub struct S3(Store);

impl Destination for S3 {
    const NAME: &'static str = "s3";
    const POINTS: &'static [&'static str] =
        &["s3-commit-before-token", "s3-commit-after-token", "s3-commit-after-complete", "sink-clean-up"];
    const PLACES: [&'static str; 2] = ["pins/", "dead_letters/"];
    const STATE: State = State::Bucket;

    fn new() -> Self {
        Self(Store::new())
    }

    fn sink(&self, _: &[&str]) -> String {
        format!(r#"s3: {{ uri: "{}/pins", format: jsonl, connection: {} }}"#, self.0.prefix, Store::options())
    }

    fn dead_letters(&self) -> String {
        format!(r#"s3: {{ uri: "{}/dead_letters", format: jsonl, connection: {} }}"#, self.0.prefix, Store::options())
    }

    fn store(&self) -> Option<&Store> {
        Some(&self.0)
    }

    fn rows(&self, workshop: &Workshop) -> (Vec<Value>, Vec<Value>) {
        let [pins, dead] = ["pins", "dead_letters"].map(|name| workshop.jsonl_rows(&copied(&self.0, workshop, name)));
        (pins, dead)
    }

    fn left_over(&self, _: &Workshop) -> Vec<String> {
        let is_known = |key: &String| match key.split_once('/') {
            Some(("pins" | "dead_letters", name)) => is_row_file(name) || is_token_object(name),
            _ => false,
        };
        let keys = self.0.keys().into_iter().filter(|key| !is_known(key)).collect();
        [keys, self.0.pending_uploads()].concat()
    }
}

/// A table of PostgreSQL, dead letters in another one.
pub struct Postgres(Database);

impl Destination for Postgres {
    const NAME: &'static str = "postgres";
    const POINTS: &'static [&'static str] =
        &["postgres-commit-before-copy", "postgres-commit-before-commit", "postgres-commit-after-commit", "sink-clean-up"];
    const PLACES: [&'static str; 2] = ["pin_table", "dead_letters"];
    const STATE: State = State::Disk;

    fn new() -> Self {
        Self(Database::new())
    }

    fn sink(&self, _: &[&str]) -> String {
        r#"postgres: { connection: { url: "${env:PG_URL}" }, table: pin_table }"#.to_owned()
    }

    fn dead_letters(&self) -> String {
        r#"postgres: { connection: { url: "${env:PG_URL}" }, table: dead_letters }"#.to_owned()
    }

    fn environment(&self, command: &mut Command) {
        command.env("PG_URL", self.0.url());
    }

    fn rows(&self, _: &Workshop) -> (Vec<Value>, Vec<Value>) {
        self.0.posts()
    }

    /// Spools lie beside the checkpoints, where a process that knows the state looks for them.
    fn left_over(&self, _: &Workshop) -> Vec<String> {
        Vec::new()
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

    fn committed(&self, what: &str) -> Vec<Seen> {
        read_at(&address(), &self.topic(what), "read_committed")
    }
}

impl Destination for Kafka {
    const NAME: &'static str = "kafka";
    const POINTS: &'static [&'static str] =
        &["kafka-commit-before-token", "kafka-commit-before-commit", "kafka-commit-after-commit", "sink-clean-up"];
    const PLACES: [&'static str; 2] = ["pin_table", "dead_letters"];
    const STATE: State = State::Disk;

    fn new() -> Self {
        let topics = Self { name: unique("m") };
        ["clean", "dead"].iter().for_each(|what| create(&topics.topic(what), 3));
        topics
    }

    fn sink(&self, _: &[&str]) -> String {
        let (brokers, name) = ("${env:WASMILL_TEST_KAFKA}", &self.name);
        format!(
            r#"kafka: {{ connection: {{ brokers: "{brokers}" }}, topic: {name}.clean, key: unique_id, commits_topic: {name}.commits }}"#
        )
    }

    fn dead_letters(&self) -> String {
        let (brokers, name) = ("${env:WASMILL_TEST_KAFKA}", &self.name);
        format!(r#"kafka: {{ connection: {{ brokers: "{brokers}" }}, topic: {name}.dead, commits_topic: {name}.commits }}"#)
    }

    fn rows(&self, _: &Workshop) -> (Vec<Value>, Vec<Value>) {
        let (table, dead) = (self.committed("clean"), self.committed("dead"));
        let wrong = |record: &&Seen| record.key.as_deref() != record.json()["unique_id"].as_str().map(str::as_bytes);
        assert_eq!(table.iter().find(wrong), None, "a record whose key is not its own");
        [table, dead].map(|records| records.iter().map(Seen::json).collect()).into()
    }

    /// Spools lie beside the checkpoints, where a process that knows the state looks for them.
    fn left_over(&self, _: &Workshop) -> Vec<String> {
        Vec::new()
    }
}

/// A stream of Kinesis, dead letters as objects. It promises at-least-once alone, but rows come twice only
/// where a kill comes between the first put of an epoch and the note that it was put.
pub struct Kinesis {
    stream: KinesisStream,
    store: Store,
}

impl Destination for Kinesis {
    const NAME: &'static str = "kinesis";
    const POINTS: &'static [&'static str] = &["kinesis-after-put", "sink-clean-up"];
    /// Its server goes through all that it holds with every call.
    const POSTS: u64 = 600;
    const MAY_REPEAT: bool = true;
    const PLACES: [&'static str; 2] = ["pin_table", "dead_letters/"];
    const STATE: State = State::Bucket;

    fn new() -> Self {
        Self { stream: KinesisStream::new(2), store: Store::new() }
    }

    fn sink(&self, _: &[&str]) -> String {
        let connection = r#"{ endpoint: "${env:WASMILL_TEST_KINESIS}", region: us-east-1 }"#;
        format!("kinesis: {{ stream: {}, delivery: at_least_once, connection: {connection} }}", self.stream.name)
    }

    fn dead_letters(&self) -> String {
        format!(r#"s3: {{ uri: "{}/dead_letters", format: jsonl, connection: {} }}"#, self.store.prefix, Store::options())
    }

    fn rows(&self, workshop: &Workshop) -> (Vec<Value>, Vec<Value>) {
        let rows = self.stream.datas().into_iter().flatten().map(|data| serde_json::from_str(&data).unwrap());
        (rows.collect(), workshop.jsonl_rows(&copied(&self.store, workshop, "dead_letters")))
    }

    fn store(&self) -> Option<&Store> {
        Some(&self.store)
    }

    /// That the last epoch was put.
    fn remembers(&self, name: &str) -> bool {
        name.starts_with("put/matrix.pin_table/")
    }

    fn left_over(&self, _: &Workshop) -> Vec<String> {
        let is_known = |key: &String| key.strip_prefix("dead_letters/").is_some_and(|name| is_row_file(name) || is_token_object(name));
        let keys = self.store.keys().into_iter().filter(|key| !is_known(key)).collect();
        [keys, self.store.pending_uploads()].concat()
    }
}

/// The name of a folder for copies that is not there yet.
pub fn fresh(workshop: &Workshop, name: &str) -> String {
    (0..).map(|copy| format!("copies/{name}-{copy}")).find(|folder| !workshop.path(folder).exists()).unwrap()
}

/// Copies the objects below a name into a folder of the workshop. Returns its name.
fn copied(store: &Store, workshop: &Workshop, name: &str) -> String {
    let folder = fresh(workshop, name);
    store.copy_to(name, &workshop.path(&folder));
    folder
}

/// A file of a Delta log.
fn is_log(name: &str) -> bool {
    let known = |name: &str| {
        let digits = name.len() - name.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        name == "_last_checkpoint" || (digits == 20 && [".json", ".checkpoint.parquet"].contains(&&name[digits..]))
    };
    name.strip_prefix("_delta_log/").is_some_and(known)
}

/// A file of rows that readers see.
fn is_row_file(name: &str) -> bool {
    name.ends_with(".jsonl") && !name.split('/').any(|part| part.starts_with(['.', '_']))
}

/// What a sink of files remembers.
fn is_token_file(name: &str) -> bool {
    name.strip_prefix(".wasmill/")
        .is_some_and(|name| !name.contains('/') && !name.starts_with('.') && [".json", ".lock"].iter().any(|end| name.ends_with(end)))
}

/// What a sink of objects remembers.
fn is_token_object(name: &str) -> bool {
    name.strip_prefix("_wasmill/").is_some_and(|name| !name.contains('/') && name.ends_with(".json"))
}

/// The files below a folder that are not known, by their names from there.
pub fn strangers(root: &Path, is_known: impl Fn(&str) -> bool) -> Vec<String> {
    let (mut folders, mut found): (Vec<PathBuf>, Vec<String>) = (vec![root.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        // A process that runs may remove folders meanwhile.
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            match path.is_dir() {
                true => folders.push(path),
                false if !is_known(name) => found.push(path.display().to_string()),
                false => {}
            }
        }
    }
    found
}
