//! Gateways and the source `http`: producers of others, requests that are hostile, and kills under load.

pub mod client;
mod emulate;
mod hostile;
mod kafka_rest;
mod kinesis_api;
mod pipeline;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use self::client::Connection;
use crate::kafka_broker::{ports::free_ports, variable};
use crate::support::{Ended, Running, Workshop, json_lines, repository, until};

/// A process that listens.
struct Listening {
    running: Running,
    port: u16,
}

impl Listening {
    /// Starts a command that listens at a port, and waits until it does.
    fn start(command: Command, port: u16) -> Self {
        let mut running = Running::spawn(command);
        until("it listens", || {
            assert!(!running.ends_within(std::time::Duration::ZERO), "it ended before it listened");
            Connection::open(port).is_ok()
        });
        Self { running, port }
    }

    /// Asks it to stop; it has to end well.
    fn stop(self) -> Ended {
        self.running.signal(rustix::process::Signal::TERM);
        let ended = self.running.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }
}

/// A gateway with this file, in which PORT stands for its port.
fn gateway(workshop: &Workshop, yaml: &str) -> Listening {
    let port = free_ports(1)[0];
    workshop.write("gateway.yaml", &yaml.replace("PORT", &port.to_string()));
    let mut command = workshop.wasmill(&["gateway", "gateway.yaml"]);
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test-secret").env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("GATEWAY_TOKEN", "t0ken-of-tests").env("GATEWAY_PASSWORD", "hush-of-tests");
    Listening::start(command, port)
}

/// Rows of the three tables in turn, as the emulator posts them, with the text of each.
fn emulated(rows: usize) -> Vec<(&'static str, Value)> {
    let workshop = Workshop::new();
    workshop.run_well(&["emulate", "--out", "data", "--rows", &rows.to_string(), "--dirt", "none"]);
    let read = |table: &str| -> Vec<Value> {
        let text = std::fs::read(workshop.path(&format!("data/{table}/{table}-00000.jsonl"))).unwrap();
        json_lines(&text)
    };
    let (pins, geos, users) = (read("pin"), read("geo"), read("user"));
    (0..rows).flat_map(|at| [("pin", pins[at].clone()), ("geo", geos[at].clone()), ("user", users[at].clone())]).collect()
}

/// Posts rows with the Python package `requests`; returns the answers.
fn post_by_python(arguments: &[&str], rows: &[(&str, Value)], environment: &[(&str, &str)]) -> Vec<Value> {
    let mut command = Command::new(variable("WASMILL_PYTHON"));
    command.arg(repository().join("tests/foreign/emulator_posts.py")).args(arguments).envs(environment.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = rows.iter().map(|(table, row)| format!("{}\n", serde_json::json!({ "table": table, "row": row }))).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    writer.join().unwrap().unwrap();
    json_lines(&output.stdout)
}
