//! Splits hold every row once, reading resumes where it stopped, and bad lines keep their bytes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use wasmill_engine::{Class, SplitState};

use super::*;
use crate::{Dirt, Level};

fn config(rows: Option<u64>, dirt: Dirt) -> EmulatorConfig {
    EmulatorConfig { table: Table::Pin, rows, rate: None, seed: 42, dirt }
}

fn source(config: &EmulatorConfig) -> EmulatorSource {
    EmulatorSource::new("pins", config, config.table.schema(), Mode::Stream).unwrap()
}

/// Everything that a reader returns, at most `batches` batches of it.
fn drain(reader: &mut dyn SplitReader, max_rows: usize, batches: usize) -> Vec<SourceBatch> {
    let mut read = Vec::new();
    while read.len() < batches {
        match reader.read(max_rows).unwrap() {
            Read::Batch(batch) => read.push(batch),
            Read::Idle | Read::Skipping => std::thread::sleep(Duration::from_millis(1)),
            Read::End => break,
        }
    }
    read
}

fn indexes(batches: &[SourceBatch]) -> Vec<i64> {
    batches.iter().flat_map(|read| read.batch.records["index"].as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn progress(source: &EmulatorSource, splits: &[Split], max_rows: usize, batches: usize) -> Progress {
    let after = |split: &Split| {
        let mut reader = source.opener().open(split).unwrap();
        drain(&mut *reader, max_rows, batches);
        SplitState { position: reader.position(), done: false }
    };
    splits.iter().map(|split| (Arc::clone(&split.id), after(split))).collect()
}

#[test]
fn splits_hold_every_row_once() {
    let rows = 20 * BLOCK_ROWS + 5;
    let mut source = source(&config(Some(rows), Dirt::Level(Level::None)));
    let discovery = source.discover(&Progress::new()).unwrap();
    assert!(discovery.complete);
    assert_eq!(discovery.splits.len(), SPLITS as usize);
    // Row numbers only: generating all these rows would take long.
    let mut seen = Vec::new();
    for split in &discovery.splits {
        let mut reader = Reader {
            shared: Arc::clone(&source.shared),
            partition: Arc::clone(&split.id),
            position: Position::read(&split.position).unwrap(),
            columns: Columns::new(&source.shared.schema).unwrap(),
        };
        while reader.left_in_block() > 0 {
            seen.push(reader.position.row);
            reader.advance();
        }
    }
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..rows));
    assert!(source.discover(&Progress::new()).unwrap().splits.is_empty(), "splits are handed out once");
}

#[test]
fn small_tables_have_only_the_splits_that_they_fill() {
    let mut source = source(&config(Some(10), Dirt::Level(Level::None)));
    let splits = source.discover(&Progress::new()).unwrap().splits;
    assert_eq!(splits.len(), 1);
    let mut reader = source.opener().open(&splits[0]).unwrap();
    assert_eq!(indexes(&drain(&mut *reader, 4, usize::MAX)), (0..10).collect::<Vec<_>>());
}

#[test]
fn reading_resumes_where_it_stopped_byte_for_byte() {
    let config = config(Some(3_000), Dirt::Level(Level::Heavy));
    let mut source = source(&config);
    let split = &source.discover(&Progress::new()).unwrap().splits[0];
    let positions = |batches: &[SourceBatch]| -> Vec<(u64, Bytes)> {
        let good = |read: &SourceBatch| {
            let lineage = read.batch.lineage.clone();
            (0..read.batch.records.num_rows()).map(|row| (lineage.position(row), lineage.original(row).unwrap())).collect::<Vec<_>>()
        };
        let bad = |reject: &Reject| match &reject.record {
            OriginalRecord::Bytes(bytes) => (reject.position, bytes.clone()),
            OriginalRecord::Json(text) => panic!("{text}"),
        };
        let mut all: Vec<_> = batches.iter().flat_map(|read| good(read).into_iter().chain(read.rejects.iter().map(bad))).collect();
        all.sort();
        all
    };
    let all = positions(&drain(&mut *source.opener().open(split).unwrap(), 1_000, usize::MAX));
    assert_eq!(all.len(), 3_000);
    for (size, batches) in [(1, 1), (7, 100), (1_000, 2)] {
        let mut reader = source.opener().open(split).unwrap();
        let mut parts = positions(&drain(&mut *reader, size, batches));
        let again = Split { id: Arc::clone(&split.id), position: reader.position() };
        parts.extend(positions(&drain(&mut *source.opener().open(&again).unwrap(), 999, usize::MAX)));
        assert_eq!(parts, all, "stopped after {batches} batches of {size}");
    }
    let mut text = Vec::new();
    all.iter().for_each(|(position, bytes)| {
        assert_eq!(*position, text.len() as u64, "positions are byte offsets in the split");
        text.extend_from_slice(bytes);
        text.push(b'\n');
    });
}

#[test]
fn lines_that_are_no_json_become_rejects_with_their_bytes() {
    let dirt: Dirt = serde_json::from_value(serde_json::json!({ "malformed": 0.3 })).unwrap();
    let config = config(Some(1_000), dirt.clone());
    let mut source = source(&config);
    let split = &source.discover(&Progress::new()).unwrap().splits[0];
    let read = drain(&mut *source.opener().open(split).unwrap(), 1_000, 1).remove(0);
    assert_eq!(read.batch.records.num_rows() + read.rejects.len(), 1_000);
    let generator = Generator::new(42, &dirt);
    let lines: Vec<Vec<u8>> = (0..1_000)
        .map(|row| {
            let mut line = Vec::new();
            generator.write(Table::Pin, row, &mut line);
            line
        })
        .collect();
    let malformed: Vec<_> = lines.iter().filter(|line| serde_json::from_slice::<Value>(line).is_err()).collect();
    assert!((230..370).contains(&malformed.len()), "{}", malformed.len());
    assert_eq!(read.rejects.len(), malformed.len());
    for (reject, line) in read.rejects.iter().zip(malformed) {
        assert_eq!(reject.record, OriginalRecord::Bytes(Bytes::copy_from_slice(line)));
        assert_eq!((&*reject.source, &*reject.partition), ("pins", "pin/0"));
    }
}

