//! A stream of many partitions on a real broker: all are read in turns, and all count as behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kafka_broker;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use kafka_broker::{Producer, address, topic, unique};
use serde_json::Value;
use wasmill_engine::{
    CommitOutcome, Committed, Discovery, EpochPolicy, Event, Input, LocalState, Mode, Observer, Plan, Progress, Result, RowReject, Sink,
    SinkNode, SinkWriter, Source, SourceNode, SplitOpener, StopSignal, Token, WriterContext, run,
};
use wasmill_kafka::{KafkaConfig, KafkaSource};

const PARTITIONS: i32 = 64;
const LANES: i32 = 2;
const RECORDS: u64 = 10_000;
const BATCH_ROWS: usize = 250;
const EPOCH_ROWS: u64 = PARTITIONS as u64 * BATCH_ROWS as u64 * 4;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]))
}

/// The source, and the progress of each epoch.
struct Watched(KafkaSource, Arc<Mutex<Vec<Progress>>>);

impl Source for Watched {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        self.0.discover(restored)
    }

    fn is_endless(&self) -> bool {
        self.0.is_endless()
    }

    fn rows_behind(&self) -> Option<u64> {
        self.0.rows_behind()
    }

    fn committed(&mut self, progress: &Progress) {
        self.1.lock().unwrap().push(progress.clone());
        self.0.committed(progress);
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        self.0.opener()
    }
}

/// Forgets what is written.
struct Nowhere;

impl Sink for Nowhere {
    fn remembers(&self) -> bool {
        false
    }

    fn committed(&self, _pipeline: &str, _sink: &str) -> Result<Option<Committed>> {
        Ok(None)
    }

    fn writer(&self, _context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Self))
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
    fn write(&mut self, _records: &RecordBatch) -> Result<Vec<RowReject>> {
        Ok(Vec::new())
    }

    fn prepare(self: Box<Self>) -> Result<Value> {
        Ok(Value::Null)
    }
}

/// Rows that were read and rows behind, as the progress line tells them.
#[derive(Default)]
struct Lags(Mutex<Vec<(u64, u64)>>);

impl Observer for Lags {
    fn on(&self, event: Event<'_>) {
        if let Event::Progress(progression) = event {
            self.0.lock().unwrap().extend(progression.rows_behind.map(|behind| (progression.rows, behind)));
        }
    }
}

fn plan(topic: &str, committed: &Arc<Mutex<Vec<Progress>>>) -> Plan {
    let config = KafkaConfig { follow: Some("1s".into()), clients: Some(2), ..KafkaConfig::of_topic(address(), topic) };
    let source = KafkaSource::new("pins", &unique("group"), config, schema(), Mode::Stream).unwrap();
    Plan {
        name: "p".into(),
        mode: Mode::Stream,
        lanes: LANES as usize,
        batch_rows: BATCH_ROWS,
        row_as_json: |_, _| Ok(String::new()),
        epoch: EpochPolicy { every: Duration::from_secs(3600), rows: EPOCH_ROWS, whole_run: false },
        limit: None,
        drains: false,
        is_rehearsal: false,
        sources: vec![SourceNode { name: "pins".into(), source: Box::new(Watched(source, Arc::clone(committed))), max_reject_share: 1.0 }],
        stages: Vec::new(),
        sinks: vec![SinkNode { name: "nowhere".into(), sink: Arc::new(Nowhere), inputs: vec![Input::Source(0)], schema: schema() }],
        dead_letters: None,
    }
}

/// How far a partition was read at the end of an epoch.
fn offset(epoch: &Progress, topic: &str, partition: i32) -> u64 {
    epoch.get(format!("{topic}/{partition}").as_str()).map_or(0, |state| state.position["offset"].as_u64().unwrap())
}

/// What one lane read in one epoch.
struct LaneEpoch {
    epoch: usize,
    lane: i32,
    /// Partitions that had a backlog and were not read, while the others of their lane were read twice or more.
    passed_over: Vec<i32>,
}

/// Every epoch of a lane in which all its partitions could have had two turns.
///
/// How the rows of an epoch are shared between lanes is up to the machine: a lane that gets no processor reads nothing. And until
/// the brokers have sent something of each partition of a lane, nobody can read it.
fn lane_epochs(epochs: &[Progress], topic: &str) -> Vec<LaneEpoch> {
    let mut found = Vec::new();
    for (epoch, pair) in epochs.windows(2).enumerate() {
        for lane in 0..LANES {
            let partitions = || (0..PARTITIONS).filter(move |partition| partition % LANES == lane);
            let advance = |partition: i32| offset(&pair[1], topic, partition) - offset(&pair[0], topic, partition);
            let has_begun = partitions().all(|partition| offset(&pair[0], topic, partition) > 0);
            let rows: u64 = partitions().map(advance).sum();
            if has_begun && rows >= 2 * (PARTITIONS / LANES) as u64 * BATCH_ROWS as u64 {
                let is_passed_over = |partition: &i32| advance(*partition) == 0 && offset(&pair[1], topic, *partition) < RECORDS;
                found.push(LaneEpoch { epoch, lane, passed_over: partitions().filter(is_passed_over).collect() });
            }
        }
    }
    found
}

#[test]
fn every_partition_with_a_backlog_advances_in_every_epoch_and_counts_as_behind() {
    let topic = topic(PARTITIONS);
    let producer = Producer::new(&[("compression.codec", "lz4")]);
    for number in 0..RECORDS {
        (0..PARTITIONS).for_each(|partition| producer.send(&topic, partition, format!("{{\"id\":{number}}}").as_bytes()));
    }
    producer.flush();
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(LocalState::open(folder.path(), "p").unwrap());
    let (committed, lags, stop) = (Arc::<Mutex<Vec<Progress>>>::default(), Lags::default(), StopSignal::new());
    let plan = plan(&topic, &committed);
    let all = RECORDS * PARTITIONS as u64;
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(plan, state, &stop, &lags));
        let deadline = Instant::now() + Duration::from_secs(120);
        let is_enough = |epochs: &[Progress]| {
            let read = epochs.last().map_or(0, |last| (0..PARTITIONS).map(|partition| offset(last, &topic, partition)).sum());
            lane_epochs(epochs, &topic).len() >= 4 || read + EPOCH_ROWS > all
        };
        while !is_enough(&committed.lock().unwrap()) && !running.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.stop();
        running.join().unwrap().unwrap();
    });
    let epochs = committed.lock().unwrap();
    let found = lane_epochs(&epochs, &topic);
    assert!(found.len() >= 2, "{} epochs, of which {} show a lane with two turns of all its partitions", epochs.len(), found.len());
    for LaneEpoch { epoch, lane, passed_over } in found {
        assert_eq!(passed_over, Vec::<i32>::new(), "partitions of lane {lane} that did not advance in epoch {}", epoch + 1);
    }
    let (rows, behind) = lags.0.lock().unwrap()[0];
    // What is being decoded is in neither number.
    assert!(rows + behind <= all && rows + behind + 4 * BATCH_ROWS as u64 >= all, "{rows} rows read, {behind} behind, of {all}");
}
