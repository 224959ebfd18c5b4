//! `wasmill table history|optimize|vacuum`.

use std::fmt::Write as _;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table as TextTable, presets};
use delta::{HistoryEntry, OptimizeOptions, Optimized, VacuumOptions, Vacuumed, history, optimize, vacuum};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use wasmill_engine::Result;

use super::checked::fail;
use super::table_arguments::{Output, TableArguments};
use crate::diagnostics::shorten;
use crate::document::Redactor;

/// Displays a Delta table's history, rewrites its small files, removes files that no version needs
#[derive(Debug, Args)]
pub struct Table {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Displays the versions of a table: time, operation, files, rows, writer
    #[command(after_help = "Example:\n  wasmill table history s3://lake/pin_table --limit 5")]
    History {
        #[command(flatten)]
        table: Named,
        /// How many versions are listed, the latest first
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// Rewrites small files into larger ones, in one version that changes no row
    ///
    /// Pipelines may write and read meanwhile: if another writer removes one of the files, the files are chosen again. Files with deleted rows (deletion
    /// vectors) are left alone. The old files stay until a vacuum.
    #[command(after_help = "Example:\n  wasmill table optimize out/pin_table --target-size 128MiB")]
    Optimize {
        #[command(flatten)]
        table: Named,
        /// About how large files should be; those smaller than three quarters of it are rewritten
        #[arg(long, default_value = "256MiB", value_name = "SIZE", value_parser = target_size)]
        target_size: ByteSize,
        /// Reports what would be done, and does nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Removes data files that no version of the last days needs
    ///
    /// The files of every version that was the latest at some moment within the retention time are
    /// kept, and all files written within it. The log, names that begin with `_` or `.`, uploads,
    /// and files other than .parquet are never touched. A pipeline that was stopped between two
    /// steps of a commit must be run again within the retention time.
    #[command(after_help = "Example:\n  wasmill table vacuum out/pin_table --keep 30d --dry-run")]
    Vacuum {
        #[command(flatten)]
        table: Named,
        /// How long versions stay readable after a newer one came; less than 1h needs --force
        #[arg(long, default_value = "7d", value_name = "TIME", value_parser = humantime::parse_duration)]
        keep: Duration,
        /// Allows less than 1h. Use it only where no process writes or reads the table
        #[arg(long)]
        force: bool,
        /// Reports what would be removed, and removes nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
struct Named {
    /// The table: a path or s3://bucket/prefix
    #[arg(value_name = "TABLE", value_hint = clap::ValueHint::DirPath)]
    table: String,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    reach: TableArguments,
}

fn target_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    match size >= ByteSize::kib(64) {
        true => Ok(size),
        false => Err("it must be at least 64KiB".to_owned()),
    }
}

impl Table {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        crate::logging::install(Redactor::default());
        let (Action::History { table, .. } | Action::Optimize { table, .. } | Action::Vacuum { table, .. }) = &self.action;
        let (output, address) = (table.output, table.reach.table(&table.table));
        let done = match &self.action {
            Action::History { limit, .. } => history(&address, *limit).map(|versions| shown(output, &versions, |all| render_versions(all))),
            Action::Optimize { target_size, dry_run, .. } => {
                let options = OptimizeOptions { target_bytes: target_size.as_u64(), dry_run: *dry_run };
                optimize(&address, &options).map(|done| shown(output, &done, |done| rewritten(done, *dry_run)))
            }
            Action::Vacuum { keep, force, dry_run, .. } => {
                let options = VacuumOptions { keep: *keep, force: *force, dry_run: *dry_run };
                vacuum(&address, &options).map(|done| shown(output, &done, |done| removed(done, *dry_run)))
            }
        };
        match done {
            Ok(text) => super::print(&text),
            Err(error) => fail(&error, &Redactor::default(), output == Output::Json),
        }
    }
}

fn shown<T: Serialize>(output: Output, value: &T, render: impl FnOnce(&T) -> String) -> String {
    match output {
        Output::Text => render(value),
        Output::Json => format!("{}\n", serde_json::json!(value)),
    }
}

fn render_versions(versions: &[HistoryEntry]) -> String {
    let mut table = TextTable::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["version", "time", "operation", "files", "rows", "who"]);
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    for entry in versions {
        let rows = entry.rows_added.map_or_else(|| "?".to_owned(), |rows| format!("+{}", HumanCount(rows)));
        let files = match entry.files_removed {
            0 => format!("+{}", entry.files_added),
            removed => format!("+{} -{removed}", entry.files_added),
        };
        let text = |text: &str| Cell::new(shorten(text, 120));
        let (version, time) = (right(entry.version.to_string()), text(&entry.time));
        table.add_row([version, time, text(&entry.operation), right(files), right(rows), text(&entry.who)]);
    }
    format!("{table}\n")
}

fn rewritten(done: &Optimized, dry_run: bool) -> String {
    let Optimized { files_removed, files_added, bytes_removed, bytes_added, rows, .. } = done;
    if *files_removed == 0 {
        return "nothing to do: no two small files fit into one\n".to_owned();
    }
    if dry_run {
        return format!("{files_removed} files ({}) would become {files_added}\n", HumanBytes(*bytes_removed));
    }
    format!(
        "version {}: {files_removed} files ({}) became {files_added} ({}), {} rows\n",
        done.version.unwrap_or_default(),
        HumanBytes(*bytes_removed),
        HumanBytes(*bytes_added),
        HumanCount(*rows)
    )
}

fn removed(done: &Vacuumed, dry_run: bool) -> String {
    let mut text = String::new();
    for file in &done.files {
        let _ = writeln!(text, "{}", shorten(file, 500));
    }
    let what = if dry_run { "would be removed" } else { "removed" };
    let files = if done.files.len() == 1 { "file" } else { "files" };
    let (count, bytes) = (HumanCount(done.files.len() as u64), HumanBytes(done.bytes));
    text + &format!("{count} {files} ({bytes}) {what}; versions from {} on are whole\n", done.oldest_version)
}
