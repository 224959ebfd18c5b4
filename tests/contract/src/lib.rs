//! The contract of a bounded source, as a suite that every implementation runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wasmill_engine::{OriginalRecord, Progress, Read, Source, SourceBatch, Split, SplitReader, SplitState};
use wasmill_formats::row_to_json;

/// How long a server may take to hand out what it has.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that can be told of a record: where it was, and its row or its reject.
pub type Seen = (String, u64, String);

/// What a batch holds, by position.
pub fn seen(batch: &SourceBatch) -> Vec<Seen> {
    let lineage = &batch.batch.lineage;
    let rows = (0..batch.batch.records.num_rows()).map(|row| {
        let json = row_to_json(&batch.batch.records, row).unwrap();
        let original = lineage.original(row).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        (lineage.partition(row).to_string(), lineage.position(row), format!("{json} <- {original}"))
    });
    let rejects = batch.rejects.iter().map(|reject| {
        let record = match &reject.record {
            OriginalRecord::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            OriginalRecord::Json(json) => json.clone(),
        };
        assert!(!reject.message.is_empty() && reject.stage.is_none());
        (reject.partition.to_string(), reject.position, format!("{} {:?} <- {record}", reject.code, reject.column))
    });
    let mut all: Vec<Seen> = rows.chain(rejects).collect();
    all.sort();
    all
}

/// Reads a split to its end. Notes the position before each read, and how many records had been seen there.
pub fn read_all(source: &dyn Source, reader: &mut dyn SplitReader, max_rows: usize) -> (Vec<Seen>, Vec<(usize, serde_json::Value)>) {
    let (mut records, mut positions) = (Vec::new(), vec![(0, reader.position())]);
    let mut waiting = Instant::now();
    loop {
        match reader.read(max_rows).unwrap() {
            Read::Batch(batch) => {
                waiting = Instant::now();
                assert_eq!(batch.batch.records.schema(), source.schema(), "every batch has the source's schema");
                batch.batch.records.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
                let (lineage, rows) = (&batch.batch.lineage, batch.batch.records.num_rows());
                assert!((0..rows).all(|row| lineage.record(row) < lineage.chunk().payload.len()), "every row has its record");
                let new = seen(&batch);
                assert!(new.len() <= max_rows, "{} records where {max_rows} were asked for", new.len());
                records.extend(new);
                positions.push((records.len(), reader.position()));
            }
            Read::Idle | Read::Skipping => assert!(waiting.elapsed() < PATIENCE, "a bounded split has something or ends"),
            Read::End => break,
        }
    }
    assert!(matches!(reader.read(max_rows).unwrap(), Read::End), "the end stays the end");
    positions.push((records.len(), reader.position()));
    (records, positions)
}

fn discover(source: &mut dyn Source, restored: &Progress) -> Vec<Split> {
    let found = source.discover(restored).unwrap();
    assert!(found.complete, "a bounded source says at once that nothing else will come");
    let again = source.discover(restored).unwrap();
    assert!(again.splits.is_empty() && again.complete, "a split is handed out once");
    found.splits
}

/// Checks a bounded source; `make` makes the same one each time. Returns all records by split, for further checks.
pub fn check_source(make: impl Fn() -> Box<dyn Source>) -> BTreeMap<String, Vec<Seen>> {
    let all = check_open_source(&make);
    let done = read_to_the_end(make().as_mut());
    assert_eq!(discover(make().as_mut(), &done), [], "nothing is left");
    all
}

