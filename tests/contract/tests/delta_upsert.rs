//! A Delta sink whose rows replace those of their keys, against a naive model, beside other writers and wherever it is cut off.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod delta_upsert {
    pub mod model;
    pub mod table;
}
#[path = "sink_contract/readers.rs"]
mod readers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, TimestampSecondArray, UInt64Array,
};
use arrow_schema::{Field, Schema};
use delta_upsert::model::{Model, Step};
use delta_upsert::table::{Row, Table, rows, token};
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmill_delta::{DeltaConfig, DeltaSink, SchemaEvolution, WriteMode, check_schema};
use wasmill_engine::{Class, CommitOutcome, Sink, WriterContext};

fn row(id: i64, part: &str, value: i64) -> Row {
    Row { id, part: part.to_owned(), value }
}

#[test]
fn a_row_replaces_the_row_of_its_key_and_files_without_one_stay() {
    let table = Table::new(&[]);
    table.append(&[row(1, "a", 0), row(2, "a", 0), row(3, "a", 0)]);
    table.append(&[row(10, "a", 0), row(11, "a", 0)]);
    let untouched = table.files().into_iter().find(|(_, rows)| rows.contains(&row(10, "a", 0))).unwrap();
    let mut sink = table.upserts(&["id"]);
    sink.write(&[&[row(2, "b", 1), row(4, "b", 1)]]);
    assert_eq!(table.rows(), [row(1, "a", 0), row(2, "b", 1), row(3, "a", 0), row(4, "b", 1), row(10, "a", 0), row(11, "a", 0)]);
    assert!(table.files().contains(&untouched), "its statistics rule it out");
    let log = table.newest_entry();
    let info = log.iter().find_map(|action| action.get("commitInfo")).unwrap();
    assert_eq!((&info["operation"], &info["isBlindAppend"]), (&json!("MERGE"), &json!(false)));
    let metrics = |name: &str| info["operationMetrics"][name].as_str().unwrap().to_owned();
    let names = ["numSourceRows", "numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsCopied", "numTargetFilesRemoved"];
    assert_eq!(names.map(metrics), ["2", "1", "1", "2", "1"]);
    let count = |name: &str| log.iter().filter(|action| action.get(name).is_some()).count();
    assert_eq!((count("remove"), count("add"), count("txn")), (1, 2, 3), "all in one version");
}

#[test]
fn the_rows_of_a_rewritten_file_keep_their_order() {
    let table = Table::new(&[]);
    let before: Vec<Row> = (0..20_000).map(|n| row(n * 7919 % 20_000, "a", n)).collect();
    table.append(&before);
    table.upserts(&["id"]).write(&[&[row(5, "a", -1), row(19_999, "a", -1)]]);
    let (_, kept) = table.files().into_iter().max_by_key(|(_, rows)| rows.len()).unwrap();
    let expected: Vec<Row> = before.into_iter().filter(|row| ![5, 19_999].contains(&row.id)).collect();
    assert_eq!(kept, expected);
}

#[test]
fn of_several_rows_of_a_key_the_last_one_counts() {
    for partition_by in [&[][..], &["part"][..]] {
        let table = Table::new(partition_by);
        let mut sink = table.upserts(&["id"]);
        // Within a lane by their order, whatever their partition, and then by lane.
        sink.write(&[
            &[row(1, "a", 1), row(1, "b", 2), row(1, "a", 3), row(2, "a", 1), row(2, "b", 2), row(3, "z", 9)],
            &[row(3, "a", 10), row(4, "a", 11)],
            &[],
            &[row(4, "c", 12)],
        ]);
        let expected = [row(1, "a", 3), row(2, "b", 2), row(3, "a", 10), row(4, "c", 12)];
        assert_eq!(table.rows(), expected, "{partition_by:?}");
        assert_eq!(table.strangers(), Vec::<String>::new(), "files of the epoch that were rewritten are gone");
        sink.write(&[&[row(2, "a", 20)]]);
        assert_eq!(table.rows()[1], row(2, "a", 20), "it has left its partition");
    }
}

