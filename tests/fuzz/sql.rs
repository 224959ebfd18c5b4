//! Expressions in SQL: any text is one or says why not; a row comes out as it does alone, as a value or as a reject. A text that is an
//! aggregate comes out of any cut of the rows as it does of all.

use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use wasmill_engine::{Stage, StageOutput};
use wasmill_sql::{Aggregate, Aggregates, Parsed, ParsedAggregate, Select};

use crate::campaign::Target;
use crate::random::Random;

pub struct Sql;

static ROWS: LazyLock<RecordBatch> = LazyLock::new(|| {
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("a", Arc::new(Int64Array::from(vec![Some(1), Some(i64::MAX), Some(0), None])), true),
        ("b", Arc::new(Int64Array::from(vec![Some(0), Some(-1), Some(7), Some(2)])), true),
        ("f", Arc::new(Float64Array::from(vec![Some(0.0), Some(1e300), None, Some(-2.5)])), true),
        ("t", Arc::new(StringArray::from(vec![Some("12"), Some("é%"), None, Some("")])), true),
        ("c", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)])), true),
        ("u", Arc::new(TimestampMicrosecondArray::from(vec![Some(0), Some(i64::MAX), None, Some(1_767_323_045_000_006)])), true),
        ("_source.topic", Arc::new(StringArray::from(vec!["x", "y", "x", "y"])), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
});

fn computed(stage: &Select, rows: &RecordBatch) -> Result<StageOutput, String> {
    let mut instance = stage.open(0).map_err(|error| error.to_string())?;
    instance.process(rows).map_err(|error| format!("the run stops: {error}"))
}

/// Why two results differ without a mistake: floats are rounded in another order.
fn rounds(results: &RecordBatch) -> bool {
    results.columns().iter().any(|column| column.data_type().is_floating() || column.data_type().is_nested())
}

/// The result of the rows at once, and of two parts that are merged.
fn aggregated(text: &str, letters: impl Fn(&str) -> String) -> Result<Option<String>, String> {
    let parsed = match ParsedAggregate::new(text) {
        Ok(parsed) => parsed,
        Err(problem) if problem.span.end > text.chars().count() => return Err(format!("{problem:?} is beyond the text")),
        Err(_) => return Ok(None),
    };
    let plan = match Aggregates::new(&[("x".to_owned(), parsed)], &ROWS.schema()) {
        Ok(plan) => plan,
        Err(problems) => return Ok(Some(problems.first().map_or_else(String::new, |(_, problem)| letters(&problem.message)))),
    };
    let stops = |error: wasmill_engine::Error| format!("{text:?}: the run stops: {error}");
    let rows = ROWS.project(plan.columns()).map_err(|error| error.to_string())?;
    let mut whole = plan.open(0).map_err(stops)?;
    let rejects = whole.update(&rows, &[0, 1, 0, 1], 2).map_err(stops)?;
    let mut merged = plan.open(0).map_err(stops)?;
    let mut parts = 0;
    for cut in [2..4, 0..2] {
        let mut part = plan.open(0).map_err(stops)?;
        parts += part.update(&rows.slice(cut.start, cut.len()), &[0, 1], 2).map_err(stops)?.len();
        let state = part.take_state().map_err(stops)?;
        let groups = state.groups.unwrap_or_else(|| vec![0, 1]);
        merged.merge(&state.records, &groups, 2).map_err(stops)?;
    }
    if parts != rejects.len() {
        return Err(format!("{text:?}: {parts} rejects of parts, {} of all", rejects.len()));
    }
    match (whole.finish(), merged.finish()) {
        (Ok(whole), Ok(merged)) if whole.records == merged.records || rounds(&whole.records) => {
            Ok(Some(format!("aggregate {}", whole.records.schema().field(0).data_type())))
        }
        (Err(whole), Err(_)) => Ok(Some(letters(whole.message()))),
        (whole, merged) => Err(format!("{text:?} is {whole:?} at once and {merged:?} in parts")),
    }
}