/// The same of one that finds out only by reading that there is nothing new in a split that was read to its end.
pub fn check_open_source(make: impl Fn() -> Box<dyn Source>) -> BTreeMap<String, Vec<Seen>> {
    let mut source = make();
    let splits = discover(source.as_mut(), &Progress::new());
    assert_eq!(splits, discover(make().as_mut(), &Progress::new()), "splits are the same in every run");
    let mut all = BTreeMap::new();
    for split in &splits {
        let (records, _) = read_all(source.as_ref(), source.opener().open(split).unwrap().as_mut(), 1000);
        assert!(records.windows(2).all(|pair| (&pair[0].0, pair[0].1) < (&pair[1].0, pair[1].1)), "positions increase within a split");
        for max_rows in [1, 7] {
            let (same, positions) = read_all(source.as_ref(), source.opener().open(split).unwrap().as_mut(), max_rows);
            assert_eq!(same, records, "the size of batches changes nothing");
            check_resume(&make, split, &records, &positions);
        }
        assert!(all.insert(split.id.to_string(), records).is_none(), "names of splits are unique");
    }
    check_independence(source.as_ref(), &splits, &all);
    check_done(&make);
    check_bytes(source.as_ref(), &splits);
    all
}

/// What a source says there is to read is what its readers read, but for a framing at the end and rounding.
fn check_bytes(source: &dyn Source, splits: &[Split]) {
    let Some(known) = source.known_bytes() else { return };
    let (mut total, mut batches) = (0, 0);
    for split in splits {
        let mut reader = source.opener().open(split).unwrap();
        while let Read::Batch(batch) = reader.read(1000).unwrap() {
            total += batch.bytes;
            batches += 1;
        }
    }
    assert!(total <= known && known <= total + 16 * (batches + splits.len() as u64), "{total} bytes read, {known} known");
}

/// From each position exactly the records after it are read.
fn check_resume(make: &impl Fn() -> Box<dyn Source>, split: &Split, records: &[Seen], positions: &[(usize, serde_json::Value)]) {
    let step = positions.len().div_ceil(25);
    for (count, position) in positions.iter().step_by(step).chain(positions.last()) {
        let text = position.to_string();
        assert!(text.len() < 512, "a position is small: {text}");
        let state = SplitState { position: serde_json::from_str(&text).unwrap(), done: false };
        assert_eq!(state.position, *position, "a position survives JSON");
        let mut source = make();
        let found = discover(source.as_mut(), &Progress::from([(split.id.clone(), state)]));
        let rest = match found.iter().find(|found| found.id == split.id) {
            Some(found) => read_all(source.as_ref(), source.opener().open(found).unwrap().as_mut(), 1000).0,
            None => Vec::new(),
        };
        assert_eq!(rest, records[*count..], "after {position}");
    }
}

/// Splits may be read at once, in any mixture.
fn check_independence(source: &dyn Source, splits: &[Split], all: &BTreeMap<String, Vec<Seen>>) {
    let mut readers: Vec<_> = splits.iter().take(8).map(|split| (split, source.opener().open(split).unwrap(), Vec::new(), false)).collect();
    let begun = Instant::now();
    while readers.iter().any(|(.., ended)| !ended) {
        for (_, reader, records, ended) in &mut readers {
            match reader.read(3).unwrap() {
                Read::Batch(batch) => records.extend(seen(&batch)),
                Read::Idle | Read::Skipping => assert!(begun.elapsed() < PATIENCE, "a bounded split has something or ends"),
                Read::End => *ended = true,
            }
        }
    }
    for (split, _, records, _) in readers {
        assert_eq!(&records, &all[&*split.id], "split {} read beside others", split.id);
    }
}

/// What is done is not read again.
fn check_done(make: &impl Fn() -> Box<dyn Source>) {
    let done = read_to_the_end(make().as_mut());
    let mut source = make();
    for split in discover(source.as_mut(), &done) {
        let (records, _) = read_all(source.as_ref(), source.opener().open(&split).unwrap().as_mut(), 1000);
        assert_eq!(records, [], "nothing is left in {}", split.id);
    }
}

/// Reads everything, as a run that goes to its end.
fn read_to_the_end(source: &mut dyn Source) -> Progress {
    let splits = discover(source, &Progress::new());
    let read = |split: &Split| {
        let mut reader = source.opener().open(split).unwrap();
        read_all(source, reader.as_mut(), 1000);
        (split.id.clone(), SplitState { position: reader.position(), done: true })
    };
    splits.iter().map(read).collect()
}
