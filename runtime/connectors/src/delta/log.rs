//! A table's log in its folder: read it, follow it, put the next entry if nobody else has, and checkpoint it.
//!
//! This is the one file that knows where a table lies.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use delta_kernel::Snapshot;
use delta_kernel::snapshot::SnapshotRef;
use deltalake_core::kernel::Snapshot as FileSnapshot;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, logstore_for};
use deltalake_core::protocol::checkpoints::cleanup_expired_logs_for;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use url::Url;
use uuid::Uuid;
use wasmill_engine::{Error, Result};

use super::data_file::now_millis;
use super::state::{MarkNames, Marks, TableState};
use crate::durable::{create_folder, rename_new, sync_folder, write_new};

/// After this long without a look, the log is opened anew: entries that a table no longer needs may be gone by then,
/// and a gap must not be taken for the end.
const FOLLOW_FOR: Duration = Duration::from_secs(15 * 60);

/// How long expired entries of a log are kept where the table does not say: Delta's own default.
const LOG_RETENTION_MILLIS: i64 = 30 * 24 * 60 * 60 * 1000;

/// A table's log.
pub(crate) struct TableLog {
    folder: PathBuf,
    url: Url,
    store: LogStoreRef,
}

/// Whether an entry was put.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is the table's new version.
    Done,
    /// Somebody else's entry has that version.
    Taken,
}

impl TableLog {
    /// The log of a table in a local folder, which need not exist.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let folder = std::path::absolute(folder).map_err(|error| Error::io(format!("find {}", folder.display()), error))?;
        let url = Url::from_directory_path(&folder)
            .map_err(|()| Error::configuration(format!("{} can't be written as a URL", folder.display())))?;
        let store = logstore_for(&url, StorageConfig::default()).map_err(|error| failed("open", &folder, error))?;
        Ok(Self { folder, url, store })
    }

    /// The table's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn log_folder(&self) -> PathBuf {
        self.folder.join("_delta_log")
    }

    fn entry_path(&self, version: u64) -> PathBuf {
        self.log_folder().join(format!("{version:020}.json"))
    }

    /// Whether there is a table.
    fn exists(&self) -> Result<bool> {
        let folder = self.log_folder();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| Error::io(format!("list {}", folder.display()), error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| Error::io(format!("list {}", folder.display()), error))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let numbered = name.len() > 20 && name.as_bytes().iter().take(20).all(u8::is_ascii_digit);
            if numbered && (name.ends_with(".json") || name.ends_with(".parquet")) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens the newest version, or tells that there is no table.
    pub(crate) fn open(&self, names: Option<&MarkNames>) -> Result<Option<TableState>> {
        if !self.exists()? {
            return Ok(None);
        }
        let names = names.cloned();
        let state = self.blocking(move |snapshot, engine| {
            let configuration = snapshot.table_configuration();
            let mut marks = Marks::default();
            if let Some(names) = &names {
                for name in names.all() {
                    if let Some(version) = snapshot.get_app_id_version(name, engine)? {
                        marks.set(names, name, version);
                    }
                }
            }
            let json = |value: serde_json::Result<Value>| value.map_err(delta_kernel::Error::MalformedJson);
            let metadata = json(serde_json::to_value(configuration.metadata()))?;
            let protocol = json(serde_json::to_value(configuration.protocol()))?;
            let metadata = serde_json::from_value(metadata).map_err(delta_kernel::Error::MalformedJson)?;
            Ok(TableState { version: snapshot.version(), protocol, metadata, marks })
        })?;
        Ok(Some(state))
    }

    /// Follows the log from a version that was known: one look at the next entry, and one more for each that is there.
    pub(crate) fn follow(&self, mut state: TableState, names: &MarkNames) -> Result<TableState> {
        loop {
            let path = self.entry_path(state.version + 1);
            match fs::read_to_string(&path) {
                Ok(entry) => state.apply(names, &entry)?,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(state),
                Err(error) => return Err(Error::io(format!("read {}", path.display()), error)),
            }
        }
    }

    /// Puts an entry as this version, durably and whole, unless there is one.
    ///
    /// An error leaves open whether the entry was put: look again.
    pub(crate) fn put(&self, version: u64, entry: &str, staging: &Path) -> Result<Put> {
        create_folder(&self.log_folder())?;
        create_folder(staging)?;
        let staged = staging.join(format!("{}.log", Uuid::new_v4()));
        write_new(&staged, entry.as_bytes())?;
        let path = self.entry_path(version);
        let renamed = rename_new(&staged, &path);
        if renamed.is_err() {
            // Never part of the log; what can't be removed now is removed by the next start.
            let _ = fs::remove_file(&staged);
        }
        match renamed {
            Ok(()) => sync_folder(&self.log_folder()).map(|()| Put::Done),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Put::Taken),
            Err(error) => Err(Error::io(format!("write {}", path.display()), error)),
        }
    }

    /// The actions that remove every file that the table has at this version.
    pub(crate) fn removals(&self, version: u64) -> Result<Vec<Value>> {
        let runtime = runtime()?;
        let store = Arc::clone(&self.store);
        let listed = run(runtime, async move {
            let snapshot = FileSnapshot::try_new(store.as_ref(), Some(version)).await?;
            let mut files = snapshot.file_views(store.as_ref(), None);
            let (mut removals, now) = (Vec::new(), now_millis());
            while let Some(file) = files.next().await {
                let mut remove = file?.remove_action(true);
                remove.deletion_timestamp = Some(now);
                removals.push(remove);
            }
            Ok::<_, deltalake_core::DeltaTableError>(removals)
        })?;
        let removals = listed.map_err(|error| failed("list the files of", &self.folder, error))?;
        removals
            .into_iter()
            .map(|remove| serde_json::to_value(&remove).map(|remove| json!({ "remove": remove })))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::bug(format!("a removal is no JSON: {error}")))
    }

    /// Writes a checkpoint of the log at this version, and if asked to `clean`, removes entries that have expired.
    pub(crate) fn checkpoint(&self, version: u64, clean: bool) -> Result<()> {
        self.blocking_at(Some(version), |snapshot, engine| snapshot.checkpoint(engine, None).map(|_| ()))?;
        sync_folder(&self.log_folder())?;
        if !clean {
            return Ok(());
        }
        let store = Arc::clone(&self.store);
        let cutoff = now_millis() - LOG_RETENTION_MILLIS;
        let cleaned = run(runtime()?, async move { cleanup_expired_logs_for(version, store.as_ref(), cutoff, None).await })?;
        cleaned.map(|_| ()).map_err(|error| failed("clean the log of", &self.folder, error))
    }

    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(SnapshotRef, &dyn delta_kernel::Engine) -> delta_kernel::DeltaResult<T> + Send + 'static,
    ) -> Result<T> {
        self.blocking_at(None, work)
    }

    /// Works on the table at a version (the newest without one), where the kernel may block.
    fn blocking_at<T: Send + 'static>(
        &self,
        version: Option<u64>,
        work: impl FnOnce(SnapshotRef, &dyn delta_kernel::Engine) -> delta_kernel::DeltaResult<T> + Send + 'static,
    ) -> Result<T> {
        let (store, url) = (Arc::clone(&self.store), self.url.clone());
        let worked = run(runtime()?, async move {
            let engine = store.engine(None);
            let worker = tokio::task::spawn_blocking(move || {
                let mut builder = Snapshot::builder_for(url);
                if let Some(version) = version {
                    builder = builder.at_version(version);
                }
                work(builder.build(engine.as_ref())?, engine.as_ref())
            });
            worker.await
        })?;
        let worked = worked.map_err(|error| Error::bug(format!("reading {} broke off: {error}", self.folder.display())))?;
        worked.map_err(|error| failed("open", &self.folder, error))
    }
}