impl Target for Sql {
    const NAME: &'static str = "sql";
    const DICTIONARY: &'static [&'static str] = &[
        "a",
        "b",
        "f",
        "t",
        "c",
        "u",
        "\"_source.topic\"",
        "_source.topic",
        "1",
        "-1",
        "0",
        "1.5",
        "1e3",
        "9223372036854775807",
        "''",
        "'12'",
        "NULL",
        "TRUE",
        " + ",
        " - ",
        " * ",
        " / ",
        " % ",
        " || ",
        " = ",
        " <> ",
        " >= ",
        " ~ ",
        " AND ",
        " OR ",
        "NOT ",
        " IS NULL",
        " IS DISTINCT FROM ",
        " IN (",
        " BETWEEN ",
        " LIKE '",
        "CASE WHEN ",
        " THEN ",
        " ELSE ",
        " END",
        "CAST(",
        " AS BIGINT)",
        " AS DECIMAL(10, 2))",
        "::TEXT",
        "TRY_CAST(",
        "INTERVAL '1 month'",
        "DATE '",
        "TIMESTAMP '2026-01-02'",
        " AT TIME ZONE 'UTC'",
        "extract(month from ",
        "coalesce(",
        "nullif(",
        "substr(",
        "upper(",
        "round(",
        "date_trunc('week', ",
        "to_char(",
        "regexp_like(",
        "count(*)",
        "count(DISTINCT ",
        "sum(",
        "avg(",
        "max(",
        "median(",
        "mode(",
        "array_agg(",
        "max_by(a, ",
        "bool_or(",
        "bit_xor(",
        "approx_distinct(",
        "var_pop(",
        "corr(a, ",
        "percentile_disc(0.5) WITHIN GROUP (ORDER BY ",
        " FILTER (WHERE c)",
        " OVER (",
        "(",
        ")",
        ",",
        "[",
        "--",
        "/*",
        "$1",
        "?",
        "\u{0}",
        "é",
    ];

    fn check(input: &[u8]) -> Result<String, String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok("not UTF-8".to_owned()) };
        let letters = |message: &str| message.chars().filter(|letter| letter.is_alphabetic()).take(30).collect::<String>();
        if let Some(class) = aggregated(text, letters)? {
            return Ok(class);
        }
        let parsed = match Parsed::new(text) {
            Ok(parsed) => parsed,
            Err(problem) if problem.span.end > text.chars().count() => return Err(format!("{problem:?} is beyond the text")),
            Err(problem) => return Ok(letters(&problem.message)),
        };
        let stage = match Select::new(&[("x".to_owned(), parsed)], &ROWS.schema()) {
            Ok(stage) => stage,
            Err(problems) => return Ok(problems.first().map_or_else(String::new, |(_, problem)| letters(&problem.message))),
        };
        let whole = computed(&stage, &ROWS)?;
        let mut next = 0;
        for row in 0..ROWS.num_rows() {
            let alone = computed(&stage, &ROWS.slice(row, 1))?;
            let reject = whole.rejects.iter().find(|reject| reject.row as usize == row);
            match (reject, alone.rejects.first()) {
                (None, None) if whole.outputs[0].records.slice(next, 1) == alone.outputs[0].records => next += 1,
                (Some(reject), Some(same)) if reject.code == same.code => {}
                (reject, same) => return Err(format!("{text:?}: row {row} is {reject:?} among others and {same:?} alone")),
            }
        }
        Ok(format!("{} {:?}", stage.schema().field(0).data_type(), whole.rejects.iter().map(|reject| &reject.code).collect::<Vec<_>>()))
    }

    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        if random.below(3) == 0 {
            let (first, second) = (number(random, 2), number(random, 2));
            let call = ["sum", "avg", "min", "median", "mode", "stddev", "array_agg", "approx_distinct", "count"][random.below(9) as usize];
            let text = format!("{call}({first}) FILTER (WHERE {second} > 1)");
            return ParsedAggregate::new(&text).map(|_| text.clone().into_bytes()).map_err(|problem| format!("{text}: {problem:?}"));
        }
        let text = number(random, 4);
        Parsed::new(&text).map(|_| text.clone().into_bytes()).map_err(|problem| format!("{text}: {problem:?}"))
    }

    fn memory(bytes: usize) -> usize {
        (64 << 20) + 100_000 * bytes
    }
}

/// An expression that is a number.
fn number(random: &mut Random, depth: u64) -> String {
    if depth == 0 {
        return ["a", "b", "f", "-3", "1.5", "2e1"][random.below(6) as usize].to_owned();
    }
    let (first, second) = (number(random, depth - 1), number(random, depth - 1));
    match random.below(6) {
        0 => format!("({first} + {second})"),
        1 => format!("({first} / {second})"),
        2 => format!("CASE WHEN {first} > {second} THEN {first} ELSE {second} END"),
        3 => format!("coalesce({first}, {second})"),
        4 => format!("CAST(CAST({first} AS TEXT) AS DOUBLE)"),
        _ => format!("abs({first} * {second})"),
    }
}
