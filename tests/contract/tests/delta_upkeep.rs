//! History, compaction and vacuum of tables on disk and in a bucket, beside sinks that go on writing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sink_contract {
    pub mod readers;
    pub mod uploads;
}
mod store;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use sink_contract::{readers, uploads};
use store::Prefix;
use uuid::Uuid;
use wasmill_delta::{
    DeltaConfig, DeltaSink, DiffOptions, OptimizeOptions, Optimized, TableAddress, VacuumOptions, Vacuumed, WriteMode, diff, history,
    optimize, vacuum,
};
use wasmill_engine::{Class, CommitOutcome, Result, Sink, Token, WriterContext};
use wasmill_objects::S3Config;

const PARTITIONS: i64 = 2;

fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let kinds: ArrayRef = Arc::new(StringArray::from_iter(numbers.clone().map(|n| (n % PARTITIONS == 0).then_some("a/b"))));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(numbers.clone().map(|n| format!("text {n}"))));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    RecordBatch::try_from_iter_with_nullable([("n", numbers, false), ("kind", kinds, true), ("text", texts, true)]).unwrap()
}

/// A table and its one pipeline.
#[derive(Clone)]
struct Table {
    config: DeltaConfig,
    epoch: Arc<AtomicU64>,
}

impl Table {
    fn on_disk(folder: &Path) -> Self {
        Self::at(DeltaConfig::new(folder.join("table").to_str().unwrap()))
    }

    fn in_bucket(prefix: &Prefix) -> Self {
        Self::at(DeltaConfig { connection: Some(store::config()), ..DeltaConfig::new(prefix.uri("table")) })
    }

    fn at(config: DeltaConfig) -> Self {
        Self { config: DeltaConfig { partition_by: vec!["kind".into()], ..config }, epoch: Arc::default() }
    }

    fn address(&self) -> TableAddress {
        TableAddress { uri: self.config.uri.clone(), connection: self.config.connection.clone().unwrap_or_default() }
    }

    fn token(&self) -> Token {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(9), epoch, previous: epoch - 1 }
    }

    fn prepare(&self, sink: &DeltaSink, token: &Token, numbers: std::ops::Range<i64>) -> serde_json::Value {
        let records = rows(numbers);
        let context = WriterContext {
            pipeline: "p".into(),
            sink: "s".into(),
            incarnation: token.incarnation,
            epoch: token.epoch,
            lane: 0,
            schema: records.schema(),
        };
        let mut writer = sink.writer(context).unwrap();
        assert_eq!(writer.write(&records).unwrap(), []);
        sink.prepare(token, vec![writer.prepare().unwrap()]).unwrap()
    }

    fn write(&self, numbers: std::ops::Range<i64>) {
        self.write_as(numbers, WriteMode::Append);
    }

    fn write_as(&self, numbers: std::ops::Range<i64>, write: WriteMode) {
        let sink = DeltaSink::new(DeltaConfig { write, ..self.config.clone() }, &rows(0..1).schema()).unwrap();
        let token = self.token();
        let prepared = self.prepare(&sink, &token, numbers);
        assert_eq!(sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    }

    fn optimize(&self) -> Result<Optimized> {
        optimize(&self.address(), &OptimizeOptions { target_bytes: 1 << 20, dry_run: false })
    }

    fn vacuum(&self, keep: Duration, dry_run: bool) -> Result<Vacuumed> {
        vacuum(&self.address(), &VacuumOptions { keep, force: true, dry_run })
    }

    fn newest(&self) -> u64 {
        history(&self.address(), 1).unwrap()[0].version
    }

    /// Fails unless two versions hold the same rows.
    fn assert_same(&self, versions: [u64; 2]) {
        let options = DiffOptions { limit: 5, versions: versions.map(Some), ..DiffOptions::default() };
        let found = diff(&self.address(), &self.address(), &options).unwrap();
        assert!(found.equal, "{found:?}");
    }

    /// Fails unless the newest version holds exactly these numbers.
    fn assert_holds(&self, numbers: std::ops::Range<i64>) {
        let folder = tempfile::tempdir().unwrap();
        let expected = Self::on_disk(folder.path());
        expected.write(numbers);
        let found = diff(&self.address(), &expected.address(), &DiffOptions { limit: 5, ..DiffOptions::default() }).unwrap();
        assert!(found.equal, "{found:?}");
    }
}

