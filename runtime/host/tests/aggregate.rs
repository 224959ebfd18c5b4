//! An aggregate at work: its groups survive traps, renewals and snapshots, and only guilty rows are missing from them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/hostile/encode.rs"]
mod encode;
#[path = "../../../tests/hostile/support.rs"]
mod support;

use std::collections::BTreeMap;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{aggregating, columns_plugin, fields, host, input, input_schema, policy, rejecting, small_limits, stopping, sums_with};
use wasmill_host::{Aggregate, AggregateInstance, FaultBudget, FaultKind, Grouped, HostError, Limits, Phase};

fn open(members: Value) -> Aggregate {
    aggregating(&columns_plugin(), &sums_with(members), small_limits(), policy()).unwrap()
}

/// The sums and counts of groups `0..`.
fn sums(grouped: &Grouped) -> Vec<(i64, i64)> {
    assert!(grouped.groups.is_none());
    let column = |index: usize| grouped.records.column(index).as_primitive::<Int64Type>().values().to_vec();
    column(0).into_iter().zip(column(1)).collect()
}

fn groups(rows: usize, count: u32) -> Vec<u32> {
    (0..rows as u32).map(|row| row % count).collect()
}

/// Adds a batch in which row `i` is in group `i % count`.
fn add(instance: &mut AggregateInstance, batch: &RecordBatch, count: u32) -> Vec<(u32, String)> {
    let rejects = instance.update(batch, &groups(batch.num_rows(), count), count).unwrap();
    rejects.into_iter().map(|reject| (reject.row, reject.code)).collect()
}

#[test]
fn an_opened_aggregate_reports_its_tables() {
    let aggregate = open(json!({ "state_version": 7 }));
    let names = |schema: &arrow_schema::Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(aggregate.state_schema()), ["sum", "rows"]);
    assert_eq!(names(aggregate.output_schema()), ["total", "count"]);
    assert_eq!((aggregate.state_version(), aggregate.crossing()), (7, &[0, 1][..]));
    let fingerprint = aggregate.fingerprint();
    assert_eq!((fingerprint.plugin.as_str(), fingerprint.state_version, fingerprint.config.len()), ("hostile", 7, 64));
    assert_eq!(fingerprint, open(json!({ "state_version": 7 })).fingerprint());
    assert_ne!(fingerprint.config, open(json!({ "state_version": 7, "hoard": 1 })).fingerprint().config);
}

#[test]
fn groups_are_added_up_carried_over_and_finished() {
    let aggregate = open(json!({}));
    let (mut one, mut other) = (aggregate.instance().unwrap(), aggregate.instance().unwrap());
    assert!(add(&mut one, &input(10), 3).is_empty());
    // A group that only its number tells of is a group too.
    assert!(one.update(&input(1), &[1], 5).unwrap().is_empty());
    let state = one.take_state().unwrap();
    assert_eq!(sums(&state), [(18, 4), (12, 4), (15, 3), (0, 0), (0, 0)]);
    assert!(add(&mut other, &input(4), 2).is_empty());
    other.merge(&state.records, &[4, 3, 2, 1, 0], 5).unwrap();
    assert_eq!(sums(&other.finish().unwrap()), [(2, 2), (4, 2), (15, 3), (12, 4), (18, 4)]);
    // Both are empty now.
    for mut instance in [one, other] {
        assert_eq!(instance.take_state().unwrap().records.num_rows(), 0);
        assert!(add(&mut instance, &input(2), 1).is_empty());
        assert_eq!(sums(&instance.finish().unwrap()), [(1, 2)]);
    }
}

#[test]
fn only_the_guilty_row_is_missing() {
    let mut instance = open(json!({ "update": "panic:no such pin", "when": "pin 613 of" })).instance().unwrap();
    for _ in 0..3 {
        assert!(add(&mut instance, &input(600), 2).is_empty());
    }
    assert_eq!(add(&mut instance, &input(1000), 2), [(613, "plugin-fault".to_owned())]);
    assert!(add(&mut instance, &input(10), 2).is_empty());
    let even = 3 * (0..600).step_by(2).sum::<i64>() + (0..1000).step_by(2).sum::<i64>() + 20;
    let odd = 3 * (1..600).step_by(2).sum::<i64>() + (1..1000).step_by(2).sum::<i64>() - 613 + 25;
    assert_eq!(sums(&instance.finish().unwrap()), [(even, 900 + 500 + 5), (odd, 900 + 499 + 5)]);
}

