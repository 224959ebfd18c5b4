//! A plugin that misbehaves on demand. It echoes its input unless its configuration, or the mode that the test writes into the binary,
//! tells it otherwise.
// A component's exports have names that no other linker takes.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::all, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_op_in_unsafe_fn)]

mod aggregate;
mod attack;
// What the SDK gives to plugins, without the SDK.
#[allow(dead_code)]
#[path = "../../../../plugins/sdk/rust/src/collections.rs"]
mod collections;
mod columns;
mod config;
mod mode;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use config::Config;

wit_bindgen::generate!({ path: "../../../wit", world: "plugin", features: ["aggregate"] });

use exports::wasmill::plugin::{about, transform};
use wasmill::plugin::types::{
    Answer, Batch, ColumnSource, Crossing, Description, Encoding, Except, Extra, MadeTable, Needs, OpenedTransform, Opening, Output, Port,
    Refusal, Reject, Schema, Table, TextForm,
};

struct Hostile;
export!(Hostile);

thread_local! {
    static CONFIG: RefCell<Option<Config>> = const { RefCell::new(None) };
}

static DESCRIBED: AtomicU32 = AtomicU32::new(0);

impl about::Guest for Hostile {
    fn describe() -> Description {
        attack::run(mode::value("describe"));
        let calls = DESCRIBED.fetch_add(1, Ordering::Relaxed);
        Description {
            name: mode::value("name").unwrap_or("hostile").to_owned(),
            version: if mode::has("fickle") { format!("1.0.{calls}") } else { "1.0.0".to_owned() },
            documentation: "Misbehaves on demand.".to_owned(),
            encoding: if mode::has("columns") { Encoding::Columns } else { Encoding::ArrowIpc },
            config_schema: mode::value("schema").unwrap_or("{\"type\":\"object\"}").to_owned(),
            extra: mode::value("extra").map(|name| (name.to_owned(), String::new())).into_iter().collect(),
        }
    }
}

impl transform::Guest for Hostile {
    fn prepare(config: String, _extra: Extra) -> Result<Needs, Refusal> {
        needs(&config)
    }

    fn open(opening: Opening) -> Result<OpenedTransform, Refusal> {
        let config = Config::read(&opening.config)?;
        attack::run(config.open.as_deref());
        let ports = config.ports.iter().map(|port| Port {
            name: port.name.clone(),
            schema: schema(&port.schema, &port.fields),
            columns: port.columns.iter().map(source).collect(),
            extra: config.extra("port"),
        });
        let opened = OpenedTransform { ports: ports.collect(), extra: config.extra("opened") };
        CONFIG.with_borrow_mut(|slot| *slot = Some(config));
        Ok(opened)
    }

    fn process(batch: Batch) -> Result<Answer, Refusal> {
        CONFIG.with_borrow(|config| {
            let config = config.as_ref().expect("process comes after open");
            let (batch, echo) = match batch.table {
                Table::ArrowIpc(bytes) => (bytes.clone(), MadeTable::ArrowIpc(bytes)),
                Table::Columns(table) => (Vec::new(), MadeTable::Columns(columns::echo(&table, &config.fields))),
            };
            let count = |needle: &str| batch.windows(needle.len()).filter(|window| *window == needle.as_bytes()).count();
            let due = config.when.as_deref().is_none_or(|needle| count(needle) > 0);
            if config.slow.as_deref().is_some_and(|needle| count(needle) > 0) {
                attack::spin(30_000_000);
            }
            if config.alone.as_deref().is_some_and(|needle| count(needle) > 1) {
                panic!("more than one");
            }
            if due {
                if let Some(message) = config.process.as_deref().and_then(|action| action.strip_prefix("refuse:")) {
                    return Err(Refusal { message: message.to_owned(), config_path: None, column: None, extra: config.extra("refusal") });
                }
                attack::run(config.process.as_deref());
            }
            let repeat = config.repeat.unwrap_or(1);
            let outputs = match (&config.outputs, due) {
                (Some(outputs), true) => (0..repeat).flat_map(|_| outputs.iter()).map(|from| output(from, config)).collect(),
                _ => vec![Output { port: 0, table: Some(echo), origins: None, extra: config.extra("output") }],
            };
            let mut rejects: Vec<Reject> = if due { config.rejects.iter().map(|from| reject(from, config)).collect() } else { Vec::new() };
            if let Some(kind) = config.order.as_deref() {
                rejects.push(Reject { row: 0, code: "order".to_owned(), column: None, message: attack::order(kind), extra: Vec::new() });
            }
            Ok(Answer { outputs, rejects, extra: config.extra("answer") })
        })
    }
}

fn needs(config: &str) -> Result<Needs, Refusal> {
    let config = Config::read(config)?;
    attack::run(config.prepare.as_deref());
    let crosses = config.crosses.iter().map(crossing).collect();
    let texts = if mode::has("listed") { TextForm::Listed } else { TextForm::Joined };
    Ok(Needs { columns: schema(&config.needs, &config.fields), crosses, texts, extra: config.extra("needs") })
}

fn schema(bytes: &config::Bytes, fields: &[config::Field]) -> Schema {
    if mode::has("columns") { columns::schema(fields) } else { Schema::ArrowIpc(bytes.bytes()) }
}

fn crossing(value: &config::Crosses) -> Crossing {
    match value {
        config::Crosses::Whole(true) => Crossing::Values,
        config::Crosses::Whole(false) => Crossing::Nothing,
        config::Crosses::BeginningWith(texts) => Crossing::BeginningWith(texts.clone()),
    }
}

fn source(text: &String) -> ColumnSource {
    match text.split_once(' ') {
        Some(("input", index)) => ColumnSource::Input(index.parse().expect("an index")),
        Some(("except", rest)) => {
            let (column, texts) = rest.split_once(' ').expect("an index and texts");
            let texts = texts.split('|').map(str::to_owned).collect();
            ColumnSource::InputExcept(Except { column: column.parse().expect("an index"), texts })
        }
        Some(("nulled", index)) => ColumnSource::Nulled(index.parse().expect("an index")),
        _ => ColumnSource::Computed,
    }
}

fn output(output: &config::Output, config: &Config) -> Output {
    let origins = output.origins.clone().or_else(|| output.many_origins.map(|count| vec![0; count]));
    let made = output.made.as_ref().map(|made| MadeTable::Columns(made.table()));
    let table = made.or_else(|| output.columns.as_ref().map(|columns| MadeTable::ArrowIpc(columns.bytes())));
    Output { port: output.port, table, origins, extra: config.extra("output") }
}

fn reject(reject: &config::Reject, config: &Config) -> Reject {
    Reject { row: reject.row, code: reject.code.clone(), column: None, message: reject.message.clone(), extra: config.extra("reject") }
}
