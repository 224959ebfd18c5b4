//! `wasmill emulate`.

use std::path::PathBuf;

use clap::Args;
use emulator::{Destination, Dirt, Emulation, Table, emulate};
use wasmill_engine::Result;

use super::checked::fail;
#[cfg(feature = "mysql")]
use super::playback::Playback;
use crate::document::Redactor;
use crate::exit;

/// Generates posts, places and users: the rows of the source `emulator`, as JSON lines. Or plays back
/// random rows of tables that exist
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill emulate --out data --rows 50000\n  \
    wasmill emulate --out data --tables pin --rows 500000 --files 8 --seed 42\n  \
    wasmill emulate --rate 1\n  \
    wasmill emulate --tables user --rows 3 --dirt '{\"none_text\": 0.5}'\n  \
    wasmill emulate --from '${env:MYSQL_URL}' --tables pinterest_data,geolocation_data,user_data --pause 0s..2s --seed 100\n  \
    wasmill emulate --from '${env:MYSQL_URL}' --tables pinterest_data,user_data --to kafka --brokers b1:9092 --names 1.pin,1.user\n  \
    wasmill emulate --from '${env:MYSQL_URL}' --tables pinterest_data --names 1.pin --to http --url 'http://127.0.0.1:8082/topics/{name}' --no-keys\n\n\
    With --out, each table gets a folder: data/pin/pin-00000.jsonl and so on. Without it, the rows go to standard output, \
    one of each table in turn. The same seed and dirt give the same rows everywhere.\n\n\
    With --from, each step sends the row of one random number of each table, as JSON. Rows are numbered by the primary key, from 0 to the \
    count of the smallest table. The same seed gives the same rows as long as the tables do not change.\n\n\
    With --to http, each row is a request, which is sent again with the same Idempotency-Key until the server has taken it.")]
pub struct Emulate {
    /// The folder to write to; without it, standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Rows of each table, duplicates included; without it the output is endless, which needs standard output or --from
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Rows of each table per second; without it, at full speed
    #[arg(long, value_name = "ROWS/S")]
    rate: Option<f64>,
    /// Another seed gives other rows
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// What is wrong with the rows: none, real, heavy, or shares as JSON
    #[arg(long, default_value = "real", value_parser = dirt)]
    dirt: Dirt,
    /// The tables, separated by commas
    #[arg(long, default_value = "pin,geo,user", value_delimiter = ',')]
    tables: Vec<String>,
    /// How many files to spread each table over
    #[arg(long, default_value_t = 1, value_name = "N", requires = "out")]
    files: u64,
    #[cfg(feature = "mysql")]
    #[command(flatten)]
    playback: Playback,
}

fn table(text: &str) -> Result<Table> {
    text.parse()
}

// The command line prints this message after the option's name: no class, no place.
fn dirt(text: &str) -> Result<Dirt, String> {
    let value = if text.starts_with('{') { serde_json::from_str(text) } else { Ok(serde_json::Value::from(text)) };
    value.and_then(serde_json::from_value).map_err(|error| error.to_string())
}

impl Emulate {
    /// This many rows of each table, with the dirt of real ones, in a folder.
    #[cfg(feature = "demo")]
    pub fn into_folder(folder: PathBuf, rows: u64, seed: u64) -> Self {
        let tables = Table::ALL.map(|table| table.name().to_owned()).to_vec();
        let dirt = Dirt::Level(emulator::Level::Real);
        Self {
            out: Some(folder),
            rows: Some(rows),
            rate: None,
            seed,
            dirt,
            tables,
            files: 1,
            #[cfg(feature = "mysql")]
            playback: Playback::default(),
        }
    }

    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        #[cfg(feature = "mysql")]
        if self.playback.is_wanted() {
            return self.playback.run(&self.tables, self.rows, self.seed);
        }
        match self.generate() {
            Ok(Some(told)) => {
                eprintln!("{told}");
                exit::OK
            }
            Ok(None) => exit::OK,
            Err(error) => fail(&error, &Redactor::default(), false),
        }
    }

    fn generate(self) -> Result<Option<String>> {
        let Self { out, rows, rate, seed, dirt, tables, files, .. } = self;
        let tables = tables.iter().map(|name| table(name)).collect::<Result<Vec<_>>>()?;
        let emulation = Emulation { tables, rows, rate, seed, dirt };
        match &out {
            Some(path) => {
                let written = emulate(&emulation, Destination::Folder { path: path.clone(), files })?;
                Ok(Some(format!("{} rows, {} bytes, {} files in {}", written.rows, written.bytes, written.files, path.display())))
            }
            None => emulate(&emulation, Destination::Console(&mut std::io::stdout().lock())).map(|_| None),
        }
    }
}

#[cfg(test)]
mod tests {
    use emulator::Level;

    use super::*;

    #[test]
    fn dirt_is_a_level_or_shares() {
        assert_eq!(dirt("none").unwrap(), Dirt::Level(Level::None));
        assert_eq!(dirt(r#"{"malformed": 0.5}"#).unwrap().shares().malformed, 0.5);
        assert!(dirt("filthy").unwrap_err().contains("`heavy`"));
        assert!(dirt(r#"{"brokn": 1}"#).unwrap_err().contains("`broken`"));
        assert!(dirt("{").unwrap_err().contains("EOF"));
    }

    #[test]
    fn a_table_that_does_not_exist_is_named() {
        assert_eq!(table("geo").unwrap(), Table::Geo);
        let error = table("pins").unwrap_err();
        assert_eq!((error.message(), error.hint_text()), ("there is no table `pins`", Some("the tables are `pin`, `geo` and `user`")));
    }
}