fn small_files_become_large_ones(table: &Table) {
    (0..12).for_each(|epoch| table.write(epoch * 10..epoch * 10 + 10));
    let before = table.newest();
    let planned = optimize(&table.address(), &OptimizeOptions { target_bytes: 1 << 20, dry_run: true }).unwrap();
    assert_eq!((planned.version, planned.files_removed, planned.files_added), (None, 24, 2));
    assert_eq!(table.newest(), before, "a dry run changes nothing");
    let done = table.optimize().unwrap();
    assert_eq!((done.version, done.files_removed, done.files_added, done.rows), (Some(before + 1), 24, 2, 120));
    table.assert_same([before, before + 1]);
    assert_eq!(table.optimize().unwrap(), Optimized::default(), "a second time there is nothing to do");
    // The pipeline goes on: its token is untouched.
    table.write(120..130);
    table.assert_holds(0..130);
    let told = history(&table.address(), 3).unwrap();
    let operations: Vec<_> = told.iter().map(|entry| (entry.operation.as_str(), entry.files_added, entry.files_removed)).collect();
    assert_eq!(operations, [("WRITE", 2, 0), ("OPTIMIZE", 2, 24), ("WRITE", 2, 0)]);
    assert_eq!(told.iter().map(|entry| entry.rows_added).collect::<Vec<_>>(), [Some(10), Some(0), Some(10)]);
    assert!(told[0].who.contains("p/s epoch 13"), "{}", told[0].who);
}

#[test]
fn small_files_on_disk_become_large_ones() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::on_disk(folder.path());
    small_files_become_large_ones(&table);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("table/_wasmill")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("optimize")), "{left:?}");
    // A reader that is not ours agrees.
    let mut numbers = readers::delta_numbers(&folder.path().join("table"));
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..130));
}

#[test]
fn small_files_in_a_bucket_become_large_ones() {
    let prefix = Prefix::new();
    small_files_become_large_ones(&Table::in_bucket(&prefix));
    assert!(uploads::pending(&prefix).is_empty());
}

/// A sink writes while the table is rewritten again and again.
fn a_sink_goes_on(table: &Table, epochs: i64) {
    table.write(0..10);
    let ended = AtomicBool::new(false);
    let rewritten = std::thread::scope(|scope| {
        let rewriter = scope.spawn(|| {
            let mut rewritten = 0;
            while !ended.load(Ordering::SeqCst) {
                rewritten += u64::from(table.optimize().unwrap().version.is_some());
            }
            rewritten
        });
        (1..epochs).for_each(|epoch| table.write(epoch * 10..epoch * 10 + 10));
        ended.store(true, Ordering::SeqCst);
        rewriter.join().unwrap()
    });
    assert!(rewritten > 0, "it was rewritten meanwhile");
    table.optimize().unwrap();
    table.assert_holds(0..epochs * 10);
}

#[test]
fn a_sink_on_disk_continues_while_its_table_is_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    a_sink_goes_on(&Table::on_disk(folder.path()), 40);
}

#[test]
fn a_sink_in_a_bucket_continues_while_its_table_is_rewritten() {
    let prefix = Prefix::new();
    a_sink_goes_on(&Table::in_bucket(&prefix), 20);
    assert!(uploads::pending(&prefix).is_empty());
}

#[test]
fn rows_that_are_replaced_meanwhile_do_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::on_disk(folder.path());
    let ended = AtomicBool::new(false);
    table.write(0..10);
    std::thread::scope(|scope| {
        let rewriter = scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                // Somebody who is always quicker is no reason to fail.
                if let Err(error) = table.optimize() {
                    assert!(error.message().contains("other writers"), "{error}");
                }
            }
        });
        for round in 1..15 {
            (0..4).for_each(|part| table.write(round * 100 + part..round * 100 + part + 1));
            table.write_as(round * 1000..round * 1000 + 10, WriteMode::Overwrite);
            table.assert_holds(round * 1000..round * 1000 + 10);
        }
        ended.store(true, Ordering::SeqCst);
        rewriter.join().unwrap();
    });
    // Files of tries that came too late are gone, but for those of a rewrite that is in some version.
    table.assert_holds(14_000..14_010);
}

#[test]
fn a_rewrite_whose_answers_are_lost_is_done_once() {
    let (prefix, proxy) = (Prefix::new(), store::proxy::Proxy::start());
    let table = Table::in_bucket(&prefix);
    let through = TableAddress { connection: S3Config { endpoint: Some(proxy.address.clone()), ..store::config() }, ..table.address() };
    for (round, texts) in [&["PUT ", "_delta_log"][..], &["POST ", "uploadId="]].into_iter().enumerate() {
        let start = round as i64 * 40;
        (0..4).for_each(|epoch| table.write(start + epoch * 10..start + epoch * 10 + 10));
        let before = table.newest();
        proxy.lose(texts, 1);
        let done = optimize(&through, &OptimizeOptions { target_bytes: 1 << 20, dry_run: false }).unwrap();
        assert_eq!((done.version, proxy.lost()), (Some(before + 1), round + 1), "{texts:?}");
        table.assert_same([before, before + 1]);
    }
    table.assert_holds(0..80);
    assert!(uploads::pending(&prefix).is_empty());
}

