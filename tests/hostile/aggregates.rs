//! Attacks by aggregates.

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use serde_json::{Value, json};
use wasmill_host::{Aggregate, Grouped, HostError, Plugin};

use crate::attacks::{Attack, answer_of};
use crate::memory::peak_bytes;
use crate::support::{Policy, aggregating, columns_plugin, input, merge, plugin, policy, schema_bytes, small_limits, stopping, sums_with};

/// How many groups the rows of a batch are in: row `i` in group `i % 3`.
const GROUPS: u32 = 3;

impl Attack {
    /// Adds up two batches, carries the state over into another instance, and finishes; with some members of the configuration's
    /// `aggregate` added.
    fn sums(name: &'static str, members: Value) -> Self {
        Self::new(name, move |_| answered(&columns_plugin(), &sums_with(members.clone()), stopping()))
    }

    /// The same, where guilty rows are rejected.
    fn rejecting_sums(name: &'static str, members: Value) -> Self {
        Self::new(name, move |_| answered(&columns_plugin(), &sums_with(members.clone()), policy()))
    }

    /// The same in Arrow: the state and the output are columns of [`arrow_schema`].
    fn arrow(name: &'static str, members: Value) -> Self {
        Self::new(name, move |_| {
            let mut aggregate = json!({ "state": schema_bytes(&arrow_schema()), "output": schema_bytes(&arrow_schema()) });
            merge(&mut aggregate, members.clone());
            answered(
                &plugin(),
                &json!({ "needs": schema_bytes(&crate::support::input_schema()), "crosses": [true, true], "aggregate": aggregate }),
                stopping(),
            )
        })
    }

    /// A name beside one of the contract's records.
    fn beside(name: &'static str, record: &'static str) -> Self {
        Self::new(name, move |_| {
            let mut config = sums_with(json!({ "rejects": [{ "row": 1, "code": "bad" }] }));
            merge(&mut config, json!({ "extra": [record, "!new"] }));
            answered(&columns_plugin(), &config, stopping())
        })
    }
}

fn arrow_schema() -> arrow_schema::Schema {
    arrow_schema::Schema::new(vec![arrow_schema::Field::new("sum", arrow_schema::DataType::Int64, false)])
}

fn answered(plugin: &Plugin, config: &Value, policy: Policy) -> String {
    let aggregate = match aggregating(plugin, config, small_limits(), policy) {
        Ok(aggregate) => aggregate,
        Err(error) => return answer_of(&error),
    };
    let (answer, peak) = peak_bytes(|| sums(&aggregate));
    // What was handed over, what is built of it, and that once more and a half while it grows.
    let most = 4 * small_limits().output_bytes + (1 << 20);
    assert!(peak <= most, "the host took {peak} bytes: {config:.200}");
    answer.unwrap_or_else(|error| answer_of(&error))
}

fn sums(aggregate: &Aggregate) -> Result<String, HostError> {
    let mut instance = aggregate.instance()?;
    let mut rejects = Vec::new();
    for _ in 0..2 {
        let batch = input(10);
        let groups: Vec<u32> = (0..10).map(|row| row % GROUPS).collect();
        rejects.extend(instance.update(&batch, &groups, GROUPS)?.into_iter().map(|reject| (reject.row, reject.message)));
    }
    let state = instance.take_state()?;
    let mut other = aggregate.instance()?;
    let groups = state.groups.clone().unwrap_or_else(|| (0..GROUPS).collect());
    other.merge(&state.records, &groups, GROUPS)?;
    Ok(format!("{}, rejects {rejects:?}", shown(&other.finish()?)))
}

fn shown(grouped: &Grouped) -> String {
    let columns = grouped.records.columns().iter().map(|column| format!("{:?}", column.as_primitive::<Int64Type>().values().to_vec()));
    format!("columns {}, groups {:?}", columns.collect::<Vec<_>>().join(" "), grouped.groups)
}

pub fn attacks() -> Vec<Attack> {
    [faults(), bombs(), lies(), tables(), openings()].into_iter().flatten().collect()
}

