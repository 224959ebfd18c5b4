//! `wasmill gateway`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wasmill_engine::{Error, StopSignal};
use wasmill_gateway::Server;

use super::checked::fail;
use crate::diagnostics::{Style, render};
use crate::document::Redactor;
use crate::exit;
use crate::gateway::{Loaded, load, routes, schema};
use crate::run::stop_on_signals;

/// How often a stop is looked for.
const STOP_POLL: Duration = Duration::from_millis(50);

/// Runs a gateway: an HTTP server that takes what producers post to Kafka's REST proxy, to Kinesis behind an API gateway, or as documents
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill gateway gateway.yaml\n  \
    wasmill gateway gateway.yaml --check\n  \
    wasmill gateway gateway.yaml --set server.listen=127.0.0.1:9000\n  \
    wasmill gateway --schema > gateway.schema.json\n\n\
    SIGINT (Ctrl-C) and SIGTERM stop listening, answer the requests under way and exit with 0; a second one ends the process at once.")]
pub struct Gateway {
    /// The gateway file
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    file: Option<PathBuf>,
    /// Overrides a value of the file: `server.listen=127.0.0.1:9000`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Checks the file, and starts nothing
    #[arg(long)]
    check: bool,
    /// Prints the JSON Schema of gateway files, for editors
    #[arg(long, conflicts_with_all = ["file", "sets", "check"])]
    schema: bool,
}

impl Gateway {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let Some(file) = &self.file else { return super::print(&format!("{:#}\n", schema())) };
        let redactor = Redactor::default();
        crate::logging::install(redactor.clone());
        let mut loaded = load(file, &self.sets, &redactor);
        let spec = loaded.spec.clone();
        let built = spec.as_ref().map(|spec| {
            if let Err(error) = spec.server.check() {
                loaded.push(&["server"], &error);
            }
            routes(spec).map_err(|errors| errors.iter().for_each(|(name, error)| loaded.push(&["routes", name], error)))
        });
        let (Some(spec), Some(Ok(routes)), false) = (spec, built, loaded.diagnostics.has_errors()) else {
            return show(&loaded, &redactor);
        };
        show(&loaded, &redactor);
        if self.check {
            eprintln!("{}: {} routes, no mistakes", file.display(), routes.len());
            return exit::OK;
        }
        let stop = match stop_on_signals() {
            Ok(stop) => stop,
            Err(error) => return fail(&error, &redactor, false),
        };
        match Server::start(&spec.gateway, &spec.server, routes) {
            Ok(server) => serve(&spec.gateway, server, spec.server.tls.is_some(), &stop),
            Err(error) => refuse(loaded, &error, &redactor),
        }
    }
}

fn serve(name: &str, server: Server, has_tls: bool, stop: &StopSignal) -> u8 {
    let scheme = if has_tls { "https" } else { "http" };
    eprintln!("{name}: listens at {scheme}://{}", server.address());
    while !stop.is_set() {
        std::thread::park_timeout(STOP_POLL);
    }
    server.stop();
    eprintln!("{name}: stopped");
    exit::OK
}

/// An error that only starting finds: at its place in the file, where that is to blame.
fn refuse(mut loaded: Loaded, error: &Error, redactor: &Redactor) -> u8 {
    if error.key_path().is_empty() {
        return fail(error, redactor, false);
    }
    loaded.push(&["server"], error);
    show(&loaded, redactor)
}

/// Prints findings; returns the exit status.
fn show(loaded: &Loaded, redactor: &Redactor) -> u8 {
    let text = render(&loaded.diagnostics, &loaded.files, redactor, Style::of(&std::io::stderr()));
    let _ = std::io::stderr().write_all(text.as_bytes());
    loaded.diagnostics.class().map_or(exit::BUG, exit::status)
}