/// Snapshots are taken while rows come, so what is kept stays small; a fault long after the first rows costs none of them.
#[test]
fn what_is_kept_of_rows_is_bounded() {
    let mut instance = open(json!({ "update": "unreachable", "when": "pin 7777 of" })).instance().unwrap();
    let batch = input(2000);
    let mut most = 0;
    for _ in 0..500 {
        assert!(add(&mut instance, &batch, 10).is_empty());
        most = most.max(instance.memory_bytes());
    }
    assert!((8 << 20..20 << 20).contains(&most), "{most}");
    assert_eq!(add(&mut instance, &input(8000).slice(7770, 10), 10), [(7, "plugin-fault".to_owned())]);
    let all = sums(&instance.finish().unwrap());
    let due: i64 = 500 * (0..2000_i64).sum::<i64>() + (7770..7780).sum::<i64>() - 7777;
    assert_eq!(all.iter().map(|(sum, _)| sum).sum::<i64>(), due);
    assert_eq!(all.iter().map(|(_, rows)| rows).sum::<i64>(), 500 * 2000 + 9);
}

/// While states are merged and nothing else comes, they are not kept for ever; rows that come later are safe all the same.
#[test]
fn what_is_kept_of_states_is_bounded() {
    let mut instance = open(json!({ "update": "unreachable", "when": "pin 3 of" })).instance().unwrap();
    let rows = 100_000_usize;
    let column = || std::sync::Arc::new(Int64Array::from_iter_values(0..rows as i64)) as arrow_array::ArrayRef;
    let states = RecordBatch::try_from_iter([("sum", column()), ("rows", column())]).unwrap();
    let mut most = 0;
    for _ in 0..30 {
        instance.merge(&states, &vec![0; rows], 1).unwrap();
        most = most.max(instance.memory_bytes());
    }
    assert!(most < 24 << 20, "{most}");
    assert_eq!(add(&mut instance, &input(5), 1), [(3, "plugin-fault".to_owned())]);
    let sum = 30 * (0..rows as i64).sum::<i64>();
    assert_eq!(sums(&instance.finish().unwrap()), [(sum + 7, sum + 4)]);
}

#[test]
fn rows_with_unexpected_nulls_never_cross() {
    let schema = arrow_schema::Schema::new(vec![
        arrow_schema::Field::new("ind", arrow_schema::DataType::Int64, false),
        arrow_schema::Field::new("title", arrow_schema::DataType::Utf8, true),
    ]);
    let mut config = sums_with(json!({ "update": "unreachable", "when": "bad" }));
    config["fields"] = fields(&schema);
    let mut instance = aggregating(&columns_plugin(), &config, small_limits(), policy()).unwrap().instance().unwrap();
    let ind = Int64Array::from(vec![Some(1), None, Some(4), None, Some(8), Some(16)]);
    let title = StringArray::from(vec!["a", "b", "bad", "d", "e", "f"]);
    let batch = RecordBatch::try_new(input_schema(), vec![std::sync::Arc::new(ind), std::sync::Arc::new(title)]).unwrap();
    let rejects = instance.update(&batch, &[0, 1, 1, 2, 1, 0], 3).unwrap();
    let codes: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect();
    assert_eq!(codes, [(1, "unexpected-null"), (2, "plugin-fault"), (3, "unexpected-null")]);
    assert_eq!(sums(&instance.finish().unwrap()), [(17, 2), (8, 1), (0, 0)]);
}

/// A caller that spills learns it before the plugin's own limit is reached.
#[test]
fn memory_grows_with_what_is_held_and_is_given_back() {
    let mut instance = open(json!({ "hoard": 100_000 })).instance().unwrap();
    assert!(instance.memory_bytes() < 100_000, "{}", instance.memory_bytes());
    add(&mut instance, &input(50), 5);
    let held = instance.memory_bytes();
    assert!((5_000_000..15_000_000).contains(&held), "{held}");
    add(&mut instance, &input(120), 5);
    assert!(instance.memory_bytes() > 1 << 40, "{}", instance.memory_bytes());
    let state = instance.take_state().unwrap();
    assert_eq!(sums(&state).iter().map(|(_, rows)| rows).sum::<i64>(), 170);
    assert!(instance.memory_bytes() < 100_000, "{}", instance.memory_bytes());
    add(&mut instance, &input(50), 5);
    assert!((5_000_000..15_000_000).contains(&instance.memory_bytes()), "{}", instance.memory_bytes());
}

/// Groups that do not fit end the run: no row is to blame.
#[test]
fn rows_are_not_blamed_for_groups_that_are_too_large() {
    let mut instance = open(json!({ "hoard": 1 << 20 })).instance().unwrap();
    let error = (0..10).find_map(|_| instance.update(&input(10), &[0; 10], 1).err()).unwrap();
    let HostError::Fault { kind, phase, message, .. } = error else { panic!("{error}") };
    assert_eq!((kind, phase), (FaultKind::Memory, Phase::Update));
    assert!(message.starts_with("1 groups are too many for one instance: it requested"), "{message}");
}

