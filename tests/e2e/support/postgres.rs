//! PostgreSQL for tests: a database of its own for each on the shared server, or a server of its own that may be killed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{json_lines, repository};
use crate::kafka_broker::ports::free_ports;

/// A database, read by `psql`.
pub struct Database {
    name: String,
    server: SocketAddr,
}

fn psql() -> PathBuf {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().map(|entry| entry.unwrap().path().join("bin/psql")).collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from("psql"))
}

impl Database {
    /// A new database on the server that the tests share.
    pub fn new() -> Self {
        let url = std::env::var("WASMILL_TEST_POSTGRES").expect(
            "WASMILL_TEST_POSTGRES says where PostgreSQL is: run the tests by `make test`, or below `tests/servers/servers.py run --`",
        );
        let server = url.split('@').nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        Self::on(server)
    }

    fn on(server: SocketAddr) -> Self {
        // As unique as the moment and the process: tests of one process take turns at the counter.
        static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let moment = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        let name = format!("e2e_{moment}_{}_{count}", std::process::id());
        Self { name: "postgres".into(), server }.run(&format!("CREATE DATABASE {name}"));
        Self { name, server }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/{}", self.server, self.name)
    }

    /// Its address through a proxy, in plain bytes that the proxy can read.
    pub fn url_through(&self, address: SocketAddr) -> String {
        format!("postgres://postgres@{address}/{}?sslmode=disable", self.name)
    }

    /// Where its server listens.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// What a statement answers: a line a row, `|` between columns.
    pub fn run(&self, sql: &str) -> String {
        let output =
            Command::new(psql()).args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(), "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A column of numbers of a table, sorted, with repetitions; none where there is no table.
    pub fn numbers(&self, table: &str, expression: &str) -> Vec<u64> {
        if self.run(&format!("SELECT to_regclass('{table}')")).trim().is_empty() {
            return Vec::new();
        }
        let text = self.run(&format!("SELECT {expression} FROM {table} ORDER BY 1"));
        let mut numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("not a number: {line}"))).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The rows of a table, as the server writes them as JSON; none where there is no table.
    pub fn rows(&self, table: &str) -> Vec<serde_json::Value> {
        if self.run(&format!("SELECT to_regclass('{table}')")).trim().is_empty() {
            return Vec::new();
        }
        json_lines(self.run(&format!("SELECT to_json(t) FROM {table} AS t")).as_bytes())
    }

    /// The rows of a table of posts, and of one of dead letters.
    pub fn posts(&self) -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
        (self.rows("pin_table"), self.rows("dead_letters"))
    }
}

/// A server of a test's own.
pub struct Server {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts one.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The server runs as another user, who must get through to its folder.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let port = free_ports(1)[0];
        let child = Self::spawn(folder.path(), port);
        let mut server = Self { folder, port, child };
        server.wait_until_ready();
        server
    }

    fn spawn(folder: &std::path::Path, port: u16) -> Child {
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python: `make test` sets it");
        let mut command = Command::new(python);
        command.arg(repository().join("tests/servers/servers.py")).args(["exec", "postgres"]);
        command.arg(folder.join("server")).arg(port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        loop {
            let asked = Command::new(psql()).args(["-X", "-q", "-d", &url, "-c", "SELECT 1"]).output().unwrap();
            if asked.status.success() {
                return;
            }
            assert!(Instant::now() < deadline, "it is not ready: {}", String::from_utf8_lossy(&asked.stderr));
            // What a killed server leaves behind may keep the next one from starting for a moment.
            if self.child.try_wait().unwrap().is_some() {
                self.child = Self::spawn(self.folder.path(), self.port);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// A new database on it.
    pub fn database(&self) -> Database {
        Database::on(SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    /// Ends it with SIGKILL, as a power cut does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after its end.
    pub fn start_again(&mut self) {
        self.child = Self::spawn(self.folder.path(), self.port);
        self.wait_until_ready();
    }

    /// Ends it as an administrator does, with its connections.
    pub fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
