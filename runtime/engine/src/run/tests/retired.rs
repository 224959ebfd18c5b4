//! Splits that are done leave the checkpoint: their cost, and that they are not read again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::ledger::{read_all, retired_pieces};
use super::doubles::{NumberReader, Pipeline, SilentObserver, schema};
use super::{Store, state};
use crate::*;

const FORM: RecordForm = RecordForm { key_bytes: 8, record_bytes: 9 };

/// This many splits of one row each.
struct Files {
    splits: u64,
    listed: bool,
    retired: Option<Retired>,
    has_records: bool,
}

impl Files {
    fn new(splits: u64) -> Self {
        Self { splits, listed: false, retired: None, has_records: true }
    }
}

fn id(number: u64) -> SplitId {
    format!("/data/some/folder/with/a/name/of/usual/length/part-{number:09}.jsonl@all").into()
}

impl Source for Files {
    fn schema(&self) -> arrow_schema::SchemaRef {
        schema()
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        assert!(restored.keys().all(|id| !id.starts_with('@')), "the engine's own entries are none of a source's");
        let is_done = |number: u64| {
            let entry = restored.get(&id(number)).is_some_and(|state| state.done);
            entry || self.retired.as_ref().is_some_and(|retired| retired.get(&number.to_be_bytes()).is_some())
        };
        let numbers = (0..self.splits).filter(|number| !self.listed && !is_done(*number));
        let splits = numbers.map(|number| Split { id: id(number), position: json!(number) }).collect();
        self.listed = true;
        Ok(Discovery { splits, complete: true })
    }

    fn record_form(&self) -> Option<RecordForm> {
        self.has_records.then_some(FORM)
    }

    fn retire(&self, _id: &SplitId, state: &SplitState, records: &mut Vec<u8>) -> Result<bool> {
        if state.done {
            records.extend(state.position["next"].as_u64().map(|next| (next - 1).to_be_bytes()).unwrap());
            records.push(1);
        }
        Ok(state.done)
    }

    fn restore(&mut self, retired: Retired) {
        assert!(!self.listed && self.retired.is_none(), "once, before the first listing");
        self.retired = Some(retired);
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener)
    }
}

struct Opener;

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let number = split.position.as_u64().unwrap();
        Ok(Box::new(NumberReader::new(number, number + 1)))
    }
}

/// Counts rows and drops them.
#[derive(Default)]
struct Nowhere(Arc<AtomicU64>);

impl Sink for Nowhere {
    fn remembers(&self) -> bool {
        false
    }

    fn committed(&self, _pipeline: &str, _sink: &str) -> Result<Option<Committed>> {
        Ok(None)
    }

    fn writer(&self, _context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Self(Arc::clone(&self.0))))
    }

    fn prepare(&self, _token: &Token, _parts: Vec<Value>) -> Result<Value> {
        Ok(Value::Null)
    }

    fn commit(&self, _token: &Token, _prepared: &Value) -> Result<CommitOutcome> {
        Ok(CommitOutcome::Done)
    }

    fn adopt(&self, _token: &Token) -> Result<()> {
        Ok(())
    }

    fn clean_up(&self, _claim: &Token) -> Result<()> {
        Ok(())
    }
}

impl SinkWriter for Nowhere {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        self.0.fetch_add(records.num_rows() as u64, Ordering::Relaxed);
        Ok(Vec::new())
    }

    fn prepare(self: Box<Self>) -> Result<Value> {
        Ok(Value::Null)
    }
}

/// What epochs took.
#[derive(Default)]
struct Times(Mutex<Vec<Duration>>);

impl Observer for Times {
    fn on(&self, event: Event<'_>) {
        if let Event::EpochCommitted { took, .. } = event {
            self.0.lock().unwrap().push(took.prepare + took.checkpoint);
        }
    }
}

fn plan(pipeline: &Pipeline, source: Files) -> (Plan, Arc<AtomicU64>) {
    let mut plan = pipeline.plan();
    plan.sources[0].source = Box::new(source);
    let rows = Arc::default();
    plan.sinks[0].sink = Arc::new(Nowhere(Arc::clone(&rows)));
    (plan, rows)
}

fn read(splits: u64, epoch_rows: u64, state: &Store) -> (u64, Times) {
    let (plan, rows) = plan(&Pipeline { epoch_rows, ..Pipeline::default() }, Files::new(splits));
    let times = Times::default();
    run(plan, state.clone(), &StopSignal::new(), &times).unwrap();
    (rows.load(Ordering::Relaxed), times)
}

