//! The page: one file of HTML that loads nothing.

use indicatif::{HumanBytes, HumanCount};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::chart::Chart;
use super::profile::{ColumnProfile, Kept, TableProfile};
use super::rejects::{RejectKind, Rejects};
use super::{Report, SinkTable};
use crate::diagnostics::shorten;
use crate::run::{Outcome, RunFacts};

const STYLE: &str = include_str!("page.css");
/// A browser that follows it loads nothing from anywhere, whatever the rows hold.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// So many characters of a value are shown.
const VALUE_CHARS: usize = 80;
/// So many of a record.
const RECORD_CHARS: usize = 600;
const COMMONEST: usize = 5;

/// A report as a page.
pub fn page(report: &Report) -> String {
    let title = format!("{} – Wasmill report", report.pipeline);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (report.pipeline) }
                p.soft { "A " (report.mode) " pipeline; what its places hold at " (report.made) ". Written by Wasmill " (env!("CARGO_PKG_VERSION")) "." }
                nav {
                    ul {
                        li { a href="#run" { "The last run" } }
                        li { a href="#rejects" { "Rejects" } }
                        @for (index, table) in report.tables.iter().enumerate() {
                            li { a href=(format!("#table-{index}")) { (table.name) } }
                        }
                    }
                }
                (run(report))
                (rejects(report.rejects.as_ref()))
                @for (index, table) in report.tables.iter().enumerate() { (sink(index, table)) }
            }
        }
    };
    page.into_string()
}

fn run(report: &Report) -> Markup {
    let counts = report.run.as_ref().and_then(|run| run.summary.as_ref()).and_then(|summary| summary["nodes"].as_array());
    let counts_of = |kind: &str, name: &str| {
        let is_it = |node: &&Value| node["kind"] == kind && node["name"] == name;
        counts.and_then(|nodes| nodes.iter().find(is_it)).map(|node| &node["counts"])
    };
    let titles = [
        ("rows_in", "rows in"),
        ("rows_added", "added"),
        ("rows_out", "out"),
        ("rows_rejected", "rejected"),
        ("rows_filtered", "filtered"),
        ("rows_aggregated", "aggregated"),
    ];
    html! {
        h2 id="run" { "The last run" }
        @match &report.run {
            None => p { "The state has no run that ended." },
            Some(facts) => (outcome(facts)),
        }
        div.scroll { table {
            thead { tr {
                th { "" } th { "name" }
                @for (_, title) in titles { th.number { (title) } }
                th.number { "time, s" }
            } }
            tbody { @for node in &report.nodes {
                @let counts = counts_of(node.kind, &node.name);
                tr {
                    td.soft.name { (node.kind) } td { (node.name) " " div.soft { (node.what) } }
                    @for (key, _) in titles { td.number { @if let Some(count) = counts.and_then(|counts| counts[key].as_u64()) { (HumanCount(count)) } } }
                    td.number { @if let Some(time) = counts.and_then(|counts| counts["time"].as_f64()) { (format!("{time:.2}")) } }
                }
            } }
        } }
    }
}

fn outcome(facts: &RunFacts) -> Markup {
    let (class, word) = match facts.outcome {
        Outcome::Finished => ("good", "finished"),
        Outcome::Stopped => ("good", "stopped"),
        Outcome::Failed => ("bad", "failed"),
    };
    let summary = facts.summary.as_ref();
    let bytes = summary
        .and_then(|summary| summary["nodes"].as_array())
        .map(|nodes| nodes.iter().filter_map(|node| node["counts"]["bytes"].as_u64()).sum::<u64>());
    html! {
        p {
            "It " span class=(class) { (word) }
            @if let Some(ended) = &facts.ended { " at " (ended) }
            @if let Some(begun) = &facts.begun { ", begun at " (begun) }
            @if let Some(time) = summary.and_then(|summary| summary["time"].as_f64()) { ", after " (format!("{time:.2}")) " s" }
            @if let Some(epochs) = summary.and_then(|summary| summary["epochs"].as_u64()) { "; epochs committed: " (HumanCount(epochs)) }
            @if let Some(bytes) = bytes { ", " (HumanBytes(bytes)) " read" }
            "."
        }
        @if let Some(error) = &facts.error { pre { (error) } }
        @if let Some(notes) = summary.and_then(|summary| summary["notes"].as_array()).filter(|notes| !notes.is_empty()) {
            ul { @for note in notes { li { (note[0].as_str().unwrap_or_default()) ": " (note[1].as_str().unwrap_or_default()) } } }
        }
    }
}

