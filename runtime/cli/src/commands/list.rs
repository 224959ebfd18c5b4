//! `wasmill list`.

use clap::{Args, ValueEnum};
use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use wasmill_connect::registry::{Connector, DeadLetters, Delivery};

use crate::registry::{connectors, left_out};

/// Lists the connectors of this binary: what each can be, and what it promises
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wasmill list\n  wasmill list --output json")]
pub struct List {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Human-readable text
    Text,
    /// For programs
    Json,
}

impl List {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match self.output {
            Output::Text => super::print(&text()),
            Output::Json => {
                let listed: Vec<Value> = connectors().iter().map(|connector| as_json(connector)).collect();
                let listed = json!({ "connectors": listed, "left_out": left_out().collect::<Vec<_>>() });
                super::print(&format!("{listed:#}\n"))
            }
        }
    }
}

fn text() -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["connector", "source", "sink", "delivery", "dead letters"]);
    for connector in connectors() {
        let source = connector.source.as_ref().map_or("", |source| source.usage.summary);
        let (sink, delivery, dead_letters) = match &connector.sink {
            Some(sink) => (sink.usage.summary, delivery(sink.delivery), if takes(sink.dead_letters) { "yes" } else { "no" }),
            None => ("", "", ""),
        };
        table.add_row([connector.name, source, sink, delivery, dead_letters].map(Cell::new));
    }
    let mut text = format!("{table}\n");
    let left_out: Vec<&str> = left_out().collect();
    if !left_out.is_empty() {
        text.push_str(&format!(
            "not built into this wasmill: {}; `cargo build --release -p wasmill --features {}` has them\n",
            left_out.join(", "),
            left_out.join(",")
        ));
    }
    text
}

fn as_json(connector: &Connector) -> Value {
    let source = connector.source.as_ref().map(|source| json!({ "summary": source.usage.summary, "example": source.usage.example }));
    let sink = connector.sink.as_ref().map(|sink| {
        let (taken, why_not) = match sink.dead_letters {
            DeadLetters::Taken(_) => (true, None),
            DeadLetters::Refused(why) => (false, Some(why)),
        };
        json!({
            "summary": sink.usage.summary,
            "example": sink.usage.example,
            "delivery": delivery(sink.delivery),
            "dead_letters": taken,
            "why_no_dead_letters": why_not,
        })
    });
    json!({ "name": connector.name, "source": source, "sink": sink })
}

fn delivery(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::ExactlyOnce => "exactly once",
        Delivery::AtLeastOnce => "at least once",
    }
}

fn takes(dead_letters: DeadLetters) -> bool {
    matches!(dead_letters, DeadLetters::Taken(_))
}