#[test]
fn parts_of_lanes_count_by_lane_and_not_by_when_they_come() {
    let table = Table::new(&[]);
    let mut sink = table.upserts(&["id"]);
    let token = sink.next_token();
    let parts: Vec<Value> = [2, 0, 1].map(|lane| sink.part(&token, lane, &[row(1, "a", lane as i64)])).into();
    let prepared = sink.sink.prepare(&token, parts).unwrap();
    assert_eq!(sink.sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(table.rows(), [row(1, "a", 2)]);
}

#[test]
fn a_partition_column_of_the_key_makes_other_keys() {
    let table = Table::new(&["part"]);
    let mut sink = table.upserts(&["part", "id"]);
    sink.write(&[&[row(1, "a", 1), row(1, "b", 1), row(1, "a", 2)]]);
    sink.write(&[&[row(1, "b", 3)]]);
    assert_eq!(table.rows(), [row(1, "a", 2), row(1, "b", 3)]);
    // Partitions alone: one row each.
    let table = Table::new(&["part"]);
    let mut sink = table.upserts(&["part"]);
    sink.write(&[&[row(1, "a", 1), row(2, "b", 1), row(3, "a", 2)]]);
    sink.write(&[&[row(4, "b", 3), row(5, "c", 3)]]);
    assert_eq!(table.rows(), [row(3, "a", 2), row(4, "b", 3), row(5, "c", 3)]);
}

#[test]
fn a_null_in_the_key_is_rejected() {
    let table = Table::new(&["part"]);
    let mut sink = table.upserts(&["part", "id"]);
    let batch = rows(&[row(1, "a", 1), row(2, "", 1), row(3, "b", 1)]);
    let token = sink.next_token();
    let mut writer = sink.sink.writer(table.context(&token, 0)).unwrap();
    let rejects = writer.write(&batch).unwrap();
    let reported: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str(), reject.column.as_deref())).collect();
    assert_eq!(reported, [(1, "no-partition-value", Some("part"))], "an empty text is null in a partition column");
    let nulls = RecordBatch::try_new(
        batch.schema(),
        vec![arrow_array::new_null_array(batch.column(0).data_type(), 3), Arc::clone(batch.column(1)), Arc::clone(batch.column(2))],
    );
    let rejects = writer.write(&nulls.unwrap()).unwrap();
    let reported: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str(), reject.column.as_deref())).collect();
    assert_eq!(reported, [0, 1, 2].map(|row| (row, "null-value", Some("id"))));
    let prepared = sink.sink.prepare(&token, vec![writer.prepare().unwrap()]).unwrap();
    sink.sink.commit(&token, &prepared).unwrap();
    assert_eq!(table.rows(), [row(1, "a", 1), row(3, "b", 1)]);
}

/// Rows with a key of one column per type, some of which partitions name: its number, its moment in seconds, its value.
fn typed(rows: &[(Option<u64>, i64, i64)]) -> RecordBatch {
    let column = |name: &str, array: ArrayRef| (Field::new(name, array.data_type().clone(), true), array);
    let decimals = Decimal128Array::from_iter_values(rows.iter().map(|row| i128::from(row.0.unwrap_or(0)) * 10));
    let columns = [
        column("id", Arc::new(UInt64Array::from_iter(rows.iter().map(|row| row.0)))),
        column("at", Arc::new(TimestampSecondArray::from_iter_values(rows.iter().map(|row| row.1)))),
        column("day", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.0.map_or(0, |id| (id % 2) as i32))))),
        column("flag", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.1 % 2 == 0))))),
        column("bytes", Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| row.1.to_be_bytes())))),
        column("amount", Arc::new(decimals.with_precision_and_scale(38, 2).unwrap())),
        column("value", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2)))),
    ];
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

