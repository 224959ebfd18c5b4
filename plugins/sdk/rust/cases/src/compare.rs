//! Compares a plugin's answer with the expectations of a case.

use std::collections::BTreeSet;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::answer::{Answer, FAULT_CODE, PortRows, Reject, Rows};
use crate::case::{Expected, ExpectedOutput, ExpectedRefusal, ExpectedReject};
use crate::difference::{Difference, Line};
use crate::rows::{self, Row, TextRow};

/// All that differs.
pub(crate) fn compare(expected: &Expected, answer: &Answer) -> Vec<Difference> {
    match (expected, answer) {
        (_, Answer::Mistaken(message)) => vec![Difference::note("input", message)],
        (_, Answer::Failed { message, log }) => {
            let mut lines = vec![Line::Note(message.clone())];
            lines.extend(log.iter().map(|line| Line::Note(format!("log: {line}"))));
            vec![Difference::new("the run failed", lines)]
        }
        (Expected::Refusal(expected), Answer::Refused { message, config_path, column }) => {
            refusal(expected, message, config_path.as_deref(), column.as_deref())
        }
        (Expected::Refusal(expected), Answer::Rows(rows)) => {
            let count: usize = rows.ports.iter().map(|port| port.rows.len()).sum();
            let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
            let found = format!("{} and {}", plural(count, "row"), plural(rows.rejects.len(), "reject"));
            vec![Difference::new("refusal", vec![Line::Expected(expected_refusal(expected)), Line::Found(found)])]
        }
        (Expected::Rows { .. }, Answer::Refused { message, config_path, column }) => {
            let found = shown_refusal(message, config_path.as_deref(), column.as_deref());
            vec![Difference::new("refusal", vec![Line::Expected("none".to_owned()), Line::Found(found)])]
        }
        (Expected::Rows { output, columns, rejects }, Answer::Rows(found)) => {
            let mut differences = ports(output, columns.as_deref(), found);
            differences.extend(compare_rejects(rejects, &found.rejects));
            differences
        }
    }
}

/// Where the answer at one batch size differs from that at another.
pub(crate) fn compare_answers(first: &Answer, second: &Answer) -> Vec<Difference> {
    let (Answer::Rows(first), Answer::Rows(second)) = (first, second) else { return Vec::new() };
    let mut differences = Vec::new();
    for (first, second) in first.ports.iter().zip(&second.ports) {
        table(&first.rows, second, None, &mut differences);
        if first.rows == second.rows && first.origins != second.origins {
            differences.push(Difference::note(format!("port {}", first.name), "the rows come from other input rows"));
        }
    }
    let expected: Vec<_> = first.rejects.iter().map(as_expected).collect();
    differences.extend(compare_rejects(&expected, &second.rejects));
    differences
}

fn refusal(expected: &ExpectedRefusal, message: &str, config_path: Option<&str>, column: Option<&str>) -> Vec<Difference> {
    let message_fits = expected.message_contains.as_deref().is_none_or(|part| message.contains(part));
    let fits = |expected: &Option<String>, found: Option<&str>| expected.is_none() || expected.as_deref() == found;
    if message_fits && fits(&expected.config_path, config_path) && fits(&expected.column, column) {
        return Vec::new();
    }
    let found = shown_refusal(message, config_path, column);
    vec![Difference::new("refusal", vec![Line::Expected(expected_refusal(expected)), Line::Found(found)])]
}

fn expected_refusal(expected: &ExpectedRefusal) -> String {
    let message = expected.message_contains.as_ref().map(|part| ("message_contains", part.as_str()));
    parts(message.into_iter().chain(place_parts(expected.config_path.as_deref(), expected.column.as_deref())))
}

fn shown_refusal(message: &str, config_path: Option<&str>, column: Option<&str>) -> String {
    parts([("message", message)].into_iter().chain(place_parts(config_path, column)))
}

fn place_parts<'a>(config_path: Option<&'a str>, column: Option<&'a str>) -> impl Iterator<Item = (&'static str, &'a str)> {
    config_path.map(|path| ("config_path", path)).into_iter().chain(column.map(|column| ("column", column)))
}

