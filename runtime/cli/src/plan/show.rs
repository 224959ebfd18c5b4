//! A plan in words: lanes, epochs, what is decoded, what crosses into plugins, where everything goes.

use std::fmt::Write as _;

use arrow_schema::Schema;
use wasmill_engine::{EventTime, Input, Mode};

use super::{DEAD_LETTERS, default_lanes, state_of};
use crate::check::{Checked, CheckedStage, Extent, Transform};
use crate::plugins::OpenedWork;
use crate::spec::Written;

/// The running shape of a checked pipeline, for readers. Secrets are redacted by the caller.
pub fn show(checked: &Checked) -> String {
    let mut text = String::new();
    let lanes = checked.lanes.unwrap_or_else(default_lanes);
    let mode = match checked.mode {
        Mode::Batch => "batch: ends with its input",
        Mode::Stream if checked.drains => "drained stream: reads up to the ends that its sources have, closes all windows, ends",
        Mode::Stream => "stream: runs until it is stopped",
    };
    line(&mut text, 0, &format!("{} ({mode})", checked.name));
    line(&mut text, 1, &format!("lanes    {lanes}, batches of at most {} rows", checked.batch_rows));
    line(&mut text, 1, &format!("epochs   {}", epochs(checked)));
    line(&mut text, 1, &format!("state    {}", state_of(&checked.state, &checked.name).display()));
    for source in &checked.sources {
        line(&mut text, 0, &format!("source {} ({})", source.name, source.connector.describe()));
        let why = match (&source.columns.extent, source.sampling.columns.is_empty()) {
            (Extent::Picked(_), _) => "those that `columns` picks",
            (Extent::Needed, _) => "what its stages need",
            (Extent::All, true) => "all that it has",
            (Extent::All, false) => "found in a sample",
        };
        line(&mut text, 1, &format!("decodes  {} columns, {why}: {}", source.schema.fields().len(), columns(&source.schema)));
    }
    checked.stages.iter().for_each(|stage| show_stage(&mut text, checked, stage));
    for sink in &checked.sinks {
        line(&mut text, 0, &format!("sink {} ({})", sink.name, sink.connector.describe()));
        line(&mut text, 1, &format!("from     {}", inputs(checked, &sink.inputs)));
        line(&mut text, 1, &format!("writes   {} columns: {}", sink.schema.fields().len(), columns(&sink.schema)));
    }
    match &checked.dead_letters {
        Some(sink) => line(&mut text, 0, &format!("{DEAD_LETTERS} ({})", sink.describe())),
        None => line(&mut text, 0, "no dead letters: the first reject stops the pipeline"),
    }
    text
}

fn line(text: &mut String, depth: usize, content: &str) {
    let _ = writeln!(text, "{}{content}", "  ".repeat(depth));
}

fn epochs(checked: &Checked) -> String {
    if checked.epoch.whole_run {
        return "one, the whole run: a sink overwrites".to_owned();
    }
    format!("end after {} or {} rows, whichever comes first", humantime::format_duration(checked.epoch.every), checked.epoch.rows)
}

fn show_stage(text: &mut String, checked: &Checked, stage: &CheckedStage) {
    let what = match &stage.transform {
        Transform::Plugin(plugin) => format!("{}@sha256:{}", plugin.name(), plugin.digest()),
        Transform::BuiltIn(built_in) => built_in.describe(),
    };
    line(text, 0, &format!("stage {} ({what})", stage.name));
    match stage.sides.as_slice() {
        [left, right] => {
            line(text, 1, &format!("left     {}", inputs(checked, &left.inputs)));
            line(text, 1, &format!("right    {}", inputs(checked, &right.inputs)));
        }
        sides => sides.iter().for_each(|side| line(text, 1, &format!("from     {}", inputs(checked, &side.inputs)))),
    }
    if let OpenedWork::Keyed(keyed) = stage.opened.work() {
        line(text, 1, &format!("time     {}", times(keyed.event_time())));
    }
    if let (Transform::Plugin(_), [side]) = (&stage.transform, stage.sides.as_slice()) {
        let names = |indices: &[usize]| indices.iter().map(|&index| side.schema.field(index).name().as_str()).collect::<Vec<_>>();
        let (crossing, peeked) = (names(stage.opened.crossing()), names(stage.opened.peeked()));
        line(text, 1, &format!("crosses  {} of {} columns: {}", crossing.len(), side.schema.fields().len(), crossing.join(", ")));
        if !peeked.is_empty() {
            line(text, 1, &format!("         nulls and few texts of {}: {}", peeked.len(), peeked.join(", ")));
        }
    }
    for port in stage.opened.ports() {
        line(text, 1, &format!("gives    {}: {}", port.name, columns(&port.schema)));
    }
}

fn times(event_time: Option<EventTime>) -> String {
    match event_time {
        None => "none: what waits for an end is emitted when the input ends".to_owned(),
        Some(EventTime { delay, idle }) => {
            let (delay, idle) = (humantime::format_duration(delay), humantime::format_duration(idle));
            format!("the watermark is {delay} behind the rows; splits without rows for {idle} do not hold it back")
        }
    }
}

fn columns(schema: &Schema) -> String {
    let shown = schema.fields().iter().map(|field| {
        let null = if field.is_nullable() { "" } else { " not null" };
        format!("{} {}{null}", field.name(), Written(field.data_type()))
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn inputs(checked: &Checked, inputs: &[Input]) -> String {
    let name = |input: &Input| match *input {
        Input::Source(index) => checked.sources[index].name.to_string(),
        Input::Stage(index, port) => {
            let stage = &checked.stages[index];
            match stage.opened.ports() {
                [_] => stage.name.to_string(),
                ports => format!("{}.{}", stage.name, ports[port].name),
            }
        }
    };
    inputs.iter().map(name).collect::<Vec<_>>().join(", ")
}
