//! What benchmarks need beside the command line: plugins against the same rules linked natively, rows, topics, and the events of Nexmark.
//!
//! `tests/bench/run.py` drives it; each command can be run by hand too.

mod accumulators;
mod aggregates;
mod boundary;
mod kafka;
mod native;
mod nexmark;
mod pipeline;
mod plugin;
mod post;
mod posts;
mod rows;

use std::ffi::OsString;
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
    /// Times the plugins `quantile` and `weighted-mean` against their code linked natively; prints one JSON array
    Aggregates(aggregates::Asked),
    /// Generates a file of keys and values
    Rows(rows::Wanted),
    /// Makes a topic and fills it with the input
    Fill {
        #[command(flatten)]
        topic: kafka::Topic,
        #[arg(long, default_value_t = 4)]
        partitions: i32,
        /// How many times over; 0 makes the topic only
        #[arg(long, default_value_t = 1)]
        copies: u32,
    },
    /// Produces posts at a steady rate; the `index` of each is its moment, in microseconds since 1970
    Load {
        #[command(flatten)]
        topic: kafka::Topic,
        #[arg(long, default_value_t = 4)]
        partitions: i32,
        /// Posts a second
        #[arg(long)]
        rate: u32,
        #[arg(long)]
        seconds: u32,
    },
    /// The baseline: consumes a topic to its end, decodes with arrow-json, writes Parquet files; prints the number of rows
    Bare {
        #[command(flatten)]
        topic: kafka::Topic,
        #[arg(long, default_value_t = 2)]
        consumers: usize,
        /// A folder for the files
        #[arg(long)]
        out: PathBuf,
    },
    /// Posts the first rows of the input again and again, as fast as they are answered; prints one JSON object
    Post {
        #[command(flatten)]
        load: post::Load,
        /// `http://host:port/topics/NAME` or `http://host:port/ingest/NAME`
        #[arg(long)]
        url: String,
    },
    /// The baseline: sends the same rows straight into a topic, and waits for each request's worth of them
    Produce {
        #[command(flatten)]
        load: post::Load,
        #[command(flatten)]
        topic: kafka::Topic,
    },
    /// Writes the events of Nexmark: person, auction and bid, a file each
    Nexmark {
        /// Events of all kinds
        #[arg(long)]
        events: u64,
        #[arg(long, default_value_t = nexmark::SEED)]
        seed: u64,
        /// Events per second of event time
        #[arg(long, default_value_t = nexmark::PER_SECOND, value_parser = clap::value_parser!(u64).range(1..))]
        per_second: u64,
        #[arg(long, value_enum, default_value = "parquet")]
        format: nexmark::FilesFormat,
        /// A folder for the files
        #[arg(long)]
        out: PathBuf,
    },
    /// The command line of Wasmill with the source `nexmark`: `mill run pipeline.yaml`
    #[command(disable_help_flag = true)]
    Mill {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let Arguments { input, plugin, cache, command } = Arguments::parse();
    let plugin = plugin::Location { plugin, cache };
    let done = match command {
        Command::Check => boundary::check(&input, &plugin),
        Command::Boundary => boundary::measure(&input, &plugin),
        Command::Pipeline { cleaning, out } => pipeline::run(&input, cleaning, &plugin, &out),
        Command::Aggregates(asked) => aggregates::measure(&asked, &plugin),
        Command::Rows(wanted) => rows::write(&wanted),
        Command::Post { load, url } => post::post(&load, &url, &input),
        Command::Produce { load, topic } => post::produce(&load, &topic, &input),
        Command::Fill { topic, partitions, copies } => kafka::fill(&topic, partitions, &input, copies),
        Command::Load { topic, partitions, rate, seconds } => kafka::load(&topic, partitions, &input, rate, seconds),
        Command::Bare { topic, consumers, out } => kafka::bare(&topic, consumers, &out).map(|rows| println!("{rows}")),
        Command::Nexmark { events, seed, per_second, format, out } => {
            nexmark::write_files(&nexmark::Events::new(nexmark::Stream { seed, per_second }), events, &out, format)
        }
        Command::Mill { arguments } => return wasmill_cli::main_with(&[&nexmark::CONNECTOR], arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