fn faults() -> Vec<Attack> {
    vec![
        Attack::sums("aggregate-that-behaves", json!({})),
        Attack::sums("aggregate-loops-in-update", json!({ "update": "loop" })),
        Attack::sums("aggregate-loops-in-merge", json!({ "merge": "loop" })),
        Attack::sums("aggregate-loops-in-take-state", json!({ "take_state": "loop" })),
        Attack::sums("aggregate-loops-in-finish", json!({ "finish": "loop" })),
        Attack::sums("aggregate-panics-in-update", json!({ "update": "panic:no sum" })),
        Attack::sums("aggregate-panics-in-merge", json!({ "merge": "panic:no sum" })),
        Attack::sums("aggregate-panics-in-take-state", json!({ "take_state": "panic:no sum" })),
        Attack::sums("aggregate-panics-in-finish", json!({ "finish": "panic:no sum" })),
        Attack::sums("aggregate-asks-for-a-file-in-finish", json!({ "finish": "file" })),
        Attack::sums("aggregate-refuses-in-update", json!({ "update": "refuse:no more\u{1b}[31m" })),
        Attack::sums("aggregate-refuses-in-merge", json!({ "merge": "refuse:no more\u{1b}[31m" })),
        Attack::sums("aggregate-refuses-in-take-state", json!({ "take_state": "refuse:no more" })),
        Attack::sums("aggregate-refuses-in-finish", json!({ "finish": "refuse:no more" })),
        Attack::rejecting_sums("aggregate-with-a-guilty-row", json!({ "update": "unreachable", "when": "pin 7 of" })),
        Attack::rejecting_sums("aggregate-with-guilty-rows-only", json!({ "update": "unreachable" })),
        Attack::new("aggregate-that-rejects-others-when-rows-are-sent-again", |_| other_rejects()),
    ]
}

/// It rejects a row in the second call of an instance only. That call comes after a snapshot, and first when its rows are sent again.
fn other_rejects() -> String {
    let rejects = json!([{ "row": 0, "code": "bad" }]);
    let config = sums_with(json!({ "update": "unreachable", "when": "pin 3 of", "rejects": rejects, "rejects_at_call": 2 }));
    let mut instance = aggregating(&columns_plugin(), &config, small_limits(), policy()).unwrap().instance().unwrap();
    let many = input(6000).slice(2000, 4000);
    instance.update(&many, &vec![0; 4000], 1).unwrap();
    match instance.update(&input(4), &[0; 4], 1) {
        Ok(rejects) => format!("it was taken: {rejects:?}"),
        Err(error) => answer_of(&error),
    }
}

fn bombs() -> Vec<Attack> {
    vec![
        Attack::rejecting_sums("aggregate-bombs-memory-in-update", json!({ "update": "memory" })),
        Attack::rejecting_sums("aggregate-whose-groups-grow-too-large", json!({ "hoard": 2 << 20 })),
        Attack::sums("aggregate-bombs-memory-in-merge", json!({ "merge": "memory" })),
        Attack::sums("aggregate-bombs-the-stack-in-finish", json!({ "finish": "stack" })),
        Attack::arrow("aggregate-with-a-state-of-megabytes", json!({ "taken": { "columns": { "zeros": 9 << 20 } } })),
        Attack::sums("aggregate-with-too-many-rows-of-state", json!({ "taken": { "many_groups": 100_001 } })),
        Attack::sums("aggregate-with-too-many-results", json!({ "finished": { "many_groups": 100_001 } })),
        Attack::new("aggregate-that-leaks", |_| slow_leak()),
    ]
}

/// 4 MiB a call against a limit of 32 MiB: the instance is renewed again and again, and its groups are carried over.
fn slow_leak() -> String {
    let config = sums_with(json!({ "update": "leak:4194304" }));
    let mut instance = aggregating(&columns_plugin(), &config, small_limits(), stopping()).unwrap().instance().unwrap();
    for _ in 0..20 {
        instance.update(&input(10), &[0; 10], 1).unwrap();
    }
    let sum = shown(&instance.finish().unwrap());
    let stats = instance.stats();
    format!("{sum}, {} faults, renewed: {}", stats.faults, stats.renewals > 0)
}