#[test]
fn a_key_may_have_columns_of_many_types_and_partitions() {
    let table = Table::new(&["at", "day", "flag"]);
    let key = ["id", "at", "day", "flag", "bytes", "amount"].map(str::to_owned).to_vec();
    let config = DeltaConfig { write: WriteMode::Upsert, key, ..table.config() };
    let sink = DeltaSink::new(config, &typed(&[]).schema()).unwrap();
    let write = |epoch: u64, batch: &RecordBatch| {
        let context = WriterContext { schema: batch.schema(), ..table.context(&token(epoch), 0) };
        let mut writer = sink.writer(context).unwrap();
        let rejects = writer.write(batch).unwrap();
        let prepared = sink.prepare(&token(epoch), vec![writer.prepare().unwrap()]).unwrap();
        assert_eq!(sink.commit(&token(epoch), &prepared).unwrap(), CommitOutcome::Done);
        rejects.into_iter().map(|reject| (reject.row, reject.code)).collect::<Vec<_>>()
    };
    assert_eq!(write(1, &typed(&[(Some(1), 10, 1), (Some(2), 11, 1), (Some(u64::MAX), 10, 1), (Some(1), 10, 2)])), []);
    // Rejects of different kinds keep the numbers of their rows.
    let rejects = write(2, &typed(&[(None, 1, 5), (Some(2), 11, 5), (Some(7), i64::MAX, 5), (None, 1, 5), (Some(1), 12, 5)]));
    assert_eq!(rejects, [(0, "null-value"), (2, "value-out-of-range"), (3, "null-value")].map(|(row, code)| (row, code.to_owned())));
    assert_eq!(write(3, &typed(&[(Some(u64::MAX), 10, 6), (Some(1), 10, 7), (Some(1), 10, 8)])), []);
    let (_, files) = readers::delta_table(&table.path).unwrap();
    let values = files.iter().flat_map(|file| &file.batches).flat_map(|batch| {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let (ids, values) = (column("id").as_primitive::<Decimal128Type>(), column("value").as_primitive::<Int64Type>());
        ids.values().iter().copied().zip(values.values().iter().copied()).collect::<Vec<_>>()
    });
    assert_eq!(values.collect::<BTreeSet<_>>(), BTreeSet::from([(1, 5), (1, 8), (2, 5), (i128::from(u64::MAX), 6)]));
    assert_eq!(files.iter().map(|file| file.rows.unwrap()).sum::<usize>(), 4);
}