/// `{message: "…", column: "age"}`, or `any` if there are none.
fn parts<'a>(parts: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    let parts: Vec<_> = parts.map(|(name, value)| format!("{name}: {}", json(value))).collect();
    if parts.is_empty() { "any".to_owned() } else { format!("{{{}}}", parts.join(", ")) }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn ports(output: &ExpectedOutput, columns: Option<&[String]>, found: &Rows) -> Vec<Difference> {
    let mut differences = Vec::new();
    let names = || found.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
    match output {
        ExpectedOutput::OnePort(_) if found.ports.len() > 1 => {
            let note = format!("the plugin has the ports {}: give `output` as a map of ports", names());
            return vec![Difference::note("output", note)];
        }
        ExpectedOutput::Ports(ports) => {
            for (name, _) in ports.iter().filter(|(name, _)| !found.ports.iter().any(|port| port.name == *name)) {
                differences.push(Difference::note("output", format!("the plugin has no port `{name}`; it has {}", names())));
            }
        }
        _ => {}
    }
    for port in &found.ports {
        let expected: &[Row] = match output {
            ExpectedOutput::Nothing => &[],
            ExpectedOutput::OnePort(rows) => rows,
            ExpectedOutput::Ports(ports) => ports.iter().find(|(name, _)| *name == port.name).map_or(&[][..], |(_, rows)| rows),
        };
        compare_port(expected, columns, port, &mut differences);
    }
    differences
}

fn compare_port(expected: &[Row], columns: Option<&[String]>, port: &PortRows, differences: &mut Vec<Difference>) {
    for column in columns.into_iter().flatten().filter(|column| port.schema.fields().find(column).is_none()) {
        differences.push(Difference::note(format!("port {}", port.name), format!("it has no column `{column}`")));
    }
    // Read with the types of the output, so that a time or a number may be written in any way that means the same.
    let expected = rows::to_batch(expected, &rows::nullable(&port.schema)).and_then(|batch| rows::to_text(&batch));
    match expected {
        Ok(expected) => table(&expected, port, columns, differences),
        Err(error) => differences.push(Difference::note(format!("the expected output of port {}", port.name), error)),
    }
}

/// Compares rows in order. A row that was changed is shown by its columns, one that is missing or new as a whole.
fn table(expected: &[TextRow], port: &PortRows, columns: Option<&[String]>, differences: &mut Vec<Difference>) {
    let names: Vec<&str> = port.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let compared: Vec<usize> =
        (0..names.len()).filter(|&index| columns.is_none_or(|columns| columns.iter().any(|column| column == names[index]))).collect();
    let kept = |row: &TextRow| -> TextRow { compared.iter().filter_map(|&index| row.get(index).cloned()).collect() };
    let names: Vec<&str> = compared.iter().map(|&index| names[index]).collect();
    let old: Vec<TextRow> = expected.iter().map(kept).collect();
    let new: Vec<TextRow> = port.rows.iter().map(kept).collect();
    for operation in capture_diff_slices(Algorithm::Myers, &old, &new) {
        if let DiffOp::Equal { .. } = operation {
            continue;
        }
        let (expected, found) = (operation.old_range(), operation.new_range());
        let pairs = expected.len().min(found.len());
        for (old_index, new_index) in expected.clone().zip(found.clone()) {
            let lines = changed_columns(&names, &old[old_index], &new[new_index]);
            differences.push(Difference::new(row_place(port, new_index), lines));
        }
        for index in expected.skip(pairs) {
            let place = format!("port {}, missing row {index}", port.name);
            differences.push(Difference::new(place, vec![Line::Expected(whole_row(&names, &old[index]))]));
        }
        for index in found.skip(pairs) {
            differences.push(Difference::new(row_place(port, index), vec![Line::Found(whole_row(&names, &new[index]))]));
        }
    }
}

fn row_place(port: &PortRows, index: usize) -> String {
    match port.origins.get(index) {
        Some(origin) => format!("port {}, row {index} (from input row {origin})", port.name),
        None => format!("port {}, row {index}", port.name),
    }
}

fn changed_columns(names: &[&str], expected: &TextRow, found: &TextRow) -> Vec<Line> {
    let pairs = names.iter().zip(expected.iter().zip(found)).filter(|(_, (expected, found))| expected != found);
    pairs
        .flat_map(|(name, (expected, found))| [Line::Expected(format!("{name}: {expected}")), Line::Found(format!("{name}: {found}"))])
        .collect()
}