fn lies() -> Vec<Attack> {
    let json = |rows: usize| json!([{ "json": { "text": vec!["1"; rows].join(","), "before": "[", "after": "]" } }, { "json": { "text": vec!["1"; rows].join(","), "before": "[", "after": "]" } }]);
    let made = |rows: usize, groups: Value| json!({ "made": { "columns": json(rows) }, "groups": groups });
    vec![
        Attack::sums("aggregate-with-a-group-that-does-not-exist", json!({ "taken": made(2, json!([0, 3])) })),
        Attack::sums("aggregate-with-groups-that-decrease", json!({ "taken": made(3, json!([0, 2, 1])) })),
        Attack::sums("aggregate-with-a-result-of-no-group", json!({ "finished": made(1, json!([4_000_000_000_u32])) })),
        Attack::sums("aggregate-with-results-that-decrease", json!({ "finished": made(2, json!([1, 0])) })),
        Attack::sums("aggregate-with-a-group-less", json!({ "taken": made(2, Value::Null) })),
        Attack::sums("aggregate-with-a-group-more", json!({ "taken": made(4, Value::Null) })),
        Attack::sums("aggregate-with-fewer-rows-than-groups", json!({ "finished": made(1, json!([0, 1])) })),
        Attack::sums("aggregate-with-several-rows-of-a-group", json!({ "taken": made(4, json!([0, 0, 2, 2])) })),
        Attack::sums("aggregate-without-any-state", json!({ "taken": made(0, json!([])) })),
        Attack::sums("aggregate-without-any-result", json!({ "finished": made(0, json!([])) })),
        Attack::sums("aggregate-rejects-out-of-range", json!({ "rejects": [{ "row": 10, "code": "bad" }] })),
        Attack::sums("aggregate-rejects-twice", json!({ "rejects": [{ "row": 1, "code": "bad" }, { "row": 1, "code": "bad" }] })),
        Attack::sums("aggregate-rejects-with-escapes", json!({ "rejects": [{ "row": 1, "code": "\u{1b}[31m" }] })),
        // The host can't know: `wasmill plugin test` finds such.
        Attack::sums("aggregate-whose-states-do-not-merge", json!({ "grows": true })),
    ]
}

fn tables() -> Vec<Attack> {
    let column = |text: &str| json!({ "json": { "text": text } });
    let taken = |columns: Value| json!({ "taken": { "made": { "columns": columns } } });
    vec![
        Attack::sums("aggregate-with-a-column-of-state-less", taken(json!([column("[1,2,3]")]))),
        Attack::sums("aggregate-with-a-column-of-state-more", taken(json!([column("[1,2,3]"), column("[1,2,3]"), column("[1,2,3]")]))),
        Attack::sums("aggregate-with-texts-for-numbers", taken(json!([column("[1,2,3]"), column("[\"1\",2,3]")]))),
        Attack::sums("aggregate-with-values-of-a-dictionary", taken(json!([column("[1,2,3]"), { "spread": [1, { "text": "[1]" }] }]))),
        Attack::sums("aggregate-with-a-state-in-the-other-encoding", json!({ "taken": { "columns": { "zeros": 8 } } })),
        Attack::arrow("aggregate-with-a-state-of-zeros", json!({ "taken": { "columns": { "zeros": 64 } } })),
        Attack::arrow("aggregate-with-an-empty-state", json!({ "taken": { "columns": { "text": "" } } })),
        Attack::arrow("aggregate-with-nulls-in-its-state", json!({ "taken": { "columns": nulls() } })),
    ]
}

fn nulls() -> Value {
    let sums = arrow_array::Int64Array::from(vec![Some(1), None, Some(3)]);
    let table = arrow_array::RecordBatch::try_from_iter([("sum", std::sync::Arc::new(sums) as arrow_array::ArrayRef)]).unwrap();
    crate::support::table_bytes(&table)
}

fn openings() -> Vec<Attack> {
    let none: [u8; 0] = [];
    vec![
        Attack::sums("aggregate-without-columns-of-state", json!({ "state_fields": none })),
        Attack::sums("aggregate-without-columns-of-output", json!({ "output_fields": none })),
        Attack::sums(
            "aggregate-with-a-state-twice",
            json!({ "state_fields": [{ "name": "a", "type": "Int64" }, { "name": "a", "type": "Int64" }] }),
        ),
        Attack::sums("aggregate-with-a-state-of-no-type", json!({ "state_fields": [{ "name": "a", "type": "Interval(DayTime)" }] })),
        Attack::sums("aggregate-with-a-fickle-state", json!({ "fickle": "state" })),
        Attack::sums("aggregate-with-a-fickle-version", json!({ "fickle": "version" })),
        Attack::sums("aggregate-with-a-fickle-output", json!({ "fickle": "output" })),
        Attack::beside("marked-name-beside-an-opened-aggregate", "opened"),
        Attack::beside("marked-name-beside-an-update", "updated"),
        Attack::beside("marked-name-beside-groups", "grouped"),
    ]
}
