//! Duplicates over epochs, lanes and restarts.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;
use wasmill_engine::{Batch, Watermark};
use wasmill_keyed::dedup::DedupSpec;
use wasmill_keyed::operator::Limits;

use super::{Arc, Lanes, Row, input, row, rows};
use crate::keyed::{Deduplicating, KeyedOptions};

fn stage(within: Option<i64>, memory_bytes: usize) -> Deduplicating {
    let spec = DedupSpec { keys: vec![0], event_time: Some(1), within };
    Deduplicating::new(&Arc::new(input()), &[0, 1, 2], spec, options(memory_bytes)).unwrap()
}

fn options(memory_bytes: usize) -> KeyedOptions {
    KeyedOptions { name: "once".into(), event_time: None, limits: Limits { memory_bytes, run_memory_bytes: memory_bytes } }
}

fn read(batches: &[Batch]) -> Vec<Row> {
    let mut found = Vec::new();
    for batch in batches {
        let records = &batch.records;
        assert_eq!(records.schema_ref().as_ref(), &input());
        let times = records.column(1).as_primitive::<TimestampMicrosecondType>();
        let numbers = records.column(2).as_primitive::<Int64Type>();
        let keys = records.column(0).as_string::<i32>();
        found.extend((0..records.num_rows()).map(|at| row(keys.value(at), times.value(at), numbers.value(at))));
    }
    found.sort();
    found
}

#[test]
fn the_first_of_a_key_passes_and_is_remembered_by_other_lanes_and_by_the_next_batch() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(None, 1 << 20);
    let mut lanes = Lanes::start(&stage, folder.path(), 3);
    let first = lanes.epoch(&[vec![row("a", 5, 1), row("b", 1, 2)], vec![row("a", 4, 3)]], Watermark::NONE);
    assert_eq!(read(&first), [row("a", 4, 3), row("b", 1, 2)], "the earlier one, whichever lane has read it");
    lanes.restart(1);
    assert_eq!(read(&lanes.epoch(&[vec![row("a", 1, 4), row("c", 9, 5)]], Watermark::END)), [row("c", 9, 5)]);
    assert_eq!((lanes.passed, lanes.filtered), (3, 2));
    lanes.watermark = Watermark::NONE;
    lanes.restart(2);
    assert_eq!(read(&lanes.epoch(&[vec![row("b", 1, 6), row("d", 9, 7)]], Watermark::END)), [row("d", 9, 7)]);
}

#[test]
fn keys_are_forgotten_when_their_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(Some(10), 1 << 20);
    let mut lanes = Lanes::start(&stage, folder.path(), 2);
    assert_eq!(
        read(&lanes.epoch(&[vec![row("a", 5, 1), row("a", 14, 2), row("a", 15, 3)]], Watermark::at(15))),
        [row("a", 5, 1), row("a", 15, 3)]
    );
    lanes.restart(1);
    assert_eq!(read(&lanes.epoch(&[vec![row("a", 24, 4), row("a", 25, 5)]], Watermark::at(100))), [row("a", 25, 5)]);
    assert_eq!(lanes.files(), []);
    lanes.epoch(&[vec![row("a", 30, 6)]], Watermark::at(100));
    assert_eq!(lanes.late, 1);
}

#[test]
fn columns_that_nobody_reads_do_not_pass() {
    let (folder, input) = (tempfile::tempdir().unwrap(), Arc::new(input()));
    let spec = |keys: &[usize]| DedupSpec { keys: keys.to_vec(), event_time: None, within: None };
    let stage = Deduplicating::new(&input, &[1, 2], spec(&[2]), options(1 << 20)).unwrap();
    let passed = Lanes::start(&stage, folder.path(), 2).epoch(&[vec![row("a", 5, 1), row("b", 6, 1)]], Watermark::NONE);
    let [batch] = &passed[..] else { panic!("{passed:?}") };
    let names: Vec<&str> = batch.records.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!((names, batch.records.num_rows()), (vec!["at", "number"], 1));
    assert_eq!(batch.records.column(0).as_primitive::<TimestampMicrosecondType>().value(0), 5);
    assert!(Deduplicating::new(&input, &[1, 2], spec(&[0]), options(1 << 20)).is_err(), "a key that does not pass");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn one_row_per_key_passes_whatever_lanes_epochs_restarts_and_spills(
        batches in rows(),
        cuts in prop::collection::vec((1usize..5, 1usize..6, any::<bool>()), 1..6),
        spills in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(None, if spills { 1 } else { 1 << 20 });
        let mut lanes = Lanes::start(&stage, folder.path(), cuts[0].0);
        // What went on in an epoch goes on before all later ones; within an epoch the least time does.
        let mut model: BTreeMap<String, i64> = BTreeMap::new();
        let (mut rest, mut found) = (&batches[..], Vec::new());
        for (count, take, restarts) in cuts.iter().cycle().take(12) {
            let (now, later) = rest.split_at((*take).min(rest.len()));
            rest = later;
            let mut epoch: BTreeMap<&String, i64> = BTreeMap::new();
            for row in now.iter().flatten().filter(|row| !model.contains_key(&row.key)) {
                let least = epoch.entry(&row.key).or_insert(row.time);
                *least = (*least).min(row.time);
            }
            model.extend(epoch.into_iter().map(|(key, time)| (key.clone(), time)));
            found.extend(read(&lanes.epoch(now, Watermark::at(-1_000))));
            if *restarts {
                lanes.restart(*count);
            }
        }
        found.sort();
        let read: u64 = batches.iter().map(|rows| rows.len() as u64).sum::<u64>() - rest.iter().map(|rows| rows.len() as u64).sum::<u64>();
        prop_assert_eq!(found.iter().map(|row| (row.key.clone(), row.time)).collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
        prop_assert_eq!((lanes.passed, lanes.passed + lanes.filtered), (found.len() as u64, read));
        let rows: Vec<&Row> = batches.iter().flatten().collect();
        prop_assert!(found.iter().all(|row| rows.contains(&row)), "whole rows");
    }
}
