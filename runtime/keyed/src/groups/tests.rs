//! Groups against a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::*;
use crate::key::key_group;

type Row = (u32, Option<i64>, Option<String>);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Word,
    Text,
    Both,
    None,
}

fn columns(kind: Kind, rows: &[Row]) -> Vec<ArrayRef> {
    let numbers: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>());
    match kind {
        Kind::Word => vec![numbers],
        Kind::Text => vec![texts],
        Kind::Both => vec![numbers, texts],
        Kind::None => vec![],
    }
}

fn codec(kind: Kind) -> KeyCodec {
    let columns = columns(kind, &[]);
    KeyCodec::new(columns.iter().map(|column| Field::new("k", column.data_type().clone(), true)).collect::<Vec<_>>()).unwrap()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let number = prop::option::weighted(0.9, prop_oneof![-3..3i64, any::<i64>(), Just(0)]);
    let text = prop::option::weighted(0.9, "[ab\0]{0,3}");
    prop::collection::vec((0..3u32, number, text), 0..300)
}

proptest! {
    #[test]
    fn groups_are_numbered_by_their_first_row(
        kind in prop_oneof![Just(Kind::Word), Just(Kind::Text), Just(Kind::Both), Just(Kind::None)],
        batches in prop::collection::vec(rows(), 0..6),
    ) {
        let mut groups = Groups::new(codec(kind));
        // Twice: a table that was emptied is as a new one.
        for _ in 0..2 {
            let ends = [30, -10, 20];
            let mut model: BTreeMap<(u32, Vec<u8>), u32> = BTreeMap::new();
            for rows in &batches {
                let columns = columns(kind, rows);
                let mut keys = Keys::default();
                codec(kind).encode(&columns, rows.len(), &mut keys).unwrap();
                let expected: Vec<u32> = rows.iter().enumerate().map(|(row, of)| {
                    let next = model.len() as u32;
                    *model.entry((of.0, keys.get(row).to_vec())).or_insert(next)
                }).collect();
                let panes: Vec<u32> = rows.iter().map(|row| row.0).collect();
                let mut found = vec![99];
                groups.intern(&columns, rows.len(), Panes::Each(&panes), &mut found).unwrap();
                prop_assert_eq!(found, expected);
                prop_assert_eq!(groups.count() as usize, model.len());
            }
            let sorted = groups.drain(&ends);
            prop_assert_eq!(groups.count(), 0);
            let place = |((pane, key), number): ((u32, Vec<u8>), u32)| (ends[pane as usize], key_group(&key), key, number);
            let mut expected: Vec<(i64, u8, Vec<u8>, u32)> = model.into_iter().map(place).collect();
            expected.sort();
            let found: Vec<(i64, u8, Vec<u8>, u32)> = (0..sorted.numbers.len())
                .map(|at| (sorted.ends[at], sorted.key_groups[at], sorted.keys.get(at).to_vec(), sorted.numbers[at]))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn memory_grows_with_groups_and_goes_with_them() {
    for kind in [Kind::Word, Kind::Text] {
        let mut groups = Groups::new(codec(kind));
        let rows: Vec<Row> = (0..100_000).map(|row| (0, Some(row), Some(format!("a text of some length {row}")))).collect();
        let mut found = Vec::new();
        groups.intern(&columns(kind, &rows), rows.len(), Panes::One(0), &mut found).unwrap();
        let per_group = groups.memory_bytes() / rows.len();
        let least = if matches!(kind, Kind::Word) { 28 } else { 28 + 25 };
        assert!((least..5 * least).contains(&per_group), "{per_group} bytes per group");
        groups.drain(&[1]);
        assert!(groups.memory_bytes() < 1_000, "{}", groups.memory_bytes());
    }
}

#[test]
fn columns_of_another_type_are_refused() {
    let mut groups = Groups::new(codec(Kind::Word));
    let texts: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["a"]))];
    assert!(groups.intern(&texts, 1, Panes::One(0), &mut Vec::new()).is_err());
    let none = RecordBatch::new_empty(Arc::new(arrow_schema::Schema::new(vec![Field::new("k", DataType::Int64, true)])));
    assert!(groups.intern(none.columns(), 0, Panes::One(0), &mut Vec::new()).is_ok());
}

#[test]
fn many_groups_are_drained_in_order() {
    let rows: Vec<Row> = (0..6_000_u64)
        .map(|number| {
            let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((spread >> 60) as u32 % 2, (number % 999 != 0).then_some((spread >> 8) as i64 - (1 << 54)), Some(format!("{spread:x}")))
        })
        .collect();
    for kind in [Kind::Word, Kind::Text, Kind::Both] {
        let (mut groups, ends) = (Groups::new(codec(kind)), [7, -7]);
        let panes: Vec<u32> = rows.iter().map(|row| row.0).collect();
        groups.intern(&columns(kind, &rows), rows.len(), Panes::Each(&panes), &mut Vec::new()).unwrap();
        let count = groups.count() as usize;
        let sorted = groups.drain(&ends);
        let places: Vec<_> = (0..count).map(|at| (sorted.ends[at], sorted.key_groups[at], sorted.keys.get(at).to_vec())).collect();
        assert!(count > 5_900 && places.is_sorted_by(|one, next| one < next), "{kind:?}");
        assert!(places.iter().all(|(_, group, key)| *group == key_group(key)), "{kind:?}");
        let mut numbers = sorted.numbers;
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..count as u32), "{kind:?}");
    }
}