#[test]
fn another_process_finishes_what_was_cut_off() {
    let table = Table::new(&["part"]);
    table.append(&[row(1, "a", 0), row(2, "a", 0), row(3, "b", 0)]);
    let mut sink = table.upserts(&["id"]);
    let token = sink.next_token();
    let prepared = sink.prepare(&token, &[&[row(1, "b", 1), row(1, "a", 2)], &[row(3, "b", 5)]]);
    let prepared: Value = serde_json::from_str(&prepared.to_string()).unwrap();
    // Others go on between the checkpoint and the commit.
    table.append(&[row(3, "b", 1), row(4, "b", 1)]);
    table.delete_rows(|row| row.id == 2);
    let successor = table.upserts(&["id"]);
    assert_eq!(successor.sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(sink.sink.commit(&token, &prepared).unwrap(), CommitOutcome::Already);
    assert_eq!(table.rows(), [row(1, "a", 2), row(3, "b", 5), row(4, "b", 1)]);
    // A commit that is sent again finds its files gone, which it needs no more.
    let config = DeltaConfig { write: WriteMode::Upsert, key: vec!["id".into()], ..table.config() };
    assert_eq!(DeltaSink::without_columns(config).unwrap().commit(&token, &prepared).unwrap(), CommitOutcome::Already);
}

#[test]
fn of_two_that_commit_at_once_one_has_done_it() {
    let table = Table::new(&["part"]);
    table.append(&(0..50).map(|n| row(n, "a", 0)).collect::<Vec<_>>());
    let mut sink = table.upserts(&["id"]);
    for round in 1..=8 {
        let token = sink.next_token();
        let twice: Vec<Row> = (0..50).chain(25..75).map(|n| row(n, if n % 2 == 0 { "a" } else { "b" }, round)).collect();
        let prepared = sink.prepare(&token, &[&twice, &twice[..60]]);
        let (other, start) = (table.upserts(&["id"]), std::sync::Barrier::new(2));
        let commit = |sink: &DeltaSink| {
            start.wait();
            sink.commit(&token, &prepared).unwrap()
        };
        let outcomes = std::thread::scope(|scope| {
            let (first, second) = (scope.spawn(|| commit(&sink.sink)), scope.spawn(|| commit(&other.sink)));
            [first.join().unwrap(), second.join().unwrap()]
        });
        let done = outcomes.iter().filter(|&&outcome| outcome == CommitOutcome::Done).count();
        assert_eq!(done, 1, "round {round}: {outcomes:?}");
        let expected: Vec<Row> = (0..75).map(|n| row(n, if n % 2 == 0 { "a" } else { "b" }, round)).collect();
        assert_eq!(table.rows(), expected);
    }
}

#[test]
fn a_table_that_keeps_all_its_rows_or_records_changes_is_refused() {
    for (property, protocol, word) in [
        (json!({"delta.appendOnly": "true"}), json!({"minReaderVersion": 1, "minWriterVersion": 2}), "delta.appendOnly"),
        (json!({"delta.enableChangeDataFeed": "true"}), json!({"minReaderVersion": 1, "minWriterVersion": 4}), "writer version 4"),
        (
            json!({"delta.enableChangeDataFeed": "true"}),
            json!({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["changeDataFeed"]}),
            "changeDataFeed",
        ),
    ] {
        let table = Table::new(&[]);
        table.append(&[row(1, "a", 0)]);
        table.set_properties(&property, &protocol);
        let mut sink = table.upserts(&["id"]);
        let token = sink.next_token();
        let part = sink.part(&token, 0, &[row(1, "a", 1)]);
        let error = sink.sink.prepare(&token, vec![part]).unwrap_err();
        assert!(error.message().contains(word), "{error}");
        assert_eq!(error.class(), Class::Environment);
        let config = DeltaConfig { write: WriteMode::Upsert, key: vec!["id".into()], ..table.config() };
        assert!(check_schema(&config, &rows(&[]).schema()).unwrap_err().message().contains(word));
        assert_eq!(table.rows(), [row(1, "a", 0)]);
    }
}

#[test]
fn rows_that_a_deletion_vector_removed_stay_removed() {
    let table = Table::new(&[]);
    table.append(&[row(1, "a", 0), row(2, "a", 0), row(3, "a", 0)]);
    table.delete_by_vector(1);
    let vector = table.newest_entry().iter().find_map(|action| action.get("add")).unwrap()["deletionVector"].clone();
    let mut sink = table.upserts(&["id"]);
    sink.write(&[&[row(3, "a", 1)]]);
    assert_eq!(table.rows(), [row(1, "a", 0), row(3, "a", 1)]);
    let removed = table.newest_entry().iter().find_map(|action| action.get("remove")).unwrap().clone();
    assert_eq!(removed["deletionVector"], vector, "a removal names the vector");
    // The key of a row that is gone is new.
    sink.write(&[&[row(2, "a", 2)]]);
    assert_eq!(table.rows(), [row(1, "a", 0), row(2, "a", 2), row(3, "a", 1)]);
}

#[test]
fn a_table_grows_columns_by_an_upsert_and_a_key_that_it_lacked() {
    let table = Table::new(&[]);
    table.append_without_id(&["a", "b"]);
    let config = DeltaConfig { schema_evolution: SchemaEvolution::AddColumns, ..table.config() };
    let mut sink = table.upserts_with(config, &["id"]);
    sink.write(&[&[row(1, "a", 1)]]);
    sink.write(&[&[row(1, "b", 2), row(2, "b", 2)]]);
    assert_eq!(table.known_rows(), [row(1, "b", 2), row(2, "b", 2)]);
    assert_eq!(table.files().iter().map(|(_, rows)| rows.len()).sum::<usize>(), 4, "rows without a key stay");
}

#[test]
fn other_columns_of_a_foreign_overwrite_stop_the_commit() {
    let table = Table::new(&[]);
    table.append(&[row(1, "a", 0)]);
    let mut sink = table.upserts(&["id"]);
    let token = sink.next_token();
    let prepared = sink.prepare(&token, &[&[row(1, "a", 1)]]);
    table.overwrite_without_id();
    let error = sink.sink.commit(&token, &prepared).unwrap_err();
    assert!(error.message().contains("the table has no column `id`"), "{error}");
    assert_eq!(sink.sink.committed("p", "s").unwrap(), None);
}

/// Appends and deletes of others between the reading and the commit are what makes a rewrite lose or resurrect rows.
#[test]
fn nothing_is_lost_or_comes_back_beside_busy_writers() {
    const ROUNDS: i64 = 25;
    let table = Table::new(&["part"]);
    table.append(&(0..40).map(|n| row(n, "a", 0)).collect::<Vec<_>>());
    let deleted = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut deleted = BTreeSet::new();
            for round in 0..ROUNDS {
                let (id, part) = (10_000 + round, if round % 2 == 0 { "a" } else { "c" });
                // A key of the upserts and one of its own, in one file.
                table.append(&[row(id, part, round), row(20_000 + round, part, round)]);
                if round % 3 == 0 {
                    deleted.insert(table.delete_rows(|row| (10_000..20_000).contains(&row.id)));
                }
            }
            deleted.into_iter().flatten().collect::<BTreeSet<i64>>()
        });
        scope.spawn(|| (0..6).for_each(|_| drop(table.try_optimize())));
        let mut sink = table.upserts(&["id"]);
        for round in 1..=ROUNDS {
            let moved = if round % 2 == 0 { "a" } else { "b" };
            let changed = (0..40).filter(|n| (n + round) % 4 == 0).map(|n| row(n, moved, round));
            let theirs = (20_000..20_000 + ROUNDS).filter(|n| n % 5 == round % 5).map(|n| row(n, "c", 1_000 + round));
            sink.write(&[&changed.chain(theirs).collect::<Vec<_>>()]);
        }
        others.join().unwrap()
    });
    let mut found: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    table.rows().into_iter().for_each(|row| found.entry(row.id).or_default().push(row));
    for n in 0..40 {
        let last = (1..=ROUNDS).rev().find(|round| (n + round) % 4 == 0).unwrap();
        assert_eq!(found[&n], [row(n, if last % 2 == 0 { "a" } else { "b" }, last)]);
    }
    let theirs: BTreeSet<i64> = found.range(10_000..20_000).map(|(id, _)| *id).collect();
    let expected: BTreeSet<i64> = (10_000..10_000 + ROUNDS).filter(|id| !deleted.contains(id)).collect();
    assert_eq!(theirs, expected, "rows of others");
    assert!(!deleted.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24), ..ProptestConfig::default() })]

    /// Any epochs, in any partitions, with whatever others do in between, leave what the model says.
    #[test]
    fn a_table_is_what_the_model_says(
        partitioned in any::<bool>(),
        key in prop::sample::select(vec![&["id"][..], &["part", "id"][..]]),
        steps in prop::collection::vec(Step::any(), 1..12),
    ) {
        let table = Table::new(if partitioned { &["part"] } else { &[] });
        let (mut sink, mut model) = (table.upserts(key), Model::new(key));
        for step in steps {
            match &step {
                Step::Upsert(lanes) => {
                    sink.write(&lanes.iter().map(Vec::as_slice).collect::<Vec<_>>());
                    model.upsert(lanes);
                }
                Step::UpsertAfter(lanes, appended) => {
                    let token = sink.next_token();
                    let prepared = sink.prepare(&token, &lanes.iter().map(Vec::as_slice).collect::<Vec<_>>());
                    table.append(appended);
                    model.append(appended);
                    prop_assert_eq!(table.upserts(key).sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
                    model.upsert(lanes);
                }
                Step::Append(rows) => {
                    table.append(rows);
                    model.append(rows);
                }
                Step::DeleteFile(number) => model.delete(&table.delete_file(*number)),
                Step::Optimize => table.optimize(),
                Step::Vacuum => table.vacuum(),
            }
            prop_assert_eq!(table.rows(), model.rows(), "after {:?}", step);
        }
        let (_, files) = readers::delta_table(&table.path).unwrap_or_default();
        prop_assert!(files.iter().all(|file| file.rows == Some(file.batches.iter().map(|batch| batch.num_rows()).sum())));
        prop_assert_eq!(sink.sink.committed("p", "s").unwrap().map(|committed| committed.epoch), sink.last_epoch());
    }
}
