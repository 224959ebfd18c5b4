//! Several aggregates as one give what each of them gives alone, over the rows that none of them refuses.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};

use super::*;
use crate::Grouped;

use crate::accumulators::{CountSumMean, Of, Picky, Values};

fn batch(rows: &[(Option<i64>, i64)]) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("first", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("second", DataType::Int64, true),
    ]);
    let texts = rows.iter().map(|row| row.0.map(|value| value.to_string()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(texts.collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn part(name: &str, aggregate: impl Aggregate + 'static, columns: &[usize]) -> Part {
    Part { aggregate: Arc::new(aggregate), columns: columns.to_vec(), name: name.into() }
}

fn parts() -> Vec<Part> {
    vec![
        part("count", CountSumMean::default(), &[0]),
        part("even", Picky(|value| value % 2 != 0), &[2]),
        part("median", Values::new(Of::Median), &[2]),
        part("texts", Values::new(Of::Texts), &[0, 1]),
        part("small", Picky(|value| value > 90), &[2]),
    ]
}

fn take(rows: &RecordBatch, places: &[u32]) -> RecordBatch {
    arrow_select::take::take_record_batch(rows, &arrow_array::UInt32Array::from(places.to_vec())).unwrap()
}

#[test]
fn parts_give_what_each_gives_alone_whatever_is_cut_and_spilled() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let count = random.u32(1..9);
        let rows: Vec<(Option<i64>, i64)> =
            (0..random.usize(0..60)).map(|_| (random.bool().then(|| random.i64(0..50)), random.i64(0..100))).collect();
        let groups: Vec<u32> = rows.iter().map(|_| random.u32(0..count)).collect();
        let (all, combined) = (batch(&rows), Combined::new(parts()).unwrap());
        let mut accumulator = combined.open(0).unwrap();
        let mut start = 0;
        while start < rows.len() {
            let end = (start + random.usize(1..20)).min(rows.len());
            let refused = accumulator.update(&all.slice(start, end - start), &groups[start..end], count).unwrap();
            let refused: Vec<usize> = refused.iter().map(|reject| start + reject.row as usize).collect();
            let expected = (start..end).filter(|&row| rows[row].1 % 2 != 0 || rows[row].1 > 90);
            assert_eq!(refused, expected.collect::<Vec<_>>());
            if random.bool() {
                let Grouped { records, groups } = accumulator.take_state().unwrap();
                let groups = groups.unwrap();
                assert!(groups.is_sorted());
                accumulator.merge(&records, &groups, count).unwrap();
            }
            start = end;
        }
        // A group that no part has seen a row of is one, too.
        accumulator.update(&batch(&[]), &[], count).unwrap();
        let found = accumulator.finish().unwrap();
        assert!(found.groups.is_none());
        let kept: Vec<u32> = (0..rows.len() as u32).filter(|&row| rows[row as usize].1 % 2 == 0 && rows[row as usize].1 <= 90).collect();
        let (kept_rows, kept_groups) = (take(&all, &kept), kept.iter().map(|&row| groups[row as usize]).collect::<Vec<_>>());
        let mut columns = Vec::new();
        for part in parts() {
            let mut alone = part.aggregate.open(0).unwrap();
            alone.update(&kept_rows.project(&part.columns).unwrap(), &kept_groups, count).unwrap();
            columns.extend(alone.finish().unwrap().records.columns().to_vec());
        }
        assert_eq!(found.records.columns(), columns);
    }
}

#[test]
fn a_part_with_several_rows_for_a_key_is_refused_beside_others() {
    let combined = Combined::new(vec![part("count", CountSumMean::default(), &[0]), part("all", Values::new(Of::Distinct), &[0])]).unwrap();
    let mut accumulator = combined.open(0).unwrap();
    accumulator.update(&batch(&[(Some(1), 0), (Some(2), 0)]), &[0, 0], 1).unwrap();
    let error = accumulator.finish().unwrap_err();
    assert_eq!(error.kind().map(|code| code.name), Some("keyed/rows-per-key"));
    assert!(error.to_string().contains("`all` gives several rows"), "{error}");
}

#[test]
fn a_part_that_changes_its_mind_about_a_row_stops() {
    struct Moody;
    impl Aggregate for Moody {
        fn state_schema(&self) -> SchemaRef {
            CountSumMean::default().state_schema()
        }
        fn output_schema(&self) -> SchemaRef {
            CountSumMean::default().output_schema()
        }
        // The sum of all rows overflows, and those of single rows do not.
        fn open(&self, lane: usize) -> Result<Box<dyn Accumulator>> {
            CountSumMean::default().open(lane)
        }
    }
    let combined = Combined::new(vec![part("first", Values::new(Of::Median), &[0]), part("moody", Moody, &[2])]).unwrap();
    let mut accumulator = combined.open(0).unwrap();
    accumulator.update(&batch(&[(None, i64::MAX)]), &[0], 1).unwrap();
    let error = accumulator.update(&batch(&[(None, 1)]), &[0], 1).unwrap_err();
    assert!(error.to_string().contains("`moody` refuses a row that it took"), "{error}");
}
