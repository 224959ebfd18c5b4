//! How columns map to a table, and which differences are reported.

use super::*;

fn schema(fields: Vec<Field>) -> Schema {
    Schema::new(fields)
}

#[test]
fn columns_become_what_delta_has() {
    let item = Arc::new(Field::new("item", DataType::LargeUtf8, true));
    let mapped = TableSchema::new(
        &schema(vec![
            Field::new("a", DataType::UInt32, false),
            Field::new("b", DataType::UInt64, true),
            Field::new("c", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
            Field::new("d", DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), true),
            Field::new("e", DataType::LargeList(item), true),
            Field::new("f", DataType::Date32, true),
            Field::new("g", DataType::Date64, true),
        ]),
        &[],
    )
    .unwrap();
    let types: Vec<String> = mapped.delta.fields().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["long", "decimal(20,0)", "timestamp", "string", "array<string>", "date", "timestamp"]);
    assert!(mapped.json.starts_with(r#"{"type":"struct","fields":[{"name":"a","type":"long","nullable":false"#), "{}", mapped.json);
}

#[test]
fn everything_that_can_not_be_held_is_reported_at_once() {
    let error = TableSchema::new(
        &schema(vec![
            Field::new("nothing", DataType::Null, true),
            Field::new("wait", DataType::Duration(TimeUnit::Second), true),
            Field::new("two words", DataType::Int32, true),
            Field::new("Twice", DataType::Int32, true),
            Field::new("twice", DataType::Int32, true),
            Field::new("big", DataType::Decimal256(50, 2), true),
        ]),
        &["nowhere".to_owned()],
    )
    .unwrap_err();
    for part in [
        "`nothing` is always null",
        "`wait` is",
        "`two words` has ' '",
        "`Twice` and `twice` differ only by their case",
        "decimal(50, 2)",
        "`nowhere`",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

#[test]
fn names_inside_of_columns_follow_the_rules_of_columns() {
    let whole = |name: &str| Field::new(name, DataType::Int64, true);
    let group = |name: &str, fields: Vec<Field>| Field::new(name, DataType::Struct(fields.into()), true);
    let entries = group("entries", vec![Field::new("key", DataType::Utf8, false), group("value", vec![whole("tab\there")])]);
    let columns = schema(vec![
        group("o", vec![whole("name"), whole("Name")]),
        group("a", vec![whole("b c"), whole("")]),
        Field::new("l", DataType::List(Arc::new(group("item", vec![whole("x(y)")]))), true),
        Field::new("m", DataType::Map(Arc::new(entries.with_nullable(false)), false), true),
        group("fine", vec![whole("name"), whole("o")]),
        group("deep", vec![group("o", vec![whole("é"), whole("É")])]),
    ]);
    let error = TableSchema::new(&columns, &[]).unwrap_err();
    assert_eq!(error.class(), wasmill_engine::Class::Configuration);
    for part in [
        "`o.name` and `o.Name` differ only by their case",
        "`a.b c` has ' ' in its name",
        "a field of `a` has no name",
        "`l.element.x(y)` has '(' in its name",
        "`m.value.tab\there` has '\\t' in its name",
        "`deep.o.é` and `deep.o.É` differ only by their case",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert!(!error.message().contains("fine"), "{error}");
}

#[test]
fn partition_columns_are_simple_and_leave_data() {
    let columns = schema(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Binary, true)]);
    let refused = |by: &[&str]| TableSchema::new(&columns, &by.iter().map(|&c| c.to_owned()).collect::<Vec<_>>()).is_err();
    assert!(!refused(&["a"]));
    assert!(refused(&["b"]));
    assert!(refused(&["a", "b"]));
}

#[test]
fn differences_are_found_at_every_depth_and_order_is_none() {
    let table = TableSchema::new(
        &schema(vec![
            Field::new("s", DataType::Struct(vec![Field::new("x", DataType::Int32, false)].into()), true),
            Field::new("a", DataType::Int64, true),
            Field::new("gone", DataType::Utf8, true),
        ]),
        &[],
    )
    .unwrap();
    let pipeline = TableSchema::new(
        &schema(vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("s", DataType::Struct(vec![Field::new("x", DataType::Int32, true)].into()), true),
            Field::new("new", DataType::Date32, true),
        ]),
        &["a".to_owned()],
    )
    .unwrap();
    let reported: Vec<String> = differences(&table.delta, &table.partition_by, &pipeline).iter().map(ToString::to_string).collect();
    assert_eq!(
        reported,
        [
            "`a` is int64 in the table and text in the pipeline",
            "`s.x` may be null in the pipeline but not in the table",
            "the table has no column `new` (date)",
            "the table has a column `gone` (text) that the pipeline does not write",
            "the table is partitioned by [], the pipeline by [a]",
        ]
    );
    let same = TableSchema::new(&schema(vec![Field::new("a", DataType::Int64, false)]), &[]).unwrap();
    let wider = TableSchema::new(&schema(vec![Field::new("a", DataType::Int64, true)]), &[]).unwrap();
    assert!(differences(&wider.delta, &[], &same).is_empty(), "a column without nulls fits one that allows them");
}
