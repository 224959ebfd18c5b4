//! A schema of its own for each test on the real server, read by plain queries.

#![allow(dead_code)]

pub mod mill;

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use uuid::Uuid;

/// Where the server is. `make test` starts it.
pub fn url() -> String {
    std::env::var("WASMILL_TEST_POSTGRES")
        .expect("WASMILL_TEST_POSTGRES says where PostgreSQL is: run the tests by `make test`, or below `tests/servers/servers.py run --`")
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}

fn connect() -> Client {
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(&url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    })
}

/// A schema that goes with its value.
pub struct Schema {
    name: String,
    client: Client,
}

impl Schema {
    pub fn new() -> Self {
        let (name, client) = (format!("test_{}", Uuid::new_v4().simple()), connect());
        let schema = Self { name, client };
        schema.run(&format!("CREATE SCHEMA {}", schema.name));
        schema
    }

    /// `schema.table`, as the sink is told it.
    pub fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Runs statements in which `$s` is the schema.
    pub fn run(&self, sql: &str) {
        runtime().block_on(self.client.batch_execute(&sql.replace("$s", &self.name))).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The rows of a query as the server writes them as text; `∅` is null.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let sql = sql.replace("$s", &self.name);
        let messages = runtime().block_on(self.client.simple_query(&sql)).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let text = |row: &tokio_postgres::SimpleQueryRow, index| row.get(index).unwrap_or("∅").to_owned();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|index| text(row, index)).collect()),
            _ => None,
        });
        rows.collect()
    }

    /// The only column of a query.
    pub fn column(&self, sql: &str) -> Vec<String> {
        self.rows(sql).into_iter().map(|row| row.into_iter().next().unwrap()).collect()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let drop = format!("SET lock_timeout = '5s'; DROP SCHEMA {} CASCADE", self.name);
        let _ = runtime().block_on(self.client.batch_execute(&drop));
    }
}

/// The table `t` of numbers `n` in a schema of its own.
pub struct Table(Schema);

impl Table {
    pub fn new() -> Self {
        Self(Schema::new())
    }

    pub fn name(&self) -> String {
        self.0.table("t")
    }

    /// The numbers that are in it; none where there is no table.
    pub fn numbers(&self) -> Vec<i64> {
        if self.0.column("SELECT to_regclass('$s.t')") == ["∅"] {
            return Vec::new();
        }
        self.0.column("SELECT n FROM $s.t").iter().map(|number| number.parse().unwrap()).collect()
    }
}
