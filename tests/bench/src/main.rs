//! Measures what the sandbox costs: the plugin `clean-pin` against the same rules linked natively.
//!
//! `tests/bench/run.py` drives it; each command can be run by hand too.

mod boundary;
mod native;
mod pipeline;
mod plugin;
mod posts;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Any error; a benchmark has nobody to treat classes differently.
type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

#[derive(Debug, Parser)]
#[command(about)]
struct Arguments {
    /// JSON lines of posts
    #[arg(long, global = true, default_value = "data/pin/pin-00000.jsonl")]
    input: PathBuf,
    /// The plugin
    #[arg(long, global = true, default_value = "target/wasm32-wasip2/plugin/clean_pin.wasm")]
    plugin: PathBuf,
    /// Where compiled plugins are kept
    #[arg(long, global = true, default_value = "target/bench/cache")]
    cache: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks that plugin and native cleaning give the same rows
    Check,
    /// Times single calls; prints one JSON array
    Boundary,
    /// Runs files -> cleaning -> Delta once
    Pipeline {
        /// How the posts are cleaned
        #[arg(long)]
        cleaning: pipeline::Cleaning,
        /// An empty folder for the table and the state
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let Arguments { input, plugin, cache, command } = Arguments::parse();
    let plugin = plugin::Location { plugin, cache };
    let done = match command {
        Command::Check => boundary::check(&input, &plugin),
        Command::Boundary => boundary::measure(&input, &plugin),
        Command::Pipeline { cleaning, out } => pipeline::run(&input, cleaning, &plugin, &out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
