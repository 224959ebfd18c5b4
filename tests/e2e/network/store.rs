//! A store that is killed while it is written to, and comes back with what it had.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kafka_broker::ports::free_ports;
use crate::kafka_broker::variable;
use crate::matrix::destination::DeltaOnS3;
use crate::matrix::mill::{Mill, State};
use crate::matrix::origin::{Files, Origin};
use crate::support::{Running, Store, expected, repository};

/// It is back after a second; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the server needs.
const PORTS: usize = 10;

/// A store of a test's own.
struct OwnStore {
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    server: Child,
}

impl OwnStore {
    fn start() -> Self {
        let ports = free_ports(PORTS);
        let folder = tempfile::tempdir().unwrap();
        let server = Self::spawn(folder.path(), &ports);
        let mut store = Self { folder, ports, server };
        store.wait_until_ready();
        store
    }

    fn spawn(folder: &std::path::Path, ports: &[u16]) -> Child {
        let mut command = Command::new(variable("WASMILL_PYTHON"));
        command
            .arg(repository().join("tests/servers/servers.py"))
            .args(["exec", "s3"])
            .arg(folder.join("s3"))
            .args(ports.iter().map(u16::to_string));
        let log = std::fs::File::create(folder.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn url(&self) -> String {
        // Ports come in pairs by role, and the fourth role speaks S3.
        format!("http://127.0.0.1:{}", self.ports[6])
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // Its port answers before its bucket is there.
        while !Store::on(self.url()).is_ready() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(self.server.try_wait().unwrap().is_none() && Instant::now() < deadline, "{}", log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.server = Self::spawn(self.folder.path(), &self.ports);
        self.wait_until_ready();
    }

    fn mill(&self) -> Mill<Files, DeltaOnS3> {
        Mill::of(Files::new(), DeltaOnS3(Store::on(self.url())), State::Bucket)
    }

    fn run(&self, mill: &Mill<Files, DeltaOnS3>, mode: &str, failpoints: &str) -> Running {
        let (mut command, url) = (mill.command(mode), self.url());
        command.env("WASMILL_TEST_S3", &url).env("AWS_ENDPOINT_URL_S3", &url).env("FAILPOINTS", failpoints);
        Running::spawn(command)
    }
}

impl Drop for OwnStore {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The pipeline waits at a point of a commit while the store is killed.
#[test]
fn a_store_that_is_killed_around_a_commit_has_every_row_once() {
    let mut store = OwnStore::start();
    // Parts on their way; a checkpoint; a table's files and log; objects of dead letters.
    for point in ["lane-after-batch", "engine-before-checkpoint", "delta-after-rename", "delta-commit-before-log", "s3-commit-after-token"]
    {
        let mut mill = store.mill();
        mill.add(4_000);
        let sleeper = store.run(&mill, "batch", &format!("{point}=1*off->1*return(stop)"));
        sleeper.wait_until_stopped();
        store.kill();
        sleeper.signal(Signal::CONT);
        store.start_again();
        let ended = sleeper.wait();
        assert_eq!(ended.code, Some(0), "{point}: {}", ended.stderr);
        // What was cut off while it began may lie around until the next start.
        mill.add(100);
        mill.age_notes();
        let ended = store.run(&mill, "batch", "").wait();
        assert_eq!(ended.code, Some(0), "{point}: {}", ended.stderr);
        mill.check();
    }
}

#[test]
fn a_store_that_is_killed_in_full_flow_keeps_every_row_once() {
    let mut store = OwnStore::start();
    let mut mill = store.mill();
    let running = store.run(&mill, "stream", "");
    for round in 0..5 {
        mill.add(4_000);
        // Somewhere within these rows.
        wait_for_rows(&mill, expected(0..round * 4_000 + 1_000).table.len());
        store.kill();
        store.start_again();
    }
    wait_for_rows(&mill, expected(0..mill.posts()).table.len());
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    mill.add(100);
    mill.age_notes();
    let ended = store.run(&mill, "batch", "").wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    mill.check();
}

fn wait_for_rows(mill: &Mill<Files, DeltaOnS3>, rows: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A store that just came back lists objects before it can read all of them.
        let found = mill.destination.0.try_delta_numbers("pin_table").map(|numbers| numbers.len());
        if found.as_ref().is_ok_and(|found| *found >= rows) {
            return;
        }
        assert!(Instant::now() < deadline, "{rows} rows did not arrive: {found:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