fn rejects(found: Option<&Result<Rejects, String>>) -> Markup {
    html! {
        h2 id="rejects" { "Rejects" }
        @match found {
            None => p { "The pipeline has no dead letters that can be read back." },
            Some(Err(why)) => p.bad { "The dead letters can't be read: " (why) },
            Some(Ok(rejects)) if rejects.total() == 0 => p { "There are none." },
            Some(Ok(rejects)) => {
                p { (HumanCount(rejects.total())) " dead letters of all runs." }
                div.scroll { table {
                    thead { tr { th { "stage" } th { "code" } th { "column" } th.number { "count" } } }
                    tbody { @for kind in &rejects.kinds { tr {
                        td { (kind.stage.as_deref().unwrap_or("source")) } td { (kind.code) } td { (kind.column.as_deref().unwrap_or_default()) }
                        td.number { (HumanCount(kind.count)) }
                    } } }
                } }
                @if rejects.others > 0 { p.soft { (HumanCount(rejects.others)) " are of further codes." } }
                @for kind in &rejects.kinds { (examples(kind)) }
            }
        }
    }
}

fn examples(kind: &RejectKind) -> Markup {
    html! {
        h3 { (kind.code) @if let Some(column) = &kind.column { " in " (column) } }
        @for example in &kind.examples {
            div { (shorten(&example.message, RECORD_CHARS)) " " span.soft { "(" (example.place) ")" } }
            pre { (shorten(&example.record, RECORD_CHARS)) }
        }
    }
}

fn sink(index: usize, table: &SinkTable) -> Markup {
    html! {
        h2 id=(format!("table-{index}")) { (table.name) }
        p.soft { (table.what) }
        @match &table.found {
            Err(why) => p { "It is not shown: " (why) },
            Ok(profile) => {
                p { (HumanCount(profile.rows)) " rows." }
                @if let Some(chart) = Chart::of(profile) { (chart.draw()) }
                @if let Some(kept) = profile.kept.as_ref().filter(|kept| !kept.rows.is_empty()) { (rows(profile, kept)) }
                (quality(profile))
            }
        }
    }
}

fn rows(profile: &TableProfile, kept: &Kept) -> Markup {
    let class = |column: &ColumnProfile| if column.is_number { "number" } else { "" };
    html! {
        details open[kept.rows.len() <= 50] {
            summary { "All rows" }
            div.scroll { table {
                thead { tr { @for column in &profile.columns { th class=(class(column)) { (column.name) } } } }
                tbody { @for row in &kept.rows { tr {
                    @for (cell, column) in row.iter().zip(&profile.columns) {
                        td class=(class(column)) { @match cell { Some(text) => (shorten(text, VALUE_CHARS)), None => span.soft { "null" } } }
                    }
                } } }
            } }
        }
    }
}

fn quality(profile: &TableProfile) -> Markup {
    let share = |count: u64| format!("{:.1} %", count as f64 * 100.0 / profile.rows.max(1) as f64);
    html! {
        h3 { "Columns" }
        div.scroll { table {
            thead { tr { th { "name" } th { "type" } th.number { "nulls" } th.number { "distinct" } th { "least" } th { "greatest" } th { "commonest" } } }
            tbody { @for column in &profile.columns {
                @let bounds = column.bounds();
                tr {
                    td.name { (column.name) } td.soft.name { (column.kind) }
                    td.number { (HumanCount(column.nulls)) @if column.nulls > 0 { " (" (share(column.nulls)) ")" } }
                    td.number { @match column.distinct() { Some(count) => (HumanCount(count as u64)), None => "many" } }
                    td { @if let Some((least, _)) = &bounds { (shorten(least, VALUE_CHARS)) } }
                    td { @if let Some((_, greatest)) = &bounds { (shorten(greatest, VALUE_CHARS)) } }
                    // Values that all differ have no commonest ones.
                    td { @for (value, count) in column.commonest(COMMONEST).into_iter().filter(|(_, count)| *count > 1) {
                        div { (shorten(value, VALUE_CHARS)) " " span.soft { (HumanCount(count)) " (" (share(count)) ")" } }
                    } }
                }
            } }
        } }
        p.soft { "Values are counted up to 100,000 different ones of a column, or 32 MiB; “many” are more." }
    }
}