fn set_modified(path: &Path, days_ago: u64) {
    let time = SystemTime::now() - Duration::from_secs(days_ago * 86_400);
    std::fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// All data files below a table, by their names.
fn data_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => data_files(&path, found),
            false if path.extension().is_some_and(|extension| extension == "parquet") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn a_vacuum_keeps_what_a_version_of_the_last_days_needs() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::on_disk(folder.path());
    let place = folder.path().join("table");
    // Versions of 30, 20 and 10 days ago; the last one replaced everything.
    for (version, days, write) in [(0, 30, WriteMode::Append), (1, 20, WriteMode::Overwrite), (2, 10, WriteMode::Overwrite)] {
        table.write_as(version * 10..version * 10 + 10, write);
        let mut files = Vec::new();
        data_files(&place, &mut files);
        let recent = |path: &&std::path::PathBuf| {
            std::fs::metadata(path).unwrap().modified().unwrap().elapsed().unwrap() < Duration::from_secs(3600)
        };
        files.iter().filter(recent).for_each(|path| set_modified(path, days));
        set_modified(&place.join(format!("_delta_log/{version:020}.json")), days);
    }
    // Files of nobody, hidden ones, and what a sink has not committed.
    let sink = DeltaSink::new(table.config.clone(), &rows(0..1).schema()).unwrap();
    let token = table.token();
    let prepared = table.prepare(&sink, &token, 30..40);
    for (name, days) in
        [("stray.parquet", 40), ("kind=x/stray.parquet", 40), ("new.parquet", 0), ("notes.txt", 40), ("_hidden/x.parquet", 40)]
    {
        let path = place.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"not ours").unwrap();
        set_modified(&path, days);
    }
    let staged = place.join("_wasmill/p.s");
    std::fs::read_dir(&staged).unwrap().for_each(|entry| set_modified(&entry.unwrap().path(), 40));
    let day = Duration::from_secs(86_400);
    // 25 days back version 0 was the table: everything is needed but the strays.
    let found = table.vacuum(25 * day, true).unwrap();
    assert_eq!((found.oldest_version, found.files.clone()), (0, vec!["kind=x/stray.parquet".to_owned(), "stray.parquet".to_owned()]));
    assert!(place.join("stray.parquet").exists(), "a dry run removes nothing");
    // 15 days back it was version 1.
    let found = table.vacuum(15 * day, false).unwrap();
    assert_eq!((found.oldest_version, found.files.len()), (1, 4), "{found:?}");
    table.assert_same([1, 1]);
    let found = table.vacuum(5 * day, false).unwrap();
    assert_eq!((found.oldest_version, found.files.len()), (2, 2), "{found:?}");
    assert!(["new.parquet", "notes.txt", "_hidden/x.parquet"].iter().all(|name| place.join(name).exists()));
    table.assert_holds(20..30);
    // The commit that was prepared before still has all that it needs.
    assert_eq!(sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    table.assert_holds(20..40);
    let error = vacuum(&table.address(), &VacuumOptions { keep: Duration::from_secs(60), force: false, dry_run: true }).unwrap_err();
    assert!(error.class() == Class::Configuration && error.hint_text().unwrap().contains("1h"), "{error}");
}

#[test]
fn a_vacuum_in_a_bucket_leaves_the_newest_version_and_uploads() {
    let prefix = Prefix::new();
    let table = Table::in_bucket(&prefix);
    (0..6).for_each(|epoch| table.write(epoch * 10..epoch * 10 + 10));
    table.optimize().unwrap();
    let sink = DeltaSink::new(table.config.clone(), &rows(0..1).schema()).unwrap();
    let token = table.token();
    let prepared = table.prepare(&sink, &token, 60..70);
    let pending = uploads::pending(&prefix).len();
    assert!(pending > 0);
    assert_eq!(table.vacuum(Duration::from_secs(86_400), false).unwrap().files, [""; 0], "everything is young");
    let found = table.vacuum(Duration::ZERO, true).unwrap();
    assert_eq!((found.files.len(), found.oldest_version), (12, 6), "{found:?}");
    assert_eq!(table.vacuum(Duration::ZERO, false).unwrap(), found);
    assert_eq!(uploads::pending(&prefix).len(), pending);
    table.assert_holds(0..60);
    sink.commit(&token, &prepared).unwrap();
    table.assert_holds(0..70);
}
