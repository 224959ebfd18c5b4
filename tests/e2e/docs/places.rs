//! The servers of the tests in the place of those that pages name.

use std::path::PathBuf;
use std::process::Command;

use crate::kafka_broker::{address, unique, variable};
use crate::support::{Database, MysqlDatabase, Store, kinesis_address};

/// What stands for the places that a page names.
pub struct Places {
    /// What is written on the page, and what is run.
    words: Vec<(&'static str, String)>,
    store: Option<Store>,
    database: Option<Database>,
    mysql: Option<MysqlDatabase>,
    kinesis: Option<String>,
}

impl Places {
    /// For a page. Servers that it does not name are not needed to run it.
    pub fn of(text: &str) -> Self {
        let names = |word: &str| text.contains(word);
        let mut words = Vec::new();
        if names("b1:9092") || names("pipelines/kafka-") {
            words.extend(["b1:9092,b2:9092", "b1:9092", "127.0.0.1:9092"].map(|brokers| (brokers, address())));
            // The tests have one broker, and share its topics.
            words.push(("--replicas 3", "--replicas 1".to_owned()));
        }
        let store = (names("s3://") || names("pipelines/s3-")).then(Store::new);
        if let Some(store) = &store {
            words.extend(["s3://lake", "s3://pinterest"].map(|bucket| (bucket, store.prefix.clone())));
        }
        let kinesis = (names("wasmill streams") || names("pipelines/kinesis-")).then(kinesis_address);
        if kinesis.is_some() {
            words.push(("streaming-mill-", unique("docs")));
        }
        let database = names("psql").then(Database::new);
        let mysql = names("mariadb ").then(MysqlDatabase::new);
        Self { words, store, database, mysql, kinesis }
    }

    /// A text with the servers of the tests.
    pub fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (written, run)| text.replace(written, run))
    }

    /// The environment that leads there.
    pub fn environment(&self, command: &mut Command) {
        if self.store.is_some() || self.kinesis.is_some() {
            Store::environment(command);
        }
        command.envs(self.kinesis.iter().map(|address| ("AWS_ENDPOINT_URL_KINESIS", address)));
        // A check is offline.
        let database = self.database.as_ref().map_or("postgres://nobody@127.0.0.1:1/none".to_owned(), Database::url);
        command.env("PG_URL", database).env("PG_PASSWORD", "secret");
        let mysql = self.mysql.as_ref().map_or("mysql://nobody@127.0.0.1:1/none".to_owned(), MysqlDatabase::url);
        command.env("MYSQL_URL", mysql).envs(self.mysql.iter().map(|mysql| ("MYSQL_CLIENT", mysql.client_arguments())));
        if self.store.is_some() {
            command.env("S3_ENDPOINT", variable("WASMILL_TEST_S3"));
            command.env("S3_KEY", variable("WASMILL_TEST_S3_ACCESS_KEY")).env("S3_SECRET", variable("WASMILL_TEST_S3_SECRET_KEY"));
        }
    }
}

/// Folders of programs that pages use and that are not on the path everywhere: PostgreSQL's.
pub fn programs() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).collect()
}
