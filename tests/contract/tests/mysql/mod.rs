//! A database of its own for each test on the real server, filled by plain statements.

#![allow(dead_code)]

use std::sync::OnceLock;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// Where the server is. `make test` starts it.
pub fn url() -> String {
    std::env::var("WASMILL_TEST_MYSQL")
        .expect("WASMILL_TEST_MYSQL says where MySQL is: run the tests by `make test`, or below `tests/servers/servers.py run --`")
}

pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}

/// A connection of a test's own.
pub fn connect() -> Conn {
    let options = OptsBuilder::from_opts(Opts::from_url(&url()).unwrap()).prefer_socket(false);
    runtime().block_on(Conn::new(options)).unwrap()
}

/// Runs a statement on a connection.
pub fn run_on(client: &mut Conn, sql: &str) {
    runtime().block_on(client.query_drop(sql)).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A database that goes with its value.
pub struct Database {
    pub name: String,
}

impl Database {
    pub fn new() -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        run_on(&mut connect(), &format!("CREATE DATABASE {name}"));
        Self { name }
    }

    /// `database.table`, as the source is told it.
    pub fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Runs statements, one a line, in this database.
    pub fn run(&self, sql: &str) {
        let mut client = self.client();
        sql.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| run_on(&mut client, line));
    }

    /// A connection to this database.
    pub fn client(&self) -> Conn {
        let mut client = connect();
        run_on(&mut client, &format!("USE {}", self.name));
        client
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut client = connect();
        let _ = runtime().block_on(client.query_drop("SET SESSION lock_wait_timeout = 5"));
        let _ = runtime().block_on(client.query_drop(format!("DROP DATABASE {}", self.name)));
    }
}
