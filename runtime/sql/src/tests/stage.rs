//! Aggregates in the keyed stage itself: spilled after every batch, in several lanes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use wasmill_keyed::key::owned;
use wasmill_keyed::operator::{AggregateSpec, AggregateStage, Collector, Emit, EmitInput, Emitter, Limits};
use wasmill_keyed::run::{BytesFile, Run, RunFile, RunFileWriter, RunStore};
use wasmill_keyed::windows::{BEGINNING, NEVER, Windows};

use super::aggregates::aggregates;
use super::*;

/// Files in memory.
#[derive(Default, Clone)]
struct Files {
    written: Arc<Mutex<usize>>,
}

struct Writer {
    bytes: Vec<u8>,
    files: Files,
}

impl RunStore for Files {
    fn create(&self) -> wasmill_keyed::Result<Box<dyn RunFileWriter>> {
        Ok(Box::new(Writer { bytes: Vec::new(), files: self.clone() }))
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RunFileWriter for Writer {
    fn finish(self: Box<Self>) -> wasmill_keyed::Result<Arc<dyn RunFile>> {
        let mut written = self.files.written.lock().unwrap();
        *written += 1;
        Ok(Arc::new(BytesFile::new(format!("run-{written}"), self.bytes)))
    }
}

const COLUMNS: [(&str, &str); 6] = [
    ("rows", "count(*)"),
    ("total", "sum(n)"),
    ("different", "count(DISTINCT t)"),
    ("middle", "median(n)"),
    ("last", "max_by(t, n)"),
    ("most", "max(t)"),
];

/// Rows `n` of key `n % 7`.
fn batch(numbers: &[i64]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("key", Arc::new(numbers.iter().map(|n| Some(n % 7)).collect::<Int64Array>())),
        ("n", Arc::new(numbers.iter().copied().map(Some).collect::<Int64Array>())),
        ("t", Arc::new(numbers.iter().map(|n| Some(format!("t{}", n / 7 % 1_500))).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The results by key, in words.
fn results(lanes: usize, rows_per_batch: usize, spill: bool) -> BTreeMap<i64, Vec<String>> {
    let numbers: Vec<i64> = (0..21_000).collect();
    let schema = batch(&[]).schema();
    let plan = aggregates(&COLUMNS, &schema).unwrap();
    let (windows, emit) = (Windows::none(), Emit::AtClose);
    let values = plan.columns().to_vec();
    let spec = AggregateSpec { keys: vec![0], values, event_time: None, windows, emit, aggregate: Arc::new(plan) };
    let stage = Arc::new(AggregateStage::new(&schema, spec).unwrap());
    let files = Files::default();
    let memory = if spill { 0 } else { usize::MAX };
    let limits = Limits { memory_bytes: memory, run_memory_bytes: memory };
    let mut collectors: Vec<Collector> =
        (0..lanes).map(|lane| Collector::new(Arc::clone(&stage), lane, limits, Arc::new(files.clone())).unwrap()).collect();
    for (number, numbers) in numbers.chunks(rows_per_batch).enumerate() {
        assert_eq!(collectors[number % lanes].collect(&batch(numbers)).unwrap().rejects, []);
    }
    let new: Vec<Arc<Run>> = collectors.iter_mut().flat_map(|collector| collector.seal().unwrap()).collect();
    assert_eq!(*files.written.lock().unwrap() > 0, spill);
    let mut results = BTreeMap::new();
    for lane in 0..lanes {
        let mut emitter = Emitter::new(Arc::clone(&stage), lane, owned(lane, lanes), memory, Arc::new(files.clone()));
        let input = EmitInput { state: &[], new: &new, before: BEGINNING, now: NEVER };
        let mut into = |fired: wasmill_keyed::operator::Fired| {
            let values: Vec<Vec<String>> = fired.rows.columns().iter().map(texts).collect();
            for (row, key) in fired.keys[0].as_primitive::<Int64Type>().values().iter().enumerate() {
                results.insert(*key, values.iter().map(|column| column[row].clone()).collect());
            }
            Ok(())
        };
        emitter.emit(input, &mut into).unwrap();
    }
    results
}

#[test]
fn a_stage_that_spills_every_batch_has_the_same_results() {
    let whole = results(1, 21_000, false);
    assert_eq!(whole[&0], ["3000", "31489500", "1500", "10496.5", "t1499", "t999"]);
    assert_eq!(whole.len(), 7);
    for (lanes, rows, spill) in [(3, 1_000, false), (2, 700, true), (1, 5_000, true)] {
        assert_eq!(results(lanes, rows, spill), whole);
    }
}
