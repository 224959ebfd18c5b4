//! The closing table of a run: every node with its rows and its time.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use indicatif::{HumanBytes, HumanCount};
use wasmill_engine::{NodeSummary, Summary};

/// A table with one line a node, and a sentence above it.
pub fn summary_table(summary: &Summary) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    let is_keyed = summary.nodes.iter().any(|node| node.counts.rows_aggregated > 0);
    let titles = ["", "name", "rows in", "added", "out", "rejected", "filtered", "aggregated", "time"];
    table.set_header(titles.into_iter().filter(|title| is_keyed || *title != "aggregated").map(|title| {
        let alignment = if matches!(title, "" | "name") { CellAlignment::Left } else { CellAlignment::Right };
        Cell::new(title).set_alignment(alignment)
    }));
    for node in &summary.nodes {
        table.add_row(row(node, is_keyed));
    }
    let notes: String = summary.notes.iter().map(|(source, note)| format!("note: {source}: {note}\n")).collect();
    format!("{}\n{table}\n{notes}", sentence(summary))
}

fn row(node: &NodeSummary, is_keyed: bool) -> Vec<Cell> {
    let counts = &node.counts;
    let number = |value: u64| Cell::new(HumanCount(value)).set_alignment(CellAlignment::Right);
    let time = Cell::new(format!("{:.2} s", counts.time.as_secs_f64())).set_alignment(CellAlignment::Right);
    let mut cells = vec![Cell::new(node.kind), Cell::new(&node.name)];
    let rows = [counts.rows_in, counts.rows_added, counts.rows_out, counts.rows_rejected, counts.rows_filtered];
    cells.extend(rows.map(number));
    cells.extend(is_keyed.then(|| number(counts.rows_aggregated)));
    cells.push(time);
    cells
}

fn sentence(summary: &Summary) -> String {
    let read: u64 = summary.nodes.iter().filter(|node| node.kind == "source").map(|node| node.counts.rows_in).sum();
    let bytes: u64 = summary.nodes.iter().map(|node| node.counts.bytes).sum();
    let seconds = summary.time.as_secs_f64();
    let verb = if summary.stopped { "stopped" } else { "finished" };
    let epochs = if summary.epochs == 1 { "epoch" } else { "epochs" };
    let rate = HumanCount((read as f64 / seconds.max(0.001)) as u64);
    match read {
        0 => format!("{} {verb}: nothing new, nothing written ({seconds:.2} s)", summary.pipeline),
        _ => format!(
            "{} {verb}: {} rows ({}) in {seconds:.2} s, {rate} rows/s, {} {epochs} committed; time below is over all lanes",
            summary.pipeline,
            HumanCount(read),
            HumanBytes(bytes),
            summary.epochs
        ),
    }
}
