//! A plugin that misbehaves on demand. It echoes its input unless its configuration, or the mode that the test writes into the binary,
//! tells it otherwise.
// A component's exports have names that no other linker takes.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::all, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_op_in_unsafe_fn)]

mod attack;
// What the SDK gives to plugins, without the SDK.
#[allow(dead_code)]
#[path = "../../../../plugins/sdk/rust/src/collections.rs"]
mod collections;
mod config;
mod mode;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use config::Config;

wit_bindgen::generate!({ path: "../../../wit", world: "transform-plugin" });

use exports::wasmill::plugin::transform::Guest;
use wasmill::plugin::types::{ColumnSource, Description, Encoding, Needs, Output, Port, Refusal, Reject};

struct Hostile;
export!(Hostile);

thread_local! {
    static CONFIG: RefCell<Option<Config>> = const { RefCell::new(None) };
}

static DESCRIBED: AtomicU32 = AtomicU32::new(0);

impl Guest for Hostile {
    fn describe() -> Description {
        attack::run(mode::value("describe"));
        let calls = DESCRIBED.fetch_add(1, Ordering::Relaxed);
        Description {
            name: mode::value("name").unwrap_or("hostile").to_owned(),
            version: if mode::has("fickle") { format!("1.0.{calls}") } else { "1.0.0".to_owned() },
            documentation: "Misbehaves on demand.".to_owned(),
            encoding: if mode::has("json") { Encoding::JsonLines } else { Encoding::ArrowIpc },
            config_schema: mode::value("schema").unwrap_or("{\"type\":\"object\"}").to_owned(),
            extra: Vec::new(),
        }
    }

    fn prepare(config: String) -> Result<Needs, Refusal> {
        let config = Config::read(&config)?;
        attack::run(config.prepare.as_deref());
        let crosses = config.crosses.clone();
        Ok(Needs { columns: config.needs.bytes(), crosses, extra: Vec::new() })
    }

    fn open(config: String, _input: Vec<u8>) -> Result<Vec<Port>, Refusal> {
        let config = Config::read(&config)?;
        attack::run(config.open.as_deref());
        let ports = config.ports.iter().map(|port| Port {
            name: port.name.clone(),
            schema: port.schema.bytes(),
            columns: port.columns.iter().map(source).collect(),
            extra: Vec::new(),
        });
        let ports = ports.collect();
        CONFIG.with_borrow_mut(|slot| *slot = Some(config));
        Ok(ports)
    }

    fn process(batch: Vec<u8>) -> Result<(Vec<Output>, Vec<Reject>), Refusal> {
        CONFIG.with_borrow(|config| {
            let config = config.as_ref().expect("process comes after open");
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
                    return Err(Refusal { message: message.to_owned(), config_path: None, column: None });
                }
                attack::run(config.process.as_deref());
            }
            let repeat = config.repeat.unwrap_or(1);
            let outputs = match (&config.outputs, due) {
                (Some(outputs), true) => (0..repeat).flat_map(|_| outputs.iter()).map(output).collect(),
                _ => vec![Output { port: 0, columns: batch, origins: None }],
            };
            let mut rejects: Vec<Reject> = if due { config.rejects.iter().map(reject).collect() } else { Vec::new() };
            if let Some(kind) = config.order.as_deref() {
                rejects.push(Reject { row: 0, code: "order".to_owned(), column: None, message: attack::order(kind) });
            }
            Ok((outputs, rejects))
        })
    }
}

fn source(text: &String) -> ColumnSource {
    match text.split_once(' ') {
        Some(("input", index)) => ColumnSource::Input(index.parse().expect("an index")),
        Some(("nulled", index)) => ColumnSource::Nulled(index.parse().expect("an index")),
        _ => ColumnSource::Computed,
    }
}

fn output(output: &config::Output) -> Output {
    let origins = output.origins.clone().or_else(|| output.many_origins.map(|count| vec![0; count]));
    Output { port: output.port, columns: output.columns.bytes(), origins }
}

fn reject(reject: &config::Reject) -> Reject {
    Reject { row: reject.row, code: reject.code.clone(), column: None, message: reject.message.clone() }
}