#[test]
fn faults_without_a_guilty_row_stop_and_name_the_function() {
    for (function, phase) in [("merge", Phase::Merge), ("take_state", Phase::TakeState), ("finish", Phase::Finish)] {
        let aggregate = open(json!({ function: "panic:no sum" }));
        let mut instance = aggregate.instance().unwrap();
        let states = RecordBatch::try_from_iter([
            ("sum", std::sync::Arc::new(Int64Array::from(vec![1])) as arrow_array::ArrayRef),
            ("rows", std::sync::Arc::new(Int64Array::from(vec![1])) as _),
        ]);
        add(&mut instance, &input(3), 1);
        let error = match phase {
            Phase::Merge => instance.merge(&states.unwrap(), &[0], 1).unwrap_err(),
            Phase::TakeState => instance.take_state().unwrap_err(),
            _ => instance.finish().unwrap_err(),
        };
        let HostError::Fault { plugin, phase: found, message, .. } = error else { panic!("{error}") };
        assert_eq!((plugin.as_str(), found), ("hostile", phase));
        assert!(message.ends_with("no sum"), "{message}");
    }
}

#[test]
fn too_many_guilty_rows_stop_the_run() {
    let config = sums_with(json!({ "update": "unreachable" }));
    let policy = rejecting(FaultBudget::new(5));
    let mut instance = aggregating(&columns_plugin(), &config, small_limits(), policy).unwrap().instance().unwrap();
    let error = instance.update(&input(100), &[0; 100], 1).unwrap_err();
    assert!(error.to_string().starts_with("hostile failed in update: more than 5 faults within"), "{error}");
}

#[test]
fn a_plugin_is_opened_only_for_what_it_exports() {
    let contract = include_str!("../../../wit/wasmill.wit");
    let wasm = encode::component(include_str!("../examples/pass_on.wat"), contract, "transform-plugin").unwrap();
    let plugin = host().load_bytes("pass_on.wat", &wasm).unwrap();
    assert!(plugin.transforms() && !plugin.aggregates());
    let error = plugin.open(&json!({})).aggregate(input_schema()).err().unwrap();
    assert_eq!(error.to_string(), "pass-on: the plugin transforms rows and does not aggregate them: use it in a stage with `plugin`");
    assert!(columns_plugin().transforms() && columns_plugin().aggregates());
}

/// What is done to an instance.
#[derive(Debug, Clone)]
enum Step {
    /// Rows from one on, in groups by a divisor.
    Update { from: usize, rows: usize, divisor: usize },
    /// The state is taken and merged into the same instance.
    Carry,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..60, 1_usize..20, 1_usize..5).prop_map(|(from, rows, divisor)| Step::Update { from, rows, divisor }),
        1 => Just(Step::Carry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes between, the groups hold every row that is not guilty, once. Row 13 is guilty.
    #[test]
    fn groups_hold_every_innocent_row(steps in prop::collection::vec(step(), 1..12), leaks: bool) {
        let config = if leaks { json!({ "update": "leak:3000000" }) } else { json!({ "update": "unreachable", "when": "pin 13 of" }) };
        let mut instance = open(config).instance().unwrap();
        let all = input(100);
        let mut due: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Update { from, rows, divisor } => {
                    let of_rows: Vec<u32> = (from..from + rows).map(|row| (row % divisor) as u32).collect();
                    let rejects = instance.update(&all.slice(from, rows), &of_rows, 5).unwrap();
                    let guilty: Vec<usize> = (from..from + rows).filter(|&row| row == 13 && !leaks).collect();
                    prop_assert_eq!(rejects.iter().map(|reject| from + reject.row as usize).collect::<Vec<_>>(), guilty.clone());
                    for row in (from..from + rows).filter(|row| !guilty.contains(row)) {
                        let (sum, count) = due.entry(row % divisor).or_default();
                        *sum += row as i64;
                        *count += 1;
                    }
                }
                Step::Carry => {
                    let state = instance.take_state().unwrap();
                    let groups: Vec<u32> = (0..state.records.num_rows() as u32).collect();
                    instance.merge(&state.records, &groups, 5).unwrap();
                }
            }
        }
        let found = sums(&instance.finish().unwrap());
        let due: Vec<(i64, i64)> = (0..5).map(|group| due.get(&group).copied().unwrap_or_default()).collect();
        prop_assert_eq!(found, due);
    }
}

#[test]
fn a_cancelled_call_keeps_the_groups() {
    let config = sums_with(json!({ "update": "loop", "when": "pin 5 of" }));
    let limits = Limits::default().with_call(std::time::Duration::from_secs(60));
    let mut instance = aggregating(&columns_plugin(), &config, limits, stopping()).unwrap().instance().unwrap();
    add(&mut instance, &input(4), 1);
    let canceller = instance.canceller();
    let cancelled = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            canceller.cancel();
        });
        instance.update(&input(8), &[0; 8], 1)
    });
    assert!(matches!(cancelled, Err(HostError::Cancelled { .. })), "{cancelled:?}");
    assert_eq!(sums(&instance.finish().unwrap()), [(6, 4)]);
}