fn size(state: &Store) -> usize {
    state.latest().unwrap().unwrap().encode().unwrap().len()
}

#[test]
fn a_checkpoint_is_as_small_and_as_quick_after_a_hundred_thousand_finished_splits_as_after_ten_thousand() {
    for splits in [10_000, 100_000] {
        let (_folder, state) = state();
        let (rows, times) = read(splits, 2_000, &state);
        assert_eq!(rows, splits);
        let times = times.0.into_inner().unwrap();
        let last = &times[times.len().saturating_sub(5)..];
        println!("{splits} splits: {} bytes, {:?} per epoch at the end", size(&state), last.iter().sum::<Duration>() / last.len() as u32);
        // Each of them was an entry of some 120 bytes.
        assert!(size(&state) < 64 << 10, "{} bytes after {splits} splits", size(&state));
        assert_eq!(read(splits, 2_000, &state).0, 0, "nothing is read twice");
        assert_eq!(read(splits + 7, 2_000, &state).0, 7);
    }
}

/// The files of the depot, by name.
fn pieces(folder: &tempfile::TempDir) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder.path().join("p/retired")).map_or_else(|_| Vec::new(), |entries| entries.collect());
    entries.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn pieces_are_merged_and_those_that_no_checkpoint_names_are_removed() {
    let (folder, state) = state();
    let mut splits = 0;
    // Many runs of a few epochs: pieces, merges under way when a run ends, and what they leave.
    for _ in 0..20 {
        splits += 1_500;
        assert_eq!(read(splits, 300, &state).0, 1_500);
    }
    // A merge runs in the background of the epochs: leave it some.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        splits += 1_500;
        assert_eq!(read(splits, 300, &state).0, 1_500);
        let left = pieces(&folder).len();
        if left < 60 {
            break;
        }
        assert!(Instant::now() < deadline, "{left} pieces of {} epochs are there", splits / 300);
    }
    assert_eq!(read(splits, 300, &state).0, 0);
}

#[test]
fn what_a_killed_process_left_is_removed_once_no_checkpoint_can_name_it() {
    let (folder, state) = state();
    read(600, 300, &state);
    let latest = state.latest().unwrap().unwrap();
    let key = |incarnation, epoch| DepotKey { folder: "retired", incarnation, epoch, kind: "splits" };
    let file = |incarnation, epoch| {
        let file = state.depot().create(&key(incarnation, epoch)).unwrap().finish().unwrap();
        state.depot().seal(std::slice::from_ref(&file)).unwrap();
        file.name.rsplit('/').next().unwrap().to_owned()
    };
    let (left, foreign) = (file(latest.incarnation, latest.epoch), file(Uuid::now_v7(), latest.epoch));
    read(3_600, 300, &state);
    let there = pieces(&folder);
    assert!(!there.contains(&left), "{there:?}");
    assert!(there.contains(&foreign), "it is of another life");
}

#[test]
fn entries_of_an_older_checkpoint_are_retired_with_the_first_epoch() {
    let (_folder, state) = state();
    let entry = |number: u64| (id(number), SplitState { position: json!({"next": number + 1, "end": number + 1}), done: true });
    let sources = [("numbers".to_owned(), (0..50_000).map(entry).collect())];
    let old = Checkpoint {
        pipeline: "p".into(),
        incarnation: Uuid::now_v7(),
        epoch: 1,
        sources: sources.into(),
        sinks: Default::default(),
        stages: Default::default(),
    };
    state.put(&old).unwrap();
    let before = size(&state);
    assert_eq!(read(50_001, 300, &state).0, 1);
    assert!(before > 5 << 20 && size(&state) < 1 << 10, "{before} bytes before, {} after", size(&state));
    assert_eq!(read(50_002, 300, &state).0, 1);
}

