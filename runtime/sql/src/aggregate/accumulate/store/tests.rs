//! Both stores give the same results for the same values.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array};
use arrow_schema::DataType;

use super::numbers::NumberStore;
use super::{Ranks, RowStore, ValueStore};

const GROUPS: u32 = 40;

struct Rows {
    values: ArrayRef,
    groups: Vec<u32>,
}

fn floats(count: usize, random: &mut fastrand::Rng) -> Rows {
    let special = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
    let value = |random: &mut fastrand::Rng| match random.u8(..8) {
        0 => special[random.usize(..special.len())],
        _ => f64::from(random.i32(-20..20)) / 4.0,
    };
    let values: Float64Array = (0..count).map(|_| Some(value(random))).collect();
    Rows { values: Arc::new(values), groups: (0..count).map(|_| random.u32(..GROUPS - 1)).collect() }
}

fn integers(count: usize, random: &mut fastrand::Rng) -> Rows {
    let values: Int64Array = (0..count).map(|_| Some(if random.bool() { random.i64(-9..9) } else { random.i64(..) })).collect();
    Rows { values: Arc::new(values), groups: (0..count).map(|_| random.u32(..GROUPS - 1)).collect() }
}

fn filled(mut store: Box<dyn ValueStore>, rows: &Rows) -> Box<dyn ValueStore> {
    store.resize(GROUPS as usize);
    store.add(&rows.values, &rows.groups).unwrap();
    store
}

fn stores(rows: &Rows) -> [Box<dyn ValueStore>; 2] {
    let numbers: Box<dyn ValueStore> = match rows.values.data_type() {
        DataType::Float64 => Box::new(NumberStore::<arrow_array::types::Float64Type>::new(&DataType::Float64)),
        _ => Box::new(NumberStore::<arrow_array::types::Int64Type>::new(&DataType::Int64)),
    };
    [filled(numbers, rows), filled(Box::new(RowStore::new(rows.values.data_type()).unwrap()), rows)]
}

#[test]
fn both_stores_agree() {
    let mut random = fastrand::Rng::with_seed(7);
    for count in [0, 1, 2, 39, 40, 200, 2_000] {
        for rows in [floats(count, &mut random), integers(count, &mut random)] {
            let middle = |count: usize| Ranks { low: (count - 1) / 2, high: count / 2 };
            let last = |count: usize| Ranks { low: count - 1, high: count - 1 };
            let [numbers, bytes] = stores(&rows).map(|mut store| {
                let Ok(ranked) = store.take_groups().ranked(&middle) else { panic!("no ranks") };
                [ranked.low, ranked.high].map(|values| values.to_data())
            });
            assert_eq!(numbers, bytes, "the middle of {count} values");
            let [numbers, bytes] = stores(&rows).map(|mut store| store.take_groups().ranked(&last).unwrap().low.to_data());
            assert_eq!(numbers, bytes, "the last of {count} values");
            let [numbers, bytes] = stores(&rows).map(|mut store| store.take_groups().most_frequent().unwrap().to_data());
            assert_eq!(numbers, bytes, "the mode of {count} values");
            let [numbers, bytes] = stores(&rows).map(|mut store| store.take_groups().sorted().unwrap().to_data());
            assert_eq!(numbers, bytes, "{count} sorted values");
            let [numbers, bytes] = stores(&rows).map(|mut store| {
                let state = store.take_state().unwrap();
                (state.groups, state.columns.iter().map(|column| column.to_data()).collect::<Vec<_>>())
            });
            assert_eq!(numbers, bytes, "the state of {count} values");
        }
    }
}

#[test]
fn what_left_a_store_is_not_in_its_next_state() {
    let rows = integers(100, &mut fastrand::Rng::with_seed(3));
    for mut store in stores(&rows) {
        let first = store.take_state().unwrap();
        assert_eq!(first.groups.map(|groups| groups.len()), Some(GROUPS as usize - 1 - missing(&rows)));
        assert_eq!(store.take_groups().offsets(), [0], "it has no groups either");
        store.resize(1);
        store.add(&(Arc::new(Int64Array::from(vec![5])) as ArrayRef), &[0]).unwrap();
        assert_eq!(store.take_groups().offsets(), [0, 1]);
    }
}

/// How many of the groups that may have values have none.
fn missing(rows: &Rows) -> usize {
    (0..GROUPS - 1).filter(|group| !rows.groups.contains(group)).count()
}