/// A row without its nulls.
fn whole_row(names: &[&str], row: &TextRow) -> String {
    let members = names.iter().zip(row).filter(|(_, value)| *value != "null").map(|(name, value)| format!("{name}: {value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

fn as_expected(reject: &Reject) -> ExpectedReject {
    // The words of a fault may differ from run to run.
    let message = (reject.code != FAULT_CODE).then(|| reject.message.clone());
    ExpectedReject { row: reject.row, code: reject.code.clone(), column: reject.column.clone(), message, message_contains: None }
}

fn compare_rejects(expected: &[ExpectedReject], found: &[Reject]) -> Vec<Difference> {
    let rows: BTreeSet<usize> = expected.iter().map(|reject| reject.row).chain(found.iter().map(|reject| reject.row)).collect();
    let difference = |row: usize| {
        let expected = expected.iter().find(|reject| reject.row == row);
        let found = found.iter().find(|reject| reject.row == row);
        let lines = match (expected, found) {
            (Some(expected), Some(found)) => changed_reject(expected, found),
            (Some(expected), None) => vec![Line::Expected(expected_reject(expected))],
            (None, Some(found)) => vec![Line::Found(shown_reject(found))],
            (None, None) => Vec::new(),
        };
        (!lines.is_empty()).then(|| Difference::new(format!("reject of input row {row}"), lines))
    };
    rows.into_iter().filter_map(difference).collect()
}

fn expected_reject(reject: &ExpectedReject) -> String {
    let column = reject.column.as_deref().map(|column| ("column", column));
    parts([("code", reject.code.as_str())].into_iter().chain(column))
}

fn shown_reject(reject: &Reject) -> String {
    let column = reject.column.as_deref().map(|column| ("column", column));
    parts([("code", reject.code.as_str())].into_iter().chain(column).chain([("message", reject.message.as_str())]))
}

fn changed_reject(expected: &ExpectedReject, found: &Reject) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut pair = |name: &str, expected: &str, found: &str| {
        lines.extend([
            Line::Expected(format!("{name}: {expected}")),
            Line::Found(format!("{}: {found}", name.trim_end_matches("_contains"))),
        ]);
    };
    if expected.code != found.code {
        pair("code", &json(&expected.code), &json(&found.code));
    }
    if expected.column.is_some() && expected.column != found.column {
        let shown = |column: &Option<String>| column.as_deref().map_or_else(|| "none".to_owned(), json);
        pair("column", &shown(&expected.column), &shown(&found.column));
    }
    if let Some(message) = expected.message.as_ref().filter(|message| **message != found.message) {
        pair("message", &json(message), &json(&found.message));
    }
    if let Some(part) = expected.message_contains.as_ref().filter(|part| !found.message.contains(*part)) {
        pair("message_contains", &json(part), &json(&found.message));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn answer(rows: &[&str], rejects: &[(usize, &str, &str)]) -> Answer {
        let schema = Arc::new(Schema::new(vec![Field::new("ind", DataType::Int64, true)]));
        let rows: Vec<TextRow> = rows.iter().map(|value| vec![(*value).to_owned()]).collect();
        let reject =
            |&(row, code, message): &(usize, &str, &str)| Reject { row, code: code.to_owned(), column: None, message: message.to_owned() };
        let origins = (0..rows.len()).collect();
        let ports = vec![PortRows { name: "out".to_owned(), schema, rows, origins }];
        Answer::Rows(Rows { ports, rejects: rejects.iter().map(reject).collect() })
    }

    #[test]
    fn an_answer_that_depends_on_the_batch_size_is_a_difference() {
        let (first, second) = (answer(&["1", "2"], &[]), answer(&["1"], &[(1, "seen-before", "2")]));
        assert!(!first.agrees_with(&second));
        let places: Vec<_> = compare_answers(&first, &second).into_iter().map(|difference| difference.place).collect();
        assert_eq!(places, ["port out, missing row 1", "reject of input row 1"]);
        assert!(compare_answers(&first, &first).is_empty());
    }

    #[test]
    fn the_words_of_a_fault_may_differ_and_those_of_a_reject_may_not() {
        let fault = |message| answer(&[], &[(0, "plugin-fault", message)]);
        assert!(fault("0.1 s").agrees_with(&fault("0.2 s")));
        assert!(!fault("").agrees_with(&answer(&[], &[(0, "bad-number", "")])));
        let reject = |message| answer(&[], &[(0, "bad-number", message)]);
        assert!(!reject("a").agrees_with(&reject("b")));
        assert_eq!(compare_answers(&reject("a"), &reject("b")).len(), 1);
    }

    #[test]
    fn rows_are_aligned_before_they_are_compared() {
        let Answer::Rows(found) = answer(&["1", "3", "5"], &[]) else { panic!("no rows") };
        let row = |value: i64| [("ind".to_owned(), value.into())].into_iter().collect::<Row>();
        let expected = ExpectedOutput::OnePort(vec![row(1), row(2), row(3), row(4)]);
        let shown: Vec<_> = ports(&expected, None, &found).into_iter().map(|difference| (difference.place, difference.lines)).collect();
        let missing = ("port out, missing row 1".to_owned(), vec![Line::Expected("{ind: 2}".to_owned())]);
        let changed =
            ("port out, row 2 (from input row 2)".to_owned(), vec![Line::Expected("ind: 4".to_owned()), Line::Found("ind: 5".to_owned())]);
        assert_eq!(shown, [missing, changed]);
    }
}
