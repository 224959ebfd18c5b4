//! Aggregates against the model: the same values for any cut, order and number of merges.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int16Array, UInt32Array, UInt64Array};
use arrow_schema::DataType;
use arrow_select::take::take_record_batch;
use proptest::prelude::*;
use wasmill_keyed::run::check_state_schema;
use wasmill_keyed::{Accumulator, Aggregate, Grouped};

use super::model::{MODELS, Row, Value};
use super::*;
use crate::{AGGREGATES, Aggregates, ParsedAggregate};

pub fn aggregates(columns: &[(&str, &str)], input: &SchemaRef) -> Result<Aggregates, Vec<(String, SqlProblem)>> {
    let parsed = columns.iter().map(|(name, text)| {
        let parsed = ParsedAggregate::new(text).map_err(|problem| vec![((*name).to_owned(), problem)])?;
        Ok(((*name).to_owned(), parsed))
    });
    Aggregates::new(&parsed.collect::<Result<Vec<_>, Vec<_>>>()?, input)
}

fn batch(rows: &[Row]) -> RecordBatch {
    let decimals = |of: fn(&Row) -> Option<i128>, precision, scale| {
        rows.iter().map(of).collect::<Decimal128Array>().with_precision_and_scale(precision, scale).unwrap()
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(rows.iter().map(|row| row.a).collect::<Int64Array>())),
        ("x", Arc::new(rows.iter().map(|row| row.x).collect::<Int64Array>())),
        ("s", Arc::new(rows.iter().map(|row| row.s).collect::<Int16Array>())),
        ("u", Arc::new(rows.iter().map(|row| row.u).collect::<UInt64Array>())),
        ("f", Arc::new(rows.iter().map(|row| row.f).collect::<Float64Array>())),
        ("e", Arc::new(rows.iter().map(|row| row.e).collect::<Float64Array>())),
        ("d", Arc::new(decimals(|row| row.d, 10, 2))),
        ("w", Arc::new(decimals(|row| row.w, 38, 3))),
        ("t", Arc::new(rows.iter().map(|row| row.t.clone()).collect::<StringArray>())),
        ("b", Arc::new(rows.iter().map(|row| row.b).collect::<BooleanArray>())),
        ("at", Arc::new(rows.iter().map(|row| row.at).collect::<TimestampMicrosecondArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).unwrap()
}

/// A value of a column.
pub fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Float64 => Value::Float(column.as_primitive::<arrow_array::types::Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::Boolean => Value::Int(column.as_boolean().value(row).into()),
        DataType::Decimal128(..) => Value::Int(column.as_primitive::<arrow_array::types::Decimal128Type>().value(row)),
        DataType::UInt64 => Value::Int(column.as_primitive::<arrow_array::types::UInt64Type>().value(row).into()),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            Value::List((0..items.len()).map(|item| value(&items, item)).collect())
        }
        _ => Value::Int(arrow_cast::cast(column, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(row).into()),
    }
}

const GROUPS: u32 = 5;

/// What must not matter: which part takes which row, how parts are cut into batches, how states are merged.
#[derive(Debug, Clone)]
struct Way {
    parts: usize,
    batch: usize,
    merges: usize,
    seed: u64,
}

/// Rows of a part, in batches, added to an accumulator.
fn update(accumulator: &mut dyn Accumulator, plan: &Aggregates, rows: &[(u32, Row)], batch_rows: usize) {
    for rows in rows.chunks(batch_rows) {
        let groups: Vec<u32> = rows.iter().map(|(group, _)| *group).collect();
        let records = batch(&rows.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>()).project(plan.columns()).unwrap();
        assert_eq!(accumulator.update(&records, &groups, GROUPS).unwrap(), []);
    }
}

/// A state, merged row by row in any order of the groups, and cut anywhere.
fn merge(accumulator: &mut dyn Accumulator, state: &Grouped, random: &mut fastrand::Rng) {
    let mut rows: Vec<(u32, u32)> = match &state.groups {
        Some(groups) => groups.iter().copied().zip(0..).collect(),
        None => (0..state.records.num_rows() as u32).map(|row| (row, row)).collect(),
    };
    let mut order: Vec<u32> = (0..GROUPS).collect();
    random.shuffle(&mut order);
    rows.sort_by_key(|(group, row)| (order[*group as usize], *row));
    for rows in rows.chunks(random.usize(1..20)) {
        let indices: UInt32Array = rows.iter().map(|(_, row)| Some(*row)).collect();
        let groups: Vec<u32> = rows.iter().map(|(group, _)| *group).collect();
        accumulator.merge(&take_record_batch(&state.records, &indices).unwrap(), &groups, GROUPS).unwrap();
    }
}

