//! MariaDB for tests: a database of its own for each on the shared server, or a server of its own that may be killed.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{json_lines, repository};
use crate::kafka_broker::ports::free_ports;

/// A database, filled by the server's own client and read by `pymysql`.
pub struct MysqlDatabase {
    name: String,
    server: SocketAddr,
}

impl MysqlDatabase {
    /// A new database on the server that the tests share.
    pub fn new() -> Self {
        let url = std::env::var("WASMILL_TEST_MYSQL")
            .expect("WASMILL_TEST_MYSQL says where MySQL is: run the tests by `make test`, or below `tests/servers/servers.py run --`");
        Self::on(url.split('@').nth(1).unwrap().split('/').next().unwrap().parse().unwrap())
    }

    fn on(server: SocketAddr) -> Self {
        // As unique as the moment and the process: tests of one process take turns at the counter.
        static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let moment = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        let name = format!("e2e_{moment}_{}_{count}", std::process::id());
        Self { name: "mysql".into(), server }.run(&format!("CREATE DATABASE {name}"));
        Self { name, server }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("mysql://root@{}/{}", self.server, self.name)
    }

    /// Its address through a proxy, in plain bytes.
    pub fn url_through(&self, address: SocketAddr) -> String {
        format!("mysql://root@{address}/{}?ssl-mode=DISABLED", self.name)
    }

    /// How the server's own client gets there.
    pub fn client_arguments(&self) -> String {
        format!("-h127.0.0.1 -P{} -uroot -D{}", self.server.port(), self.name)
    }

    /// Where its server listens.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    fn client(&self) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-h127.0.0.1", &format!("-P{}", self.server.port()), "-uroot", "--default-character-set=utf8mb4"]);
        command.args(["-N", "-B", "-D", &self.name]);
        command
    }

    /// Runs statements with `;` between them; a line a row, tabs between columns.
    pub fn run(&self, sql: &str) -> String {
        let mut child = self.client().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), sql.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}: {}", &sql[..sql.len().min(300)], String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The rows of a query, by `pymysql`: times and decimals as texts, bytes in hexadecimal digits.
    pub fn rows(&self, sql: &str) -> Vec<Value> {
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with pymysql: `make test` sets it");
        let script = repository().join("tests/foreign/mysql_rows.py");
        let output =
            Command::new(&python).arg(script).args([&self.url(), sql]).output().unwrap_or_else(|error| panic!("{python}: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json_lines(&output.stdout)
    }
}

/// A server of a test's own.
pub struct MysqlServer {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl MysqlServer {
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
        command.arg(repository().join("tests/servers/servers.py")).args(["exec", "mysql"]);
        command.arg(folder.join("server")).arg(port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let server = MysqlDatabase { name: "pinterest".into(), server: self.address() };
        loop {
            let asked = server.client().args(["-e", "SELECT 1"]).stdin(Stdio::null()).output().unwrap();
            if asked.status.success() {
                return;
            }
            assert!(Instant::now() < deadline, "it is not ready: {}", String::from_utf8_lossy(&asked.stderr));
            if self.child.try_wait().unwrap().is_some() {
                self.child = Self::spawn(self.folder.path(), self.port);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A new database on it.
    pub fn database(&self) -> MysqlDatabase {
        MysqlDatabase::on(self.address())
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
}

impl Drop for MysqlServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
