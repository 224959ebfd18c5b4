//! `wasmill emulate --from`: random rows of tables that exist, step by step, as producers send them.

use std::io::{ErrorKind, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, ValueEnum};
use emulator::Steps;
use mysql::{MysqlConnection, NumberedTables};
use wasmill_engine::codes::DISK;
use wasmill_engine::{Error, Result};

use super::checked::fail;
use super::codes::ARGUMENT;
#[cfg(feature = "http")]
use super::posting::Posting;
use crate::document::Redactor;
use crate::exit;

/// Where rows of tables that exist are taken from, and where they go.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Rows of tables that exist")]
pub struct Playback {
    /// The server with the tables: mysql://user@host/database, or '${env:NAME}' for a variable that holds it
    #[arg(long, value_name = "URL", conflicts_with_all = ["out", "rate", "dirt", "files"])]
    from: Option<String>,
    /// Where the rows go
    #[arg(long, value_enum, default_value_t, requires = "from")]
    to: To,
    /// How long to wait after each step: a time, or a range such as 0s..2s
    #[arg(long, value_name = "TIME", value_parser = pause, requires = "from")]
    pause: Option<Pause>,
    /// Topics or streams, one for each table; by default they are called like the tables
    #[arg(long, value_delimiter = ',', requires = "from")]
    names: Vec<String>,
    /// With --to kafka, some brokers, host:port, separated by commas
    #[arg(long, value_name = "BROKERS", requires = "from")]
    #[cfg_attr(not(feature = "kafka"), allow(dead_code))]
    brokers: Option<String>,
    /// With --to kinesis, the address of a server that is not AWS's own
    #[arg(long, value_name = "URL", requires = "from")]
    #[cfg_attr(not(feature = "kinesis"), allow(dead_code))]
    endpoint: Option<String>,
    /// With --to kinesis, the region
    #[arg(long, requires = "from")]
    #[cfg_attr(not(feature = "kinesis"), allow(dead_code))]
    region: Option<String>,
    #[cfg(feature = "http")]
    #[command(flatten)]
    posting: Posting,
}

/// Where rows go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum To {
    /// Standard output: one row of each table in turn
    #[default]
    Console,
    /// A topic for each table
    Kafka,
    /// A stream for each table
    Kinesis,
    /// A request for each row: to Kafka's REST proxy, to Kinesis behind an API gateway, or to an API of its own
    Http,
}

/// How long a step may wait.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pause(RangeInclusive<Duration>);

// The command line prints this message after the option's name.
fn pause(text: &str) -> Result<Pause, String> {
    let time = |text: &str| humantime::parse_duration(text.trim()).map_err(|error| format!("{text:?} is not a time: {error}"));
    let (least, most) = match text.split_once("..") {
        Some((least, most)) => (time(least)?, time(most)?),
        None => (time(text)?, time(text)?),
    };
    match least <= most && most <= Duration::from_secs(86_400) {
        true => Ok(Pause(least..=most)),
        false => Err("write the shorter time first, and at most 1day: 0s..2s".to_owned()),
    }
}

/// The text of an option, or of the variable that it names as pipelines do.
pub(super) fn resolved(option: &str, text: &str, example: &str) -> Result<String> {
    let Some(name) = text.strip_prefix("${env:").and_then(|rest| rest.strip_suffix('}')) else {
        let authority = text.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        if user.contains(':') {
            eprintln!(
                "warning: everybody on this machine can see the password in `{option}`: use '${{env:NAME}}' for a variable that holds the address"
            );
        }
        return Ok(text.to_owned());
    };
    std::env::var(name).map_err(|_| {
        Error::configuration(format!("`{option}`: the variable {name} is not set")).code(ARGUMENT).hint(format!("export {name}={example}"))
    })
}

impl Playback {
    /// Whether rows of tables that exist are asked for.
    pub fn is_wanted(&self) -> bool {
        self.from.is_some()
    }

    /// Sends so many steps; returns the exit status.
    pub fn run(&self, tables: &[String], rows: Option<u64>, seed: u64) -> u8 {
        let redactor = Redactor::default();
        crate::logging::install(redactor.clone());
        match self.play(tables, rows, seed, &redactor) {
            Ok(told) => {
                eprintln!("{told}");
                exit::OK
            }
            Err(error) => fail(&error, &redactor, false),
        }
    }

    fn names<'a>(&'a self, tables: &'a [String]) -> Result<&'a [String]> {
        match self.names.len() {
            0 => Ok(tables),
            count if count == tables.len() => Ok(&self.names),
            count => Err(Error::configuration(format!("`--names` has {count} names for {} tables", tables.len()))
                .code(ARGUMENT)
                .hint("name a topic or a stream for each table, in the order of `--tables`")),
        }
    }
}

/// Where rows go, opened.
enum Open {
    Console,
    #[cfg(feature = "kafka")]
    Kafka(kafka::Sender),
    #[cfg(feature = "kinesis")]
    Kinesis(Box<kinesis::admin::Streams>),
    #[cfg(feature = "http")]
    Http(Box<http::post::Poster>),
}

