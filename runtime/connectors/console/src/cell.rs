//! A value as one line of harmless text.

use arrow_array::Array;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;

/// The longest text of a cell, in characters: no terminal is wider.
const MAX_CHARS: usize = 400;

/// How times and nulls read inside of nested values.
pub(super) fn format_options() -> FormatOptions<'static> {
    FormatOptions::new().with_null("null").with_display_error(true)
}

/// The text of a value; none for null.
pub(super) fn cell(column: &dyn Array, formatter: &ArrayFormatter<'_>, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    let text = harmless(&formatter.value(row).to_string());
    // What could be taken for no value is quoted.
    let text = if is_text(column.data_type()) && matches!(text.as_str(), "" | "null") { format!("\"{text}\"") } else { text };
    Some(text)
}

/// Whether numbers of this type are right-aligned.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// `text` with everything escaped that a terminal would interpret, or that would disguise the line;
/// truncated where it is long.
pub(super) fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(MAX_CHARS * 4));
    for (count, c) in text.chars().enumerate() {
        if count == MAX_CHARS {
            safe.push('…');
            break;
        }
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if c.is_control() || reorders(c) => safe.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => safe.push(c),
        }
    }
    safe
}

/// Characters that change the direction of their neighbours, break lines, or are invisible.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::*;

    #[test]
    fn nothing_reaches_the_terminal() {
        assert_eq!(harmless("a\x1b[31mred\x07\u{9b}2J\u{202e}x\n"), "a\\u{1b}[31mred\\u{7}\\u{9b}2J\\u{202e}x\\n");
        assert_eq!(harmless("Cote d'Ivoire é 🎉"), "Cote d'Ivoire é 🎉");
        assert_eq!(harmless(&"x".repeat(1_000_000)).chars().count(), MAX_CHARS + 1);
    }

    #[test]
    fn no_value_differs_from_every_text() {
        let column = StringArray::from(vec![None, Some("null"), Some(""), Some("x")]);
        let options = format_options();
        let formatter = ArrayFormatter::try_new(&column, &options).unwrap();
        let cells: Vec<Option<String>> = (0..4).map(|row| cell(&column, &formatter, row)).collect();
        assert_eq!(cells, [None, Some("\"null\"".into()), Some("\"\"".into()), Some("x".into())]);
    }
}
