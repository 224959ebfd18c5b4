//! A workshop of its own for each test: a folder, the binary, plugins, and readers of what it wrote.

mod flow;
mod kinesis;
mod mysql;
mod pins;
mod postgres;
mod process;
mod random;
mod read;
mod s3;

pub use crate::proxy::Proxy;
pub use flow::Flow;
pub use kinesis::{KinesisStream, kinesis_address};
pub use mysql::{MysqlDatabase, MysqlServer};
pub use pins::{Arrival, Expected, Pins, cleaned, dead_number, expected, is_broken, is_dead_line, is_refused_by_plugin, row_number};
pub use postgres::{Database, Server};
pub use process::{Ended, Running};
pub use random::{Random, number_from_environment};
pub use read::json_lines;
pub use s3::Store;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A folder that a test works in; it is removed with the test.
pub struct Workshop {
    folder: tempfile::TempDir,
}

/// Waits until something is so, and fails when it is not within a minute.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    const PATIENCE: Duration = Duration::from_secs(60);
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "within {PATIENCE:?} it did not happen that {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The binary under test, which lies beside the folder of this test's own.
pub fn binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let test = std::env::current_exe().unwrap();
        let binary = test.ancestors().nth(2).unwrap().join("wasmill");
        let built = std::fs::metadata(&binary).and_then(|metadata| metadata.modified());
        let how = "`cargo build --workspace --features wasmill/failpoints --bin wasmill` builds it";
        let built = built.unwrap_or_else(|error| panic!("{}: {error}; {how}", binary.display()));
        // `cargo build` lists beside it what it was made of; `cargo test` alone does not.
        let list = binary.with_extension("d");
        let sources = std::fs::read_to_string(&list).unwrap_or_else(|error| panic!("{}: {error}; {how}", list.display()));
        let (_, sources) = sources.split_once(": ").unwrap();
        for source in sources.split_whitespace() {
            let changed = std::fs::metadata(source).and_then(|metadata| metadata.modified());
            assert!(changed.is_ok_and(|changed| changed <= built), "{} is older than {source}; {how}", binary.display());
        }
        binary
    });
    &BINARY
}

impl Workshop {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A workshop with these files.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let workshop = Self::new();
        files.iter().for_each(|(name, text)| drop(workshop.write(name, text)));
        workshop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary with arguments, in this folder, with the shipped plugins.
    pub fn wasmill(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path()).stdin(std::process::Stdio::null());
        command.env("WASMILL_PLUGINS", plugin_folder()).env("NO_COLOR", "1").env("COLUMNS", "120");
        command.env_remove("FAILPOINTS").env_remove("WASMILL_REAL_DATA");
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Running::spawn(self.wasmill(arguments)).wait()
    }

    /// Runs the binary to its end; it has to go well.
    pub fn run_well(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "wasmill {arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
        ended
    }
}

/// Where the shipped plugins lie as .wasm: they are built before the tests, by `make plugins`.
pub fn plugin_folder() -> PathBuf {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        // The binary lies in <target>/<profile>/.
        None => binary().ancestors().nth(2).unwrap().to_path_buf(),
    };
    let folder = target.join("wasm32-wasip2/plugin");
    assert!(folder.join("clean_pin.wasm").exists(), "no plugins in {}: run `make plugins`", folder.display());
    folder
}
