//! `wasmill streams create|describe|list|delete`.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use kinesis::KinesisConnection;
use kinesis::admin::{Capacity, StreamReport, Streams as Kinesis};
use wasmill_engine::{Error, Result};

use super::checked::fail;
use super::codes::DESTROYS;
use crate::document::Redactor;

/// Creates, describes and deletes streams of Amazon Kinesis
#[derive(Debug, Args)]
pub struct Streams {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Creates a stream and waits until it is ready
    #[command(after_help = "Example:\n  wasmill streams create streaming-1-pin --shards 2 --retention 48h --region eu-central-1")]
    Create {
        /// Its name
        name: String,
        /// How many shards it has
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000), conflicts_with = "on_demand")]
        shards: u16,
        /// As many shards as its records need
        #[arg(long)]
        on_demand: bool,
        /// How long records stay: 24h to 8760h, in whole hours
        #[arg(long, default_value = "24h", value_parser = hours)]
        retention: u16,
        #[command(flatten)]
        place: Place,
    },
    /// Displays a stream and its shards
    #[command(after_help = "Example:\n  wasmill streams describe streaming-1-pin")]
    Describe {
        /// Its name
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Lists all streams of the account in the region
    #[command(after_help = "Example:\n  wasmill streams list --endpoint http://127.0.0.1:4567")]
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Deletes a stream with all its records and its consumers, and waits until it is gone
    #[command(after_help = "Example:\n  wasmill streams delete streaming-1-pin --yes")]
    Delete {
        /// Its name
        name: String,
        /// Confirms it: nothing brings the records back
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the streams are. Credentials come from where AWS's own tools take them.
#[derive(Debug, Args)]
struct Place {
    /// The address of a server that is not AWS's own
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The region
    #[arg(long)]
    region: Option<String>,
    /// The profile in AWS's configuration files
    #[arg(long)]
    profile: Option<String>,
}

impl Place {
    fn connect(self) -> Result<Kinesis> {
        let Self { endpoint, region, profile } = self;
        Kinesis::connect(&KinesisConnection { endpoint, region, profile, ..KinesisConnection::default() })
    }
}

/// Reads whole hours within what Kinesis allows.
fn hours(text: &str) -> Result<u16, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let hours = time.as_secs() / 3600;
    if time != Duration::from_secs(hours * 3600) || !(24..=8760).contains(&hours) {
        return Err("24h to 8760h, in whole hours".to_owned());
    }
    u16::try_from(hours).map_err(|error| error.to_string())
}

impl Streams {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match self.action.run() {
            Ok(text) => super::print(&text),
            Err(error) => fail(&error, &Redactor::default(), false),
        }
    }
}

impl Action {
    fn run(self) -> Result<String> {
        match self {
            Self::Create { name, shards, on_demand, retention, place } => {
                let capacity = if on_demand { Capacity::OnDemand } else { Capacity::Shards(shards) };
                place.connect()?.create(&name, capacity, Some(retention))?;
                Ok(format!("the stream {name} is ready\n"))
            }
            Self::Describe { name, place } => Ok(describe(&place.connect()?.describe(&name)?)),
            Self::List { place } => {
                let streams = place.connect()?.list()?;
                if streams.is_empty() {
                    return Ok("there are no streams\n".to_owned());
                }
                let rows = streams.into_iter().map(|stream| [stream.name, stream.status, stream.mode]);
                Ok(format!("{}\n", table(["stream", "status", "mode"], rows)))
            }
            Self::Delete { name, yes: false, .. } => {
                Err(Error::configuration(format!("the stream {name} and all its records would be permanently deleted"))
                    .code(DESTROYS)
                    .hint(format!("if that is meant: wasmill streams delete {name} --yes")))
            }
            Self::Delete { name, place, .. } => {
                place.connect()?.delete(&name)?;
                Ok(format!("the stream {name} is gone\n"))
            }
        }
    }
}

fn describe(stream: &StreamReport) -> String {
    let created = UNIX_EPOCH + Duration::from_millis(u64::try_from(stream.created).unwrap_or_default());
    let open = stream.shards.iter().filter(|shard| !shard.closed).count();
    let line = &stream.line;
    let mut text = format!("{}: {}, {}, created {}\n", line.name, line.status, line.mode, humantime::format_rfc3339_seconds(created));
    let _ = writeln!(text, "{}", stream.arn);
    let _ = writeln!(text, "records stay for {} h; {open} open shards; {} consumers of fan-out", stream.retention_hours, stream.consumers);
    let rows = stream.shards.iter().map(|shard| {
        let state = if shard.closed { "closed" } else { "open" };
        let keys = shard.hash_keys.1.saturating_sub(shard.hash_keys.0) as f64 / u128::MAX as f64;
        [shard.id.clone(), state.to_owned(), format!("{:.1} %", keys * 100.0), shard.parents.join(", ")]
    });
    text + &format!("{}\n", table(["shard", "state", "of all keys", "parents"], rows))
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table.add_rows(rows);
    table
}
