//! A broker of a test's own.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::ports::free_ports;
use super::variable;

/// A broker is up after seconds; beside many others it takes its time.
const START: Duration = Duration::from_secs(120);

/// A broker of the test's own, to be killed.
pub struct Broker {
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    address: SocketAddr,
    server: Child,
}

impl Broker {
    /// Starts one.
    pub fn start() -> Self {
        Self::advertised(None)
    }

    /// Starts one that is found at another address than its own: behind a proxy.
    pub fn behind(proxy: impl FnOnce(SocketAddr) -> SocketAddr) -> Self {
        Self::advertised(Some(Box::new(proxy)))
    }

    fn advertised(proxy: Option<Box<dyn FnOnce(SocketAddr) -> SocketAddr + '_>>) -> Self {
        let ports = free_ports(4);
        let folder = tempfile::tempdir().unwrap();
        let own = SocketAddr::from(([127, 0, 0, 1], ports[0]));
        let address = proxy.map_or(own, |proxy| proxy(own));
        let server = Self::spawn(folder.path(), &ports, address);
        let mut broker = Self { folder, ports, address, server };
        broker.wait_until_it_listens(own);
        broker
    }

    fn wait_until_it_listens(&mut self, own: SocketAddr) {
        let deadline = Instant::now() + START;
        while TcpStream::connect(own).is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the broker does not listen after {START:?}: {}", log());
            assert!(self.server.try_wait().unwrap().is_none(), "the broker ended: {}", log());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn spawn(folder: &Path, ports: &[u16], address: SocketAddr) -> Child {
        let mut command = Command::new(variable("WASMILL_PYTHON"));
        let servers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/servers.py");
        command
            .env("WASMILL_KAFKA_ADVERTISED", address.to_string())
            .arg(servers)
            .args(["exec", "kafka"])
            .arg(folder.join("kafka"))
            .args(ports.iter().map(u16::to_string));
        let log = std::fs::File::create(folder.join("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Where clients find it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts it again after its end.
    pub fn start_again(&mut self) {
        self.server = Self::spawn(self.folder.path(), &self.ports, self.address);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