#[test]
fn finished_tables_have_nothing_more_until_more_rows_are_asked_for() {
    let of = |rows| source(&config(Some(rows), Dirt::Level(Level::None)));
    let mut first = of(100);
    let splits = first.discover(&Progress::new()).unwrap().splits;
    let mut restored = progress(&first, &splits, 64, usize::MAX);
    restored.values_mut().for_each(|state| state.done = true);
    assert!(of(100).discover(&restored).unwrap().splits.is_empty());
    let mut more = of(130);
    let splits = more.discover(&restored).unwrap().splits;
    let read = drain(&mut *more.opener().open(&splits[0]).unwrap(), 64, usize::MAX);
    assert_eq!(indexes(&read), (100..130).collect::<Vec<_>>());
}

#[test]
fn other_rows_under_an_old_checkpoint_stop_the_run() {
    let before = config(Some(100), Dirt::Level(Level::None));
    let mut first = source(&before);
    let splits = first.discover(&Progress::new()).unwrap().splits;
    let restored = progress(&first, &splits, 10, 1);
    let error = |config: EmulatorConfig, restored: &Progress| source(&config).discover(restored).unwrap_err();
    let seed = error(EmulatorConfig { seed: 43, ..before.clone() }, &restored);
    assert_eq!(seed.class(), Class::Environment);
    assert!(seed.to_string().contains("the seed was 42 and is now 43"), "{seed}");
    let dirt = error(EmulatorConfig { dirt: Dirt::Level(Level::Real), ..before.clone() }, &restored);
    assert!(dirt.to_string().contains("`dirt` was changed"), "{dirt}");
    let table = error(EmulatorConfig { table: Table::Geo, ..before.clone() }, &restored);
    assert!(table.to_string().contains("pin/0"), "{table}");
    let foreign = BTreeMap::from([("data/a.jsonl@0".into(), SplitState { position: Value::Null, done: true })]);
    assert!(error(before, &foreign).to_string().contains("data/a.jsonl@0"));
}

#[test]
fn a_rate_is_kept_over_all_splits_without_blocking() {
    let mut config = config(None, Dirt::Level(Level::None));
    config.rate = Some(200.0);
    let began = Instant::now();
    let mut source = source(&config);
    let splits = source.discover(&Progress::new()).unwrap().splits;
    let mut readers: Vec<_> = splits[..2].iter().map(|split| source.opener().open(split).unwrap()).collect();
    let (mut rows, mut idle) = (0, 0);
    while rows < 100 {
        assert!(began.elapsed() < Duration::from_secs(60), "{rows} rows");
        for reader in &mut readers {
            match reader.read(10_000).unwrap() {
                Read::Batch(read) => rows += read.batch.records.num_rows(),
                // One that blocks until a row is due never returns it.
                Read::Idle => idle += 1,
                Read::Skipping | Read::End => panic!("endless, and generated where it is read"),
            }
            let allowed = began.elapsed().as_secs_f64() * 200.0 + 1.0;
            assert!(rows as f64 <= allowed, "{rows} rows, {allowed} allowed");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(idle > 0);
}

#[test]
fn reserved_columns_say_where_a_row_lies() {
    let config = config(Some(3), Dirt::Level(Level::None));
    let column = |name: &str, kind| Field::new(name, kind, false);
    let of = |fields: Vec<Field>| EmulatorSource::new("pins", &config, Arc::new(Schema::new(fields)), Mode::Batch);
    let mut source =
        of(vec![column(POSITION_COLUMN, DataType::Int64), column("title", DataType::Utf8), column(PARTITION_COLUMN, DataType::Utf8)])
            .unwrap();
    let split = &source.discover(&Progress::new()).unwrap().splits[0];
    let read = drain(&mut *source.opener().open(split).unwrap(), 10, 1).remove(0);
    let records = &read.batch.records;
    let positions: Vec<i64> = records[POSITION_COLUMN].as_primitive::<Int64Type>().values().to_vec();
    let expected: Vec<i64> = (0..3).map(|row| read.batch.lineage.position(row).cast_signed()).collect();
    assert_eq!(positions, expected);
    assert_eq!(records[PARTITION_COLUMN].as_string::<i32>().value(2), "pin/0");
    let unknown = of(vec![column("_source.offset", DataType::Int64)]).err().unwrap();
    assert!(unknown.to_string().contains("no column _source.offset"), "{unknown}");
    let wrong = of(vec![column(POSITION_COLUMN, DataType::Utf8)]).err().unwrap();
    assert!(wrong.to_string().contains("of type int64"), "{wrong}");
}

#[test]
fn clean_rows_fit_the_tables_own_columns() {
    for table in Table::ALL {
        let config = EmulatorConfig { table, ..config(Some(500), Dirt::Level(Level::None)) };
        let mut source = source(&config);
        let split = &source.discover(&Progress::new()).unwrap().splits[0];
        let read = drain(&mut *source.opener().open(split).unwrap(), 500, 1).remove(0);
        assert!(read.rejects.is_empty(), "{:?}", read.rejects.first());
        assert!(read.batch.records.columns().iter().all(|column| column.null_count() == 0), "{table}");
    }
}