fn run(plan: &Aggregates, rows: &[(u32, Row)], way: &Way) -> RecordBatch {
    let mut random = fastrand::Rng::with_seed(way.seed);
    let mut rows = rows.to_vec();
    random.shuffle(&mut rows);
    // One accumulator for everything: it has to be empty after each state.
    let mut accumulator = plan.open(0).unwrap();
    let mut states = Vec::new();
    for part in rows.chunks(rows.len().div_ceil(way.parts).max(1)) {
        update(&mut *accumulator, plan, part, way.batch);
        states.push(accumulator.take_state().unwrap());
    }
    for _ in 0..way.merges {
        random.shuffle(&mut states);
        let (first, rest) = states.split_at(states.len() / 2);
        first.iter().for_each(|state| merge(&mut *accumulator, state, &mut random));
        let merged = accumulator.take_state().unwrap();
        states = rest.iter().cloned().chain([merged]).collect();
    }
    states.iter().for_each(|state| assert_eq!(state.records.schema(), plan.state_schema()));
    states.iter().for_each(|state| merge(&mut *accumulator, state, &mut random));
    // Groups that no state has are groups too.
    accumulator.merge(&RecordBatch::new_empty(plan.state_schema()), &[], GROUPS).unwrap();
    let results = accumulator.finish().unwrap();
    assert!(results.groups.is_none());
    assert_eq!(results.records.num_rows(), GROUPS as usize);
    assert_eq!(results.records.schema(), plan.output_schema());
    results.records
}

fn optional<S: Strategy>(of: S) -> impl Strategy<Value = Option<S::Value>> {
    proptest::option::weighted(0.8, of)
}

fn rows() -> impl Strategy<Value = Vec<(u32, Row)>> {
    let float = prop_oneof![
        4 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(-f64::NAN), 1 => Just(0.0), 1 => Just(-0.0), 1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY), 1 => Just(f64::MAX)
    ];
    let integer = prop_oneof![Just(i64::MAX), Just(i64::MIN), -5_i64..5, any::<i64>()];
    let most = 10_i128.pow(38) - 1;
    let first = (optional(-1_000_000_i64..1_000_000), optional(integer.clone()), optional(-3_i16..200), optional(0..u64::MAX >> 8));
    let second = (optional(-1e3..1e3), optional(float), optional(-1_000_000_i128..1_000_000), optional(-most..most));
    let third = (optional("[a-c\u{0}é]{0,12}"), optional(any::<bool>()), optional(-9_i64..9));
    let row = (first, second, third).prop_map(|((a, x, s, u), (f, e, d, w), (t, b, at))| Row { a, x, s, u, f, e, d, w, t, b, at });
    // The last group gets nothing; another often only nulls.
    proptest::collection::vec((0..GROUPS - 1, row), 0..80).prop_map(|mut rows: Vec<(u32, Row)>| {
        rows.iter_mut().filter(|(group, _)| *group == 0).for_each(|(_, row)| *row = Row::default());
        rows
    })
}

fn ways() -> impl Strategy<Value = Way> {
    (1_usize..6, 1_usize..40, 0_usize..3, any::<u64>()).prop_map(|(parts, batch, merges, seed)| Way { parts, batch, merges, seed })
}

fn models() -> Vec<(&'static str, &'static str)> {
    MODELS.iter().map(|(text, _)| (*text, *text)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_function_is_its_model_in_any_cut_and_order(rows in rows(), way in ways()) {
        let plan = aggregates(&models(), &batch(&[]).schema()).unwrap();
        let results = run(&plan, &rows, &way);
        for group in 0..GROUPS {
            let of_group: Vec<Row> = rows.iter().filter(|(of, _)| *of == group).map(|(_, row)| row.clone()).collect();
            for (column, (text, model)) in results.columns().iter().zip(MODELS) {
                let (found, expected) = (value(column, group as usize), model(&of_group));
                prop_assert!(expected.takes(&found), "{text} of {of_group:#?} is {found:?}, not {expected:?}");
            }
        }
    }

    /// A state is what runs can hold, and nothing stays behind it.
    #[test]
    fn states_are_of_types_that_runs_hold_and_every_group_has_one(rows in rows()) {
        let plan = aggregates(&models(), &batch(&[]).schema()).unwrap();
        check_state_schema(&plan.state_schema()).unwrap();
        let mut accumulator = plan.open(0).unwrap();
        update(&mut *accumulator, &plan, &rows, 30);
        prop_assert!(rows.is_empty() || accumulator.memory_bytes() > 0);
        let state = accumulator.take_state().unwrap();
        prop_assert_eq!(accumulator.memory_bytes() < 100_000, true);
        let groups = state.groups.clone().unwrap_or_else(|| (0..state.records.num_rows() as u32).collect());
        prop_assert!(groups.windows(2).all(|pair| pair[0] <= pair[1] && pair[1] - pair[0] <= 1), "every group has a row");
    }
}

#[test]
fn every_function_has_a_model() {
    for doc in AGGREGATES {
        for name in doc.names {
            assert!(MODELS.iter().any(|(text, _)| text.starts_with(&format!("{name}("))), "{name} has no model");
        }
    }
}