impl Playback {
    fn play(&self, tables: &[String], rows: Option<u64>, seed: u64, redactor: &Redactor) -> Result<String> {
        let names = self.names(tables)?;
        let url = resolved("--from", self.from.as_deref().unwrap_or_default(), "mysql://user:password@host/database")?;
        let open = self.open(names.len(), redactor)?;
        let mut numbered = NumberedTables::open(MysqlConnection::of_url(url), tables)?;
        let pauses = self.pause.as_ref().map_or(Duration::ZERO..=Duration::ZERO, |pause| pause.0.clone());
        let mut sent = 0;
        for step in Steps::new(seed, numbered.count(), pauses).take(rows.map_or(usize::MAX, |rows| rows as usize)) {
            for (index, name) in names.iter().enumerate() {
                let row = numbered.row(index, step.row)?;
                if !open.send(name, &row).map_err(|error| error.at(format!("after {sent} rows")))? {
                    return Ok(format!("{sent} rows"));
                }
                sent += 1;
            }
            if !step.pause.is_zero() {
                open.flush()?;
                std::thread::sleep(step.pause);
            }
        }
        open.flush()?;
        Ok(format!("{sent} rows"))
    }

    #[cfg_attr(not(feature = "http"), allow(unused_variables))]
    fn open(&self, names: usize, redactor: &Redactor) -> Result<Open> {
        match self.to {
            To::Console => Ok(Open::Console),
            #[cfg(feature = "kafka")]
            To::Kafka => {
                let brokers = self.brokers.clone().ok_or_else(|| missing("brokers", "--brokers b1:9092"))?;
                kafka::Sender::connect(&kafka::KafkaConnection::of_brokers(brokers)).map(Open::Kafka)
            }
            #[cfg(feature = "kinesis")]
            To::Kinesis => {
                let connection = kinesis::KinesisConnection {
                    endpoint: self.endpoint.clone(),
                    region: self.region.clone(),
                    ..kinesis::KinesisConnection::default()
                };
                kinesis::admin::Streams::connect(&connection).map(|streams| Open::Kinesis(Box::new(streams)))
            }
            #[cfg(feature = "http")]
            To::Http => self.posting.open(names, redactor).map(|poster| Open::Http(Box::new(poster))),
            #[cfg(not(feature = "kafka"))]
            To::Kafka => Err(left_out("kafka")),
            #[cfg(not(feature = "kinesis"))]
            To::Kinesis => Err(left_out("kinesis")),
            #[cfg(not(feature = "http"))]
            To::Http => Err(left_out("http")),
        }
    }
}

#[cfg(feature = "kafka")]
fn missing(option: &str, example: &str) -> Error {
    Error::configuration(format!("`--to kafka` needs `--{option}`")).code(ARGUMENT).hint(format!("for example: {example}"))
}

#[cfg(not(all(feature = "http", feature = "kafka", feature = "kinesis")))]
fn left_out(feature: &str) -> Error {
    Error::configuration(format!("this wasmill was built without {feature}"))
        .code(ARGUMENT)
        .hint(format!("build it with the feature `{feature}`"))
}

impl Open {
    /// Sends a row; false if nobody reads any more.
    fn send(&self, name: &str, row: &str) -> Result<bool> {
        match self {
            Self::Console => {
                let mut out = std::io::stdout().lock();
                match writeln!(out, "{row}").and_then(|()| out.flush()) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
                    Err(error) => Err(Error::io("write rows to standard output", error).or_code(DISK)),
                }
            }
            #[cfg(feature = "kafka")]
            Self::Kafka(sender) => sender.send(name, row.as_bytes()).map(|()| true),
            // Rows of one key keep their order; any key will do.
            #[cfg(feature = "kinesis")]
            Self::Kinesis(streams) => streams.put(name, name, row.as_bytes()).map(|()| true),
            #[cfg(feature = "http")]
            Self::Http(poster) => poster.send(name, row).map(|()| true),
        }
    }

    /// Waits until all that was sent has arrived.
    fn flush(&self) -> Result<()> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(sender) => sender.flush(),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_time_or_a_range() {
        let seconds = |least, most| Pause(Duration::from_secs(least)..=Duration::from_secs(most));
        assert_eq!(pause("0s..2s"), Ok(seconds(0, 2)));
        assert_eq!(pause("1s"), Ok(seconds(1, 1)));
        for wrong in ["2s..0s", "soon", "0s..2days", "..", "-1s"] {
            assert!(pause(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_table_has_a_name() {
        let tables = ["a".to_owned(), "b".to_owned()];
        assert_eq!(Playback::default().names(&tables).unwrap(), tables);
        let named = Playback { names: vec!["x".into(), "y".into()], ..Playback::default() };
        assert_eq!(named.names(&tables).unwrap(), ["x", "y"]);
        let one = Playback { names: vec!["x".into()], ..Playback::default() };
        assert!(one.names(&tables).unwrap_err().message().contains("1 names for 2 tables"));
    }

    #[test]
    fn an_address_may_be_in_a_variable() {
        assert_eq!(resolved("--from", "mysql://h/d", "").unwrap(), "mysql://h/d");
        assert!(resolved("--from", "${env:WASMILL_NO_SUCH_VARIABLE}", "").unwrap_err().message().contains("is not set"));
    }
}
