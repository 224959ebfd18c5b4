//! Expressions on rows: values, types, and what is refused.

mod aggregates;
mod functions;
mod grouped;
mod model;
mod rows;
mod stage;
mod stages;
mod wrong;

use std::sync::{Arc, Mutex};

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::SchemaRef;

use crate::{Expression, Parsed, SqlProblem};

/// Posts: `ind` int64, `small` int32 not null, `likes` float64, `price` decimal(10, 2), `title` text, `Title` text, `ok` bool,
/// `timestamp` timestamp, `day` date, `_source.topic` text not null.
fn posts() -> RecordBatch {
    let prices = Decimal128Array::from(vec![Some(1050), None, Some(-25), Some(0)]).with_precision_and_scale(10, 2).unwrap();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("ind", Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(i64::MAX)])), true),
        ("small", Arc::new(Int32Array::from(vec![10, -20, 30, i32::MIN])), false),
        ("likes", Arc::new(Float64Array::from(vec![Some(0.5), Some(0.0), None, Some(-2.0)])), true),
        ("price", Arc::new(prices), true),
        ("title", Arc::new(StringArray::from(vec![Some("Plum"), Some("12"), None, Some("été")])), true),
        ("Title", Arc::new(StringArray::from(vec!["A", "B", "C", "D"])), true),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)])), true),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_767_323_045_000_006), Some(0), None, Some(-1)])), true),
        ("day", Arc::new(Date32Array::from(vec![Some(20_455), Some(0), None, Some(-1)])), true),
        ("_source.topic", Arc::new(StringArray::from(vec!["a", "a", "b", "b"])), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn expression(text: &str, schema: &SchemaRef) -> Result<Expression, Vec<SqlProblem>> {
    Expression::new(&Parsed::new(text).map_err(|problem| vec![problem])?, schema)
}

/// The values of a column as text.
fn texts(values: &ArrayRef) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(values, &options).unwrap();
    (0..values.len()).map(|row| formatter.value(row).to_string()).collect()
}

/// The values for all posts, `!code` where there is none.
fn computed(text: &str) -> Vec<String> {
    let posts = posts();
    let expression = expression(text, &posts.schema()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let evaluated = expression.evaluate(&posts).unwrap();
    let mut values = texts(&evaluated.values);
    assert_eq!(evaluated.values.data_type(), expression.data_type(), "{text}");
    for (row, failure) in evaluated.failed {
        assert_eq!(values[row], "NULL", "{text}");
        values[row] = format!("!{}", failure.code);
    }
    if !expression.is_nullable() {
        assert!(!values.contains(&"NULL".to_owned()), "{text} is null and says that it never is");
    }
    values
}

/// Holds a part of docs/sql.md against what it has to be; writes it with `BLESS=1`.
fn check_page(begin: &str, end: &str, expected: &str) {
    // Tests of other parts write the same file.
    static PAGE: Mutex<()> = Mutex::new(());
    let _alone = PAGE.lock();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(begin).unwrap();
    let (listed, after) = rest.split_once(end).unwrap();
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    assert!(listed == expected, "docs/sql.md is stale: BLESS=1 writes it");
}