#[test]
fn a_piece_that_is_gone_or_damaged_or_of_another_source_stops_the_run_before_it_reads() {
    let (folder, state) = state();
    read(600, 300, &state);
    let again = |source: Files| {
        let (plan, rows) = plan(&Pipeline::default(), source);
        let error = run(plan, state.clone(), &StopSignal::new(), &SilentObserver).unwrap_err();
        assert_eq!((error.class(), rows.load(Ordering::Relaxed)), (Class::Environment, 0), "{error}");
        error.to_string()
    };
    let error = again(Files { has_records: false, ..Files::new(700) });
    assert!(error.contains("another kind"), "{error}");
    let name = pieces(&folder).pop_first().unwrap();
    let path = folder.path().join("p/retired").join(&name);
    let bytes = std::fs::read(&path).unwrap();
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [&bytes[..bytes.len() - 1], &changed[..]] {
        std::fs::write(&path, bad).unwrap();
        let error = again(Files::new(700));
        assert!(error.contains(&name), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(again(Files::new(700)).contains(&name));
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(read(700, 300, &state).0, 100);
}

/// A split that is followed: read to its end, never done, and it grows now and then.
struct Followed {
    grown: Arc<AtomicBool>,
    listed: bool,
}

struct FollowedReader {
    number: u64,
    next: u64,
    grown: Arc<AtomicBool>,
}

impl Followed {
    const FORM: RecordForm = RecordForm { key_bytes: 8, record_bytes: 16 };
}

impl Source for Followed {
    fn schema(&self) -> arrow_schema::SchemaRef {
        schema()
    }

    fn discover(&mut self, _restored: &Progress) -> Result<Discovery> {
        let first = !std::mem::replace(&mut self.listed, true);
        let splits = (0..2_000).filter(|_| first).map(|number| Split { id: id(number), position: json!(number) }).collect();
        Ok(Discovery { splits, complete: false })
    }

    fn record_form(&self) -> Option<RecordForm> {
        Some(Self::FORM)
    }

    fn retire(&self, _id: &SplitId, state: &SplitState, records: &mut Vec<u8>) -> Result<bool> {
        let field = |key: &str| state.position[key].as_u64().unwrap().to_be_bytes();
        records.extend([field("number"), field("next")].concat());
        Ok(true)
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(FollowedOpener(Arc::clone(&self.grown)))
    }
}

struct FollowedOpener(Arc<AtomicBool>);

impl SplitOpener for FollowedOpener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        Ok(Box::new(FollowedReader { number: split.position.as_u64().unwrap(), next: 0, grown: Arc::clone(&self.0) }))
    }
}

impl SplitReader for FollowedReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let end = if self.number < 20 && self.grown.load(Ordering::Relaxed) { 2 } else { 1 };
        if self.next == end {
            return Ok(Read::Idle);
        }
        self.next += 1;
        NumberReader::new(self.number, self.number + 1).read(max_rows)
    }

    fn position(&self) -> Value {
        json!({"number": self.number, "next": self.next})
    }
}

#[test]
fn splits_that_are_followed_and_stand_still_leave_the_checkpoint_and_come_back_when_they_move() {
    let (_folder, state) = state();
    let grown = Arc::new(AtomicBool::new(false));
    let pipeline = Pipeline { mode: Mode::Stream, epoch_rows: 500, ..Pipeline::default() };
    let mut plan = pipeline.plan();
    plan.sources[0].source = Box::new(Followed { grown: Arc::clone(&grown), listed: false });
    let rows = Arc::new(AtomicU64::new(0));
    plan.sinks[0].sink = Arc::new(Nowhere(Arc::clone(&rows)));
    let stop = StopSignal::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(plan, state.clone(), &stop, &SilentObserver));
        let wait = |wanted: u64| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while rows.load(Ordering::Relaxed) < wanted && !running.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        wait(2_000);
        grown.store(true, Ordering::Relaxed);
        wait(2_020);
        stop.stop();
        running.join().unwrap().unwrap();
    });
    assert_eq!(rows.load(Ordering::Relaxed), 2_020);
    let latest = state.latest().unwrap().unwrap();
    let progress = &latest.sources["numbers"];
    assert!(progress.len() < 900, "{} entries are left of 2,000", progress.len());
    // What moved has an entry, or is in the pieces once more if it stood still long enough.
    let retired = read_all(&*state.depot(), Followed::FORM, &retired_pieces(progress).unwrap()).unwrap();
    for number in 0..20 {
        let entry = progress.get(&id(number)).and_then(|entry| entry.position["next"].as_u64());
        let record = || retired.get(&number.to_be_bytes()).map(|next| u64::from_be_bytes(next.try_into().unwrap()));
        assert_eq!(entry.or_else(record), Some(2), "split {number}");
    }
}
