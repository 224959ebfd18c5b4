//! `wasmill diff`.

use std::fmt::Write as _;

use clap::Args;
use delta::{ChangedRow, DiffOptions, Difference, Side, diff};
use indicatif::HumanCount;
use serde_json::Value;

use super::checked::fail;
use super::table_arguments::{Output, TableArguments};
use crate::diagnostics::shorten;
use crate::document::Redactor;
use crate::exit;

/// A cell or row is printed up to this many characters; `--output json` prints all.
const SHOWN_CHARS: usize = 500;

/// Compares the rows of two Delta tables: exit status 0 if they are equal, 1 if not
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmill diff out/pin_table other/pin_table\n  wasmill diff out/pin_table s3://lake/pin_table --key ind\n  wasmill diff out/pin_table out/pin_table --left-version 3 --ignore loaded_at\n\nWhole rows are compared, each as often as it occurs; with --key, rows of the same key. The order of rows and columns does not matter; NaN equals NaN. The temporary folder ($TMPDIR) takes 32 bytes per row and table; memory takes about 50 MB and a quarter of a byte per row. Rows are compared by the columns that both tables have with the same type; another column or type is a difference of its own.\n\nExit status: 0 equal, 1 different, 2 and above: the tables could not be compared."
)]
pub struct Diff {
    /// The first table: a path or s3://bucket/prefix
    #[arg(value_name = "LEFT", value_hint = clap::ValueHint::DirPath)]
    left: String,
    /// The second table
    #[arg(value_name = "RIGHT", value_hint = clap::ValueHint::DirPath)]
    right: String,
    /// The columns that identify rows, separated by commas: rows of the same key are compared cell by cell
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    key: Vec<String>,
    /// A column that is not compared. May be given more than once
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
    /// How many rows of each kind are shown; all are counted
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    limit: u64,
    /// The version of the first table; default: the latest
    #[arg(long, value_name = "N")]
    left_version: Option<u64>,
    /// The version of the second table; default: the latest
    #[arg(long, value_name = "N")]
    right_version: Option<u64>,
    /// How to print what differs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    reach: TableArguments,
}

impl Diff {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        crate::logging::install(Redactor::default());
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let versions = [self.left_version, self.right_version];
        let options = DiffOptions { key: self.key, ignore: self.ignore, limit, versions };
        let found = diff(&self.reach.table(&self.left), &self.reach.table(&self.right), &options);
        let found = match found {
            Ok(found) => found,
            Err(error) => return fail(&error, &Redactor::default(), self.output == Output::Json),
        };
        let text = match self.output {
            Output::Json => format!("{}\n", serde_json::json!(found)),
            Output::Text => render(&found),
        };
        match super::print(&text) {
            exit::OK if found.equal => exit::OK,
            exit::OK => exit::DIFFERENT,
            status => status,
        }
    }
}

fn render(found: &Difference) -> String {
    let mut text = String::new();
    let side = |text: &mut String, sign: &str, side: &Side| {
        let _ = writeln!(text, "{sign} {} (version {}, {} rows)", side.table, side.version, HumanCount(side.rows));
    };
    side(&mut text, "---", &found.left);
    side(&mut text, "+++", &found.right);
    for column in &found.columns {
        let name = shorten(&column.column, 80);
        let _ = match (&column.left, &column.right) {
            (Some(left), Some(right)) => writeln!(text, "~ column {name}: {left} -> {right}; it is not compared"),
            (Some(left), None) => writeln!(text, "- column {name}: {left}"),
            (None, right) => writeln!(text, "+ column {name}: {}", right.as_deref().unwrap_or_default()),
        };
    }
    found.changed.iter().for_each(|row| changed(&mut text, row));
    more(&mut text, "changed", found.rows_changed, found.changed.len());
    for (sign, rows) in [("-", &found.only_left), ("+", &found.only_right)] {
        for row in rows {
            let _ = writeln!(text, "{sign} {}", shorten(&row.to_string(), SHOWN_CHARS));
        }
        let (what, count) =
            if sign == "-" { ("only on the left", found.rows_only_left) } else { ("only on the right", found.rows_only_right) };
        more(&mut text, what, count, rows.len());
    }
    text + &summary(found)
}

fn changed(text: &mut String, row: &ChangedRow) {
    let key = Value::Object(row.key.clone()).to_string();
    let _ = writeln!(text, "~ {}", shorten(&key, SHOWN_CHARS));
    for cell in &row.cells {
        let [left, right] = [&cell.left, &cell.right].map(|value| shorten(&value.to_string(), SHOWN_CHARS));
        let _ = writeln!(text, "    {}: {left} -> {right}", shorten(&cell.column, 80));
    }
}

fn more(text: &mut String, what: &str, count: u64, shown: usize) {
    let rest = count.saturating_sub(shown as u64);
    if rest > 0 {
        let _ = writeln!(text, "  … and {} more {what}", HumanCount(rest));
    }
}

fn summary(found: &Difference) -> String {
    let count = HumanCount;
    let mut text = match found.equal {
        true => format!("equal: {} rows\n", count(found.rows_in_both)),
        false => format!(
            "different: {} rows in both, {} changed, {} only on the left, {} only on the right; {} columns differ\n",
            count(found.rows_in_both),
            count(found.rows_changed),
            count(found.rows_only_left),
            count(found.rows_only_right),
            found.columns.len()
        ),
    };
    if found.keys_repeated > 0 {
        let _ = writeln!(text, "note: {} keys occur more than once in a table", count(found.keys_repeated));
    }
    text
}
