//! The outcome of a case, and how it is shown.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use crate::answer::{Answer, ROWS_PER_CALL};
use crate::case::Case;
use crate::compare::{compare, compare_answers};
use crate::difference::{Difference, Line};
use crate::trial::{Trial, disagreement};

/// How many differences of one case are shown.
const MAX_SHOWN: usize = 20;

/// How a case went.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// The line where it begins, from 1.
    pub line: usize,
    /// What is wrong; nothing if the case passes.
    pub failures: Vec<Failure>,
}

/// What is wrong with the answer at some batch sizes.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The numbers of rows per call that gave this answer; empty: the result depends on how rows are cut and merged.
    pub rows_per_call: Vec<usize>,
    /// The number of rows per call whose answer it differs from; `None`: it differs from the case.
    pub unlike: Option<usize>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Runs a case with each of [`ROWS_PER_CALL`].
pub fn run_case(case: &Case, ask: impl FnMut(usize) -> Answer) -> CaseReport {
    let answers = answers(ask);
    let mut failures: Vec<Failure> = answers.iter().filter_map(|(sizes, answer)| against_case(case, sizes, answer)).collect();
    if let (true, Some(((first_sizes, first), others))) = (failures.is_empty(), answers.split_first()) {
        failures.extend(others.iter().map(|(sizes, answer)| Failure {
            rows_per_call: sizes.clone(),
            unlike: first_sizes.first().copied(),
            differences: compare_answers(first, answer),
        }));
    }
    CaseReport { name: case.name.clone(), file: case.file.clone(), line: case.line, failures }
}

/// Runs a case of an aggregate with each of [`ROWS_PER_CALL`], and then in random cuts, orders and merges of its rows, which have to give the
/// same. Where one does not, the report has the smallest one that was found.
pub fn run_aggregate_case(case: &Case, mut ask: impl FnMut(&Trial) -> Answer) -> CaseReport {
    let mut report = run_case(case, |rows_per_call| ask(&Trial::plain(case.rows(), rows_per_call)));
    if report.passed() {
        let differs = disagreement(case, &mut ask);
        report.failures.extend(differs.map(|difference| Failure {
            rows_per_call: Vec::new(),
            unlike: None,
            differences: vec![difference],
        }));
    }
    report
}

/// The answers, with equal ones grouped.
fn answers(mut ask: impl FnMut(usize) -> Answer) -> Vec<(Vec<usize>, Answer)> {
    let mut answers: Vec<(Vec<usize>, Answer)> = Vec::new();
    for rows_per_call in ROWS_PER_CALL {
        let answer = ask(rows_per_call);
        match answers.iter_mut().find(|(_, other)| answer.agrees_with(other)) {
            Some((sizes, _)) => sizes.push(rows_per_call),
            None => answers.push((vec![rows_per_call], answer)),
        }
    }
    answers
}

/// How many cases there were.
///
/// # Errors
/// Some fail: a text with all that is wrong.
pub fn verdict(reports: &[CaseReport]) -> Result<usize, String> {
    let failed: Vec<_> = reports.iter().filter(|report| !report.passed()).collect();
    if failed.is_empty() {
        return Ok(reports.len());
    }
    let shown =
        failed.iter().map(|report| format!("{} ({}:{})\n{}", report.name, report.file.display(), report.line, report.render(false)));
    Err(format!("{} of {} cases fail (- expected, + found)\n\n{}", failed.len(), reports.len(), shown.collect::<Vec<_>>().join("\n")))
}

fn against_case(case: &Case, sizes: &[usize], answer: &Answer) -> Option<Failure> {
    let differences = compare(&case.expected, answer);
    (!differences.is_empty()).then(|| Failure { rows_per_call: sizes.to_vec(), unlike: None, differences })
}

impl CaseReport {
    /// Whether the case passes.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The differences, for readers: `-` is what the case expects, `+` is what was found. Empty if
    /// the case passes.
    pub fn render(&self, coloured: bool) -> String {
        let paint = |code: &str, text: &str| if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
        let mut out = String::new();
        for failure in &self.failures {
            // Writing into a string can't fail.
            let mut line = |text: String| {
                let _ = writeln!(out, "{text}");
            };
            let everywhere = failure.rows_per_call.len() == ROWS_PER_CALL.len();
            match failure.unlike {
                Some(other) => line(format!("  with {}, unlike with {other} (-):", calls(&failure.rows_per_call))),
                None if !everywhere && !failure.rows_per_call.is_empty() => line(format!("  with {}:", calls(&failure.rows_per_call))),
                None => {}
            }
            for difference in failure.differences.iter().take(MAX_SHOWN) {
                line(format!("  {}", paint("1", &printable(&difference.place))));
                for part in &difference.lines {
                    match part {
                        Line::Expected(text) => line(paint("31", &format!("    - {}", printable(text)))),
                        Line::Found(text) => line(paint("32", &format!("    + {}", printable(text)))),
                        Line::Note(text) => line(format!("    {}", printable(text))),
                    }
                }
            }
            if let Some(more) = failure.differences.len().checked_sub(MAX_SHOWN).filter(|&more| more > 0) {
                line(format!("  … and {more} more differences"));
            }
        }
        out
    }
}

/// `1 and 7 rows a call`.
fn calls(sizes: &[usize]) -> String {
    let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
    let rows = if sizes == ["1"] { "row" } else { "rows" };
    format!("{} {rows} a call", sizes.join(" and "))
}

/// Escapes what would steer a terminal: values come from cases and plugins.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        let bidirectional = matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if char.is_control() || bidirectional { out.extend(char.escape_unicode()) } else { out.push(char) }
    }
    out
}
