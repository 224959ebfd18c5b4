//! Joins over epochs, lanes and restarts.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{Field, Schema};
use proptest::prelude::*;
use wasmill_engine::{Batch, KeyedStage, Watermark};
use wasmill_keyed::join::{JoinKind, SideSpec};
use wasmill_keyed::operator::Limits;

use super::{Arc, Lanes, Row, input, row, rows};
use crate::keyed::{Joining, KeyedOptions};

fn side(names: [&str; 3]) -> SideSpec {
    let fields: Vec<Field> = input().fields().iter().zip(names).map(|(field, name)| field.as_ref().clone().with_name(name)).collect();
    SideSpec { input: Arc::new(Schema::new(fields)), keys: vec![0], event_time: Some(1) }
}

fn options(memory_bytes: usize) -> KeyedOptions {
    KeyedOptions { name: "joined".into(), event_time: None, limits: Limits { memory_bytes, run_memory_bytes: memory_bytes } }
}

/// The driver's batches have the names of the left side; names are no matter of a join's rows.
fn stage(kind: JoinKind, within: Option<i64>, memory_bytes: usize) -> Joining {
    let left = SideSpec { input: Arc::new(input()), keys: vec![0], event_time: Some(1) };
    let joining = Joining::new(kind, within, [left, side(["key", "seen", "other"])], options(memory_bytes)).unwrap();
    assert_eq!(
        joining.output().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
        ["key", "at", "number", "seen", "other"]
    );
    joining
}

/// A pair: the key, the number of the left row and that of the right one.
type Pair = (String, Option<i64>, Option<i64>);

fn read(batches: &[Batch]) -> Vec<Pair> {
    let mut found = Vec::new();
    for batch in batches {
        let number = |column: usize, at: usize| {
            let values = batch.records.column(column).as_primitive::<Int64Type>();
            values.is_valid(at).then(|| values.value(at))
        };
        let keys = batch.records.column(0).as_string::<i32>();
        found.extend((0..batch.records.num_rows()).map(|at| (keys.value(at).to_owned(), number(2, at), number(4, at))));
    }
    found.sort();
    found
}

fn model(kind: JoinKind, within: Option<i64>, left: &[&Row], right: &[&Row]) -> Vec<Pair> {
    let matches =
        |one: &Row, other: &Row| one.key == other.key && within.is_none_or(|within| one.time.abs_diff(other.time) <= within.unsigned_abs());
    let mut pairs: Vec<Pair> = Vec::new();
    for one in left {
        let partners = right.iter().filter(|other| matches(one, other));
        pairs.extend(partners.map(|other| (one.key.clone(), Some(one.number), Some(other.number))));
        if kind != JoinKind::Inner && !right.iter().any(|other| matches(one, other)) {
            pairs.push((one.key.clone(), Some(one.number), None));
        }
    }
    if kind == JoinKind::Full {
        let alone = right.iter().filter(|other| !left.iter().any(|one| matches(one, other)));
        pairs.extend(alone.map(|other| (other.key.clone(), None, Some(other.number))));
    }
    pairs.sort();
    pairs
}

#[test]
fn a_row_of_the_right_side_that_is_alone_has_its_key_in_the_left_sides_column() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(JoinKind::Full, None, 1 << 20);
    let mut lanes = Lanes::start(&stage, folder.path(), 2);
    let (left, right) = ([row("a", 1, 1), row("b", 1, 2)], [row("a", 9, 10), row("c", 9, 30)]);
    assert_eq!(read(&lanes.epoch_of(&[(0, &left)], Watermark::NONE)), []);
    lanes.restart(3);
    let pairs = read(&lanes.epoch_of(&[(1, &right)], Watermark::NONE));
    assert_eq!(pairs, [("a".into(), Some(1), Some(10))]);
    lanes.restart(1);
    let alone = read(&lanes.epoch_of(&[], Watermark::END));
    assert_eq!(alone, [("b".into(), Some(2), None), ("c".into(), None, Some(30))]);
    assert_eq!(lanes.files(), []);
}

#[test]
fn columns_of_one_name_are_refused() {
    let left = || SideSpec { input: Arc::new(input()), keys: vec![0], event_time: None };
    let error = Joining::new(JoinKind::Inner, None, [left(), left()], options(1)).map(|_| ()).unwrap_err();
    assert!(error.message().contains("both sides of the join have a column `at`"), "{error}");
}

#[test]
fn what_comes_behind_an_end_and_could_be_a_partner_of_what_is_gone_is_late() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(JoinKind::Full, Some(10), 1 << 20);
    let mut lanes = Lanes::start(&stage, folder.path(), 2);
    let first = lanes.epoch_of(&[(1, &[row("a", 15, 1)])], Watermark::END);
    assert_eq!(read(&first), [("a".to_owned(), None, Some(1))]);
    lanes.resume_behind_the_end(1);
    let found = lanes.epoch_of(&[(0, &[row("a", 15, 2), row("a", 25, 3), row("a", 99, 4)]), (1, &[row("a", 99, 5)])], Watermark::END);
    assert_eq!(read(&found), [("a".to_owned(), Some(4), Some(5))]);
    assert_eq!(lanes.late, 2, "both could have been partners of the row that left alone");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_pair_comes_once_whatever_lanes_epochs_restarts_and_spills(
        (left, right) in (rows(), rows()),
        kind in prop_oneof![Just(JoinKind::Inner), Just(JoinKind::Left), Just(JoinKind::Full)],
        within in prop_oneof![Just(None), (1i64..80).prop_map(Some)],
        cuts in prop::collection::vec((1usize..5, 1usize..6, any::<bool>()), 1..6),
        spills in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(kind, within, if spills { 1 } else { 1 << 20 });
        let mut lanes = Lanes::start(&stage, folder.path(), cuts[0].0);
        let all: Vec<(usize, &[Row])> = left.iter().map(|rows| (0, &rows[..])).chain(right.iter().map(|rows| (1, &rows[..]))).collect();
        let (mut rest, mut found) = (&all[..], Vec::new());
        for (count, take, restarts) in cuts.iter().cycle().take(12) {
            let (now, later) = rest.split_at((*take).min(rest.len()));
            rest = later;
            // Nothing is late: the watermark stays before everything.
            found.extend(read(&lanes.epoch_of(now, Watermark::at(-1_000))));
            if *restarts {
                lanes.restart(*count);
            }
        }
        found.extend(read(&lanes.epoch_of(rest, Watermark::END)));
        found.sort();
        let (left, right): (Vec<&Row>, Vec<&Row>) = (left.iter().flatten().collect(), right.iter().flatten().collect());
        prop_assert_eq!(found, model(kind, within, &left, &right));
        prop_assert_eq!(lanes.files(), []);
        prop_assert_eq!(lanes.late, 0);
    }
}
