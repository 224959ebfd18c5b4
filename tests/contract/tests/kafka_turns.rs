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
const RECORDS: u64 = 6_000;
const BATCH_ROWS: usize = 250;

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
        lanes: 2,
        batch_rows: BATCH_ROWS,
        row_as_json: |_, _| Ok(String::new()),
        epoch: EpochPolicy { every: Duration::from_secs(3600), rows: PARTITIONS as u64 * BATCH_ROWS as u64 * 4, whole_run: false },
        limit: None,
        is_rehearsal: false,
        sources: vec![SourceNode { name: "pins".into(), source: Box::new(Watched(source, Arc::clone(committed))), max_reject_share: 1.0 }],
        stages: Vec::new(),
        sinks: vec![SinkNode { name: "nowhere".into(), sink: Arc::new(Nowhere), inputs: vec![Input::Source(0)], schema: schema() }],
        dead_letters: None,
    }
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
    let at = |epoch: &Progress, partition: i32| {
        epoch.get(format!("{topic}/{partition}").as_str()).map_or(0, |state| state.position["offset"].as_u64().unwrap())
    };
    // Until the brokers have sent something of each partition, nobody can read it: that takes an epoch, or several on a busy machine.
    let begun = |epochs: &[Progress]| epochs.iter().position(|epoch| (0..PARTITIONS).all(|partition| at(epoch, partition) > 0));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(plan, state, &stop, &lags));
        let deadline = Instant::now() + Duration::from_secs(120);
        let is_enough = |epochs: &[Progress]| begun(epochs).is_some_and(|first| epochs.len() > first + 3);
        while !is_enough(&committed.lock().unwrap()) && !running.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.stop();
        running.join().unwrap().unwrap();
    });
    let epochs = committed.lock().unwrap();
    let first = begun(&epochs).expect("every partition is read");
    assert!(epochs.len() > first + 3, "{} epochs, the first with every partition is {first}", epochs.len());
    for (index, pair) in epochs[first..=first + 3].windows(2).enumerate() {
        let stuck: Vec<i32> = (0..PARTITIONS).filter(|partition| at(&pair[1], *partition) <= at(&pair[0], *partition)).collect();
        assert_eq!(stuck, Vec::<i32>::new(), "partitions that did not advance in epoch {index} after the first");
    }
    let (rows, behind) = lags.0.lock().unwrap()[0];
    let all = RECORDS * PARTITIONS as u64;
    // What is being decoded is in neither number.
    assert!(rows + behind <= all && rows + behind + 4 * BATCH_ROWS as u64 >= all, "{rows} rows read, {behind} behind, of {all}");
}
