//! `pipelines/scenarios`: each folder whole, by the commands of its page, against the real servers. What is in tables, objects and databases is read by other
//! programs, and compared with what other pipelines made of the same rows.

mod lambda;
mod legacy;
mod local;
mod msk;
mod real_time;
mod rows;
mod shell;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use self::rows::Rows;
use self::shell::Shell;
use crate::kafka_broker::{address, committed, ports::free_ports, unique};
use crate::support::{Database, KinesisStream, MysqlDatabase, Store, Workshop, binary, kinesis_address, repository};

/// The folders. Each has a test of its own, over rows that its page generates and over real ones.
const FOLDERS: [&str; 5] = ["lambda-on-aws", "legacy-and-stream", "local", "msk-and-databricks", "real-time-and-historical"];

/// Two tests per folder: `make test` has no real rows everywhere.
macro_rules! over_both {
    ($run:ident) => {
        #[test]
        fn generated_rows() {
            $run($crate::scenarios::rows::Rows::Generated);
        }

        #[test]
        #[ignore = "needs real rows: `make scenarios` and `make test` run it where WASMILL_REAL_DATA names their folder"]
        fn real_rows() {
            $run($crate::scenarios::rows::Rows::Real);
        }
    };
}
use over_both;

/// A page that is run from top to bottom, in places of its own.
struct Scenario {
    /// Ends first: what it runs works in the folder.
    shell: Shell,
    workshop: Workshop,
    store: Store,
    database: Database,
    /// What topics and streams are called after.
    id: String,
    name: &'static str,
    rows: Rows,
    /// Headings with the commands below each, in the order of the page.
    sections: std::vec::IntoIter<(String, String)>,
    begun: Instant,
    // Removed at the end.
    _mysql: MysqlDatabase,
    _streams: [KinesisStream; 3],
}

impl Scenario {
    /// Nothing has run yet.
    fn of(name: &'static str, rows: Rows) -> Self {
        let (workshop, store, database, mysql) = (Workshop::new(), Store::new(), Database::new(), MysqlDatabase::new());
        let id = unique("s");
        std::os::unix::fs::symlink(repository().join("pipelines"), workshop.path("pipelines")).unwrap();
        if rows == Rows::Real {
            crate::keyed_stages::analyses::golden_rows(&workshop);
        }
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-s"]).current_dir(workshop.path(""));
        let wasmill = workshop.wasmill(&[]);
        wasmill.get_envs().for_each(|(name, value)| match value {
            Some(value) => drop(bash.env(name, value)),
            None => drop(bash.env_remove(name)),
        });
        Store::environment(&mut bash);
        bash.env("PATH", path()).env("AWS_ENDPOINT_URL_KINESIS", kinesis_address()).env("AWS_EC2_METADATA_DISABLED", "true");
        bash.env("PINTEREST_ID", &id).env("PINTEREST_BUCKET", &store.prefix).env("KAFKA_BROKERS", address());
        bash.env("GATEWAY", format!("127.0.0.1:{}", free_ports(1)[0])).env("PG_URL", database.url()).env("MYSQL_URL", mysql.url());
        let shell = Shell::start(bash, &workshop.path(".shell"));
        let page = std::fs::read_to_string(repository().join("pipelines/scenarios").join(name).join("README.md")).unwrap();
        let streams = ["pin", "geo", "user"].map(|table| KinesisStream::of(&format!("streaming-{id}-{table}")));
        let (sections, begun) = (sections(&page).into_iter(), Instant::now());
        Self { shell, workshop, store, database, id, name, rows, sections, begun, _mysql: mysql, _streams: streams }
    }

    /// Runs what the page has up to this section and in it.
    fn run_through(&mut self, heading: &str) {
        for (found, commands) in self.sections.by_ref() {
            self.shell.run(&commands);
            if found == heading {
                return;
            }
        }
        panic!("{}: the page has no commands below `{heading}`", self.name);
    }

    /// Runs the rest of the page.
    fn run_to_the_end(&mut self) {
        self.sections.by_ref().for_each(|(_, commands)| self.shell.run(&commands));
    }

    /// The posted rows of a table, cleaned, each once.
    fn cleaned(&self, table: &str) -> Vec<Value> {
        let cleaned = rows::cleaned(&self.workshop, self.rows, table);
        assert!(cleaned.len() >= 200, "{} rows of {table}", cleaned.len());
        cleaned
    }

    /// How many rows of a table there are to post.
    fn lines(&self, table: &str) -> usize {
        self.workshop.text_lines(&format!("data/{table}")).len()
    }

    /// The lines of the objects in which a topic landed; there is one for each record of it, the same.
    fn landed(&self, topic: &str) -> Vec<String> {
        let folder = format!("landed/{topic}");
        self.store.copy_to(&format!("topics/{topic}/partition=0"), &self.workshop.path(&folder));
        let mut landed = self.workshop.text_lines(&folder);
        landed.sort();
        let records = committed(topic).into_iter().map(|record| String::from_utf8(record.value.unwrap()).unwrap());
        let mut sent: Vec<String> = records.collect();
        sent.sort();
        assert!(!sent.is_empty() && landed == sent, "{topic}: {} lines landed of {} records", landed.len(), sent.len());
        let first = format!("topics/{topic}/partition=0/{topic}+0+0000000000.json");
        assert!(self.store.keys().iter().any(|key| key.ends_with(&first)), "no {first} in {:?}", self.store.keys());
        landed
    }

    /// Says what was shown, for those who watch.
    fn report(&self, what: &str) {
        let rows = if self.rows == Rows::Real { "real" } else { "generated" };
        println!("{} ({rows} rows): {what}; {:.1} s", self.name, self.begun.elapsed().as_secs_f64());
    }
}

/// The binary under test and the Python with foreign readers come first.
fn path() -> std::ffi::OsString {
    let python = std::env::var_os("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with requests: `make test` sets it");
    let before = [binary().parent().unwrap().to_path_buf(), Path::new(&python).parent().unwrap().to_path_buf()];
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(before.into_iter().chain(std::env::split_paths(&rest)).chain(crate::docs::programs())).unwrap()
}

/// The headings of a page with the blocks `sh` below each, as far as there are any.
fn sections(page: &str) -> Vec<(String, String)> {
    let (mut sections, mut inside) = (vec![(String::new(), String::new())], None);
    for line in page.lines() {
        match inside {
            None if line.starts_with("```") => inside = Some(line == "```sh"),
            None if line.starts_with('#') => sections.push((line.trim_start_matches('#').trim().to_owned(), String::new())),
            None => {}
            Some(_) if line == "```" => inside = None,
            Some(true) => sections.last_mut().unwrap().1 += &format!("{line}\n"),
            Some(false) => {}
        }
    }
    sections.retain(|(_, commands)| !commands.is_empty());
    sections
}

#[test]
fn every_folder_has_a_test() {
    let entries = std::fs::read_dir(repository().join("pipelines/scenarios")).unwrap().map(|entry| entry.unwrap());
    let mut folders: Vec<String> =
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect();
    folders.sort();
    assert_eq!(folders, FOLDERS);
    for folder in folders {
        let page = std::fs::read_to_string(repository().join("pipelines/scenarios").join(&folder).join("README.md")).unwrap();
        assert!(sections(&page).len() >= 3, "{folder}: the page says how to run it");
        for entry in std::fs::read_dir(repository().join("pipelines/scenarios").join(&folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(page.contains(&format!("({name})")) || name == "README.md", "{folder}/README.md does not mention {name}");
        }
    }
}
