//! A table of every type, read by DuckDB's own reader of Parquet: nothing of it is in our writer, as something of `deltalake` is.

use serde_json::{Value, json};

use crate::support::Workshop;

/// Of each type: its name in a pipeline, how JSON lines write some values, and how the reader shows them.
fn types() -> Vec<(&'static str, Vec<(Value, Value)>)> {
    let same = |values: Vec<Value>| values.into_iter().map(|value| (value.clone(), value)).collect();
    vec![
        ("boolean", same(vec![json!(true), json!(false), json!(true)])),
        ("int8", same(vec![json!(-128), json!(127), json!(0)])),
        ("int16", same(vec![json!(-32768), json!(32767), json!(1)])),
        ("int32", same(vec![json!(-2147483648_i64), json!(2147483647), json!(-1)])),
        ("int64", same(vec![json!(i64::MIN + 1), json!(i64::MAX), json!(9_007_199_254_740_993_i64)])),
        ("float32", same(vec![json!(0.5), json!(-16777216.0), json!("Infinity")])),
        ("float64", same(vec![json!(0.1), json!(-1e15), json!("NaN")])),
        ("decimal(38, 10)", same(vec![json!("-1234567890123456789012345678.0123456789"), json!("0.0000000001"), json!("12.5000000000")])),
        ("date", same(vec![json!("1970-01-01"), json!("0001-12-31"), json!("9999-12-31")])),
        (
            "timestamp(us, UTC)",
            vec![
                (json!("2022-07-07T00:18:41.123456Z"), json!(1_657_153_121_123_456_i64)),
                (json!("1969-12-31T23:59:59.999999Z"), json!(-1)),
                (json!("2024-03-10T02:30:00-05:00"), json!(1_710_055_800_000_000_i64)),
            ],
        ),
        ("text", same(vec![json!("a/b=c%41 é 😀"), json!("it's \"so\""), json!(" blank\t\n")])),
    ]
}

/// The rows as they are written, and as they are to be read: each type's values, then a null, twice over.
fn rows(partition: Option<usize>) -> (String, Vec<Value>) {
    let (mut lines, mut expected) = (String::new(), Vec::new());
    for number in 0..8 {
        let (mut written, mut read) = (json!({ "number": number }), json!({ "number": number }));
        for (column, (_, values)) in types().into_iter().enumerate() {
            // One column in turn is shifted, so that partitions hold different rows.
            let at = if partition == Some(column) { number / 2 } else { number % 4 };
            let (from, to) = values.get(at).cloned().unwrap_or_default();
            written[format!("c{column}")] = from;
            read[format!("c{column}")] = to;
        }
        lines += &format!("{written}\n");
        expected.push(read);
    }
    (lines, expected)
}

fn check(partition: Option<usize>) {
    let workshop = Workshop::new();
    let (lines, mut expected) = rows(partition);
    workshop.write("data/a.jsonl", &lines);
    let mut schema: Vec<String> = types().iter().enumerate().map(|(column, (name, _))| format!("c{column}: \"{name}\"")).collect();
    schema.push("number: int64".to_owned());
    let partition_by = partition.map(|column| format!(", partition_by: [c{column}]")).unwrap_or_default();
    let pipeline = format!(
        "name: types\nsources:\n  rows: {{ files: {{ path: data/a.jsonl }}, schema: {{ {} }} }}\nsinks:\n  table: {{ from: rows, delta: {{ uri: out/table{partition_by} }} }}\n\
         dead_letters: {{ files: {{ path: out/dead, format: jsonl }} }}\n",
        schema.join(", ")
    );
    workshop.write("types.yaml", &pipeline);
    workshop.run_well(&["run", "types.yaml"]);
    assert_eq!(workshop.jsonl_rows("out/dead"), Vec::<Value>::new());
    let mut found = workshop.duckdb_rows("out/table");
    for rows in [&mut found, &mut expected] {
        rows.sort_by_key(|row| row["number"].as_u64());
    }
    assert_eq!(found, expected, "partitioned by {:?}", partition.map(|column| types()[column].0));
}

#[test]
fn values_of_every_type_are_read_by_a_reader_of_others() {
    check(None);
}

#[test]
fn partitions_of_every_type_are_read_by_a_reader_of_others() {
    (0..types().len()).for_each(|column| check(Some(column)));
}
