//! Attacks in the encoding `columns`.

use serde_json::{Value, json};

use crate::attacks::{Attack, answer_of, processed_by};
use crate::memory::peak_bytes;
use crate::support::{columns_plugin, input, input_schema, opened, small_limits, stopping};
use crate::tables;

impl Attack {
    /// Answers with columns in the encoding `columns`, of these types, for so many rows that all come from row 0.
    fn made(name: &'static str, types: &'static [&'static str], rows: usize, columns: Value) -> Self {
        Self::made_apart(name, types, rows, ";", columns)
    }

    /// The same, with another separator.
    fn made_apart(name: &'static str, types: &'static [&'static str], rows: usize, separator: &'static str, columns: Value) -> Self {
        Self::new(name, move |_| {
            let limits = small_limits().with_output_bytes(1 << 20);
            processed_by(&columns_plugin(), &tables::made_answer(types, rows, separator, &columns), &limits)
        })
    }
}

/// Columns that are short for what they mean, or wrong in one way each.
pub fn attacks() -> Vec<Attack> {
    let json = |before: &str, text: &str, times: usize, after: &str| json!([{ "json": { "before": before, "text": text, "times": times, "after": after } }]);
    let text = |text: &str| json!([{ "text": { "text": text } }]);
    vec![
        Attack::made("made-list-of-ones", &["List(Int64)"], 1, json("[[1", ",1", 500_000, "]]")),
        Attack::made("made-list-of-empty-objects", &["List(Struct(\"a\": Int64, \"b\": Utf8))"], 1, json("[[{}", ",{}", 300_000, "]]")),
        Attack::made("made-list-of-blanks", &["List(Utf8)"], 1, json("[[\"\"", ",\"\"", 300_000, "]]")),
        Attack::made("made-nulls", &["Decimal128(38, 2)"], 100_000, json("[null", ",null", 99_999, "]")),
        Attack::made("made-blanks-between", &["Int64"], 1, json("[", " ", 1_000_000, "1]")),
        Attack::made("made-open-brackets", &["Int64"], 1, json("", "[", 1_000_000, "")),
        Attack::made("made-json-with-a-value-less", &["Int64"], 2, json("[", "1", 1, "]")),
        Attack::made("made-json-with-a-value-more", &["Int64"], 1, json("[1", ",1", 1, "]")),
        Attack::made("made-json-of-other-values", &["Int64"], 1, json("[", "\"1\"", 1, "]")),
        Attack::made("made-empty-texts", &["Utf8"], 100_000, json!([{ "text": { "text": ";", "times": 99_999 } }])),
        Attack::made("made-text-with-a-part-less", &["Utf8"], 3, text("a;b")),
        Attack::made("made-text-with-a-part-more", &["Utf8"], 1, text("a;b")),
        Attack::made("made-text-of-numbers", &["Int64"], 1, text("1")),
        Attack::made_apart("made-text-without-a-separator", &["Utf8"], 2, "", text("a;b")),
        Attack::made("made-texts-with-one-less", &["Utf8"], 2, json!([{ "texts": ["a"] }])),
        Attack::made("made-digits-that-are-none", &["Boolean"], 2, json!([{ "mask": { "text": "1x" } }])),
        Attack::made("made-digits-with-one-more", &["Boolean"], 1, json!([{ "mask": { "text": "10" } }])),
        Attack::made("made-nulls-with-one-less", &["Utf8"], 2, json!([{ "texts": ["a", "b"], "valid": { "text": "1" } }])),
        Attack::made("made-a-column-less", &["Utf8", "Utf8"], 1, text("a")),
        // The titles of the batch differ, so they cross as a text and not as a dictionary.
        Attack::made("made-values-of-no-dictionary", &["Utf8"], 1, json!([{ "spread": [1, { "text": "[]" }] }])),
        Attack::made("made-values-of-no-column", &["Utf8"], 1, json!([{ "spread": [7, { "text": "[]" }] }])),
        Attack::new("made-values-that-would-fill-memory", |_| values_that_would_fill_memory()),
        Attack::new("answer-in-the-other-encoding", |_| {
            let mut config = tables::made_answer(&["Utf8"], 1, ";", &json!([]));
            crate::support::merge(&mut config, json!({ "outputs": [{ "columns": tables::good_table(10) }] }));
            processed_by(&columns_plugin(), &config, &small_limits())
        }),
    ]
}

/// One long value for a text that every row has.
fn values_that_would_fill_memory() -> String {
    let values = json!({ "before": "[\"", "text": "x", "times": 100_000, "after": "\"]" });
    let config = tables::made_answer(&["Utf8"], 100_000, ";", &json!([{ "spread": [1, values] }]));
    let mut instance = opened(&columns_plugin(), &config, input_schema(), small_limits(), stopping()).unwrap().instance().unwrap();
    let titles = arrow_array::StringArray::from(vec!["same"; 10]);
    let batch = arrow_array::RecordBatch::try_new(input_schema(), vec![input(10).column(0).clone(), std::sync::Arc::new(titles)]).unwrap();
    let (answer, peak) = peak_bytes(|| instance.process(&batch));
    assert!(peak <= 4 * small_limits().output_bytes, "{peak}");
    answer.map_or_else(|error| answer_of(&error), |_| "it was taken".to_owned())
}