/// A table that was opened once and is followed since.
pub(crate) struct Followed {
    state: TableState,
    looked: Instant,
}

impl Followed {
    /// The newest state: followed from what is known, or opened anew.
    pub(crate) fn refresh(known: Option<Self>, log: &TableLog, names: &MarkNames) -> Result<Option<Self>> {
        let state = match known {
            // A table that was removed meanwhile must not be taken for one without news.
            Some(known) if known.looked.elapsed() < FOLLOW_FOR && log.entry_path(known.state.version).exists() => {
                Some(log.follow(known.state, names)?)
            }
            _ => log.open(Some(names))?,
        };
        Ok(state.map(|state| Self { state, looked: Instant::now() }))
    }

    /// What is known.
    pub(crate) fn state(&self) -> &TableState {
        &self.state
    }
}

fn failed(what: &str, folder: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::environment(format!("cannot {what} the Delta table {}: {error}", folder.display())).caused_by(error)
}

/// The threads on which the Delta libraries work; one set a process, however many tables there are.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let built = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(8).thread_name("delta").enable_all().build()
    });
    built.as_ref().map_err(|error| Error::environment(format!("cannot start the threads of the Delta sink: {error}")))
}

/// Waits for work on the Delta threads, from whichever thread.
fn run<T: Send + 'static>(runtime: &'static Runtime, work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    // A thread of another tokio runtime must not block on this one, but may wait for a thread that does.
    if tokio::runtime::Handle::try_current().is_err() {
        return Ok(runtime.block_on(work));
    }
    let waited = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(work)).join());
    waited.map_err(|_| Error::bug("a thread of the Delta sink panicked"))
}
