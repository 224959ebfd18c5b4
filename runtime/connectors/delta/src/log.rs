//! A table's log: read it, follow it, put the next entry if no other writer has, and checkpoint it.

mod storage;

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use delta_kernel::history_manager::{HistoryCommitType, latest_version_as_of};
use delta_kernel::snapshot::SnapshotRef;
use delta_kernel::{KernelError, Snapshot};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::storage::store_from_url;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use serde_json::Value;
use url::Url;
use wasmill_engine::{Error, Result};

use self::storage::Storage;
use super::place::Place;
use super::rows::DataFiles;
use super::state::{MarkNames, Marks, TableState};
use crate::codes::{ADDRESS, UNREADABLE, VERSION};
use wasmill_connect::memory;
use wasmill_connect::threads;
use wasmill_objects::{Failure, S3Uri};

/// After this long without reading it, the log is reopened: entries that a table no longer needs
/// may be gone by then, and a gap must not be taken for the end.
const FOLLOW_FOR: Duration = Duration::from_secs(15 * 60);

/// A table's log. Its calls block, and must not come from a task of a single-threaded tokio runtime.
pub(crate) struct TableLog {
    place: Place,
    storage: Storage,
    url: Url,
    engine: Arc<KernelEngine>,
    data_files: DataFiles,
}

/// What the Delta kernel reads tables with.
pub(crate) type KernelEngine = DefaultEngine<TokioMultiThreadExecutor>;

/// How many rows of a data file are decoded at once.
pub(super) const BATCH_ROWS: NonZero<usize> = match NonZero::new(8192) {
    Some(rows) => rows,
    None => NonZero::<usize>::MIN,
};

/// Whether an entry was put.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is the table's new version.
    Done,
    /// Another writer's entry has that version.
    Taken,
}

impl TableLog {
    /// The log of a table, which need not exist.
    pub(crate) fn new(place: Place) -> Result<Self> {
        let (url, store) = match &place {
            Place::Folder(folder) => {
                let url = Url::from_directory_path(folder)
                    .map_err(|()| Error::configuration(format!("{} can't be written as a URL", folder.display())).code(ADDRESS))?;
                let store = store_from_url(&url).map_err(|error| failed("open", &place, error))?;
                (url, store)
            }
            Place::Bucket(bucket, uri) => (table_url(uri)?, bucket.for_kernel() as _),
        };
        let executor = Arc::new(TokioMultiThreadExecutor::new(threads::handle()?));
        let data_files = DataFiles::new(Arc::clone(&store), Arc::clone(&executor));
        let engine = Arc::new(DefaultEngineBuilder::new(store).with_task_executor(executor).with_batch_size(BATCH_ROWS).build());
        Ok(Self { engine, data_files, storage: Storage::of(&place), place, url })
    }

    /// Whether there is a table.
    fn exists(&self) -> Result<bool> {
        self.storage.any(|name| LoggedName::parse(name).is_some())
    }

    /// Opens the latest version, or reports that there is no table.
    pub(crate) fn open(&self, names: Option<&MarkNames>) -> Result<Option<TableState>> {
        if !self.exists()? {
            return Ok(None);
        }
        let snapshot = self.snapshot(None)?;
        let mut marks = Marks::default();
        if let Some(names) = names {
            for name in names.all() {
                let version = snapshot.get_app_id_version(name, self.engine.as_ref()).map_err(|error| self.failed("read", error))?;
                if let Some(version) = version {
                    marks.set(names, name, version);
                }
            }
        }
        let configuration = snapshot.table_configuration();
        let read = |value: serde_json::Result<Value>| value.map_err(|error| self.failed("read", error));
        let protocol = read(serde_json::to_value(configuration.protocol()))?;
        let metadata = read(serde_json::to_value(configuration.metadata()))?;
        let metadata = serde_json::from_value(metadata).map_err(|error| self.failed("read", error))?;
        Ok(Some(TableState { version: snapshot.version(), protocol, metadata, marks }))
    }

    /// Follows the log from a known version: one request for the next entry, and one more for each
    /// that exists.
    pub(crate) fn follow(&self, mut state: TableState, names: &MarkNames) -> Result<TableState> {
        while let Some(entry) = self.storage.read(&entry_name(state.version + 1))? {
            state.apply(names, &entry)?;
        }
        Ok(state)
    }

    /// The table's address, with a slash at its end.
    pub(crate) fn root(&self) -> Url {
        self.url.clone()
    }

    /// The versions that have an entry, in their order, each with the time when it was written. Times never decrease.
    pub(crate) fn versions(&self) -> Result<Vec<(u64, SystemTime)>> {
        let entry = |file: storage::Listed| {
            let name = LoggedName::parse(&file.name)?;
            (file.name == entry_name(name.version)).then_some((name.version, file.written))
        };
        let mut versions: Vec<(u64, SystemTime)> = self.storage.list()?.into_iter().filter_map(entry).collect();
        versions.sort_unstable();
        let mut latest = SystemTime::UNIX_EPOCH;
        for (_, written) in &mut versions {
            latest = latest.max(*written);
            *written = latest;
        }
        Ok(versions)
    }

    /// The oldest version that can be read: the first one, or that of the oldest checkpoint.
    pub(crate) fn oldest_version(&self) -> Result<Option<u64>> {
        let names: Vec<LoggedName> = self.storage.list()?.into_iter().filter_map(|file| LoggedName::parse(&file.name)).collect();
        if names.iter().any(|name| name.version == 0 && !name.checkpoint) {
            return Ok(Some(0));
        }
        Ok(names.iter().filter(|name| name.checkpoint).map(|name| name.version).min())
    }

    /// The entry of a version. `None` if there is none, or none any more.
    pub(crate) fn entry(&self, version: u64) -> Result<Option<String>> {
        self.storage.read(&entry_name(version))
    }

    /// The last version that is not younger than a moment, in milliseconds since 1970.
    pub(crate) fn version_at(&self, millis: i64) -> Result<u64> {
        let newest = self.snapshot(None)?;
        let found = latest_version_as_of(&newest, self.engine.as_ref(), millis, HistoryCommitType::Recreatable);
        found.map(|found| found.version).map_err(|error| {
            Error::environment(format!("the Delta table {} has no version of that time that can be read: {error}", self.place))
                .code(VERSION)
        })
    }

    /// A version, opened from an earlier one if that is given.
    pub(crate) fn snapshot_from(&self, earlier: Option<SnapshotRef>, version: u64) -> Result<SnapshotRef> {
        match earlier.filter(|earlier| earlier.version() <= version) {
            None => self.snapshot(Some(version)),
            Some(earlier) => {
                let built = Snapshot::builder_from(earlier).at_version(version).build(self.engine.as_ref());
                built.map_err(|error| self.failed("open", error))
            }
        }
    }

    /// Whether the log has an entry of this version.
    fn has(&self, version: u64) -> Result<bool> {
        self.storage.has(&entry_name(version))
    }

    /// Puts an entry as this version, durably and whole, unless there is one. In a folder, `draft`,
    /// `<owner>/<name>`, is where it lies before: a crash may leave it there. No other process uses
    /// the name.
    ///
    /// An error leaves open whether the entry was put: read the log again.
    pub(crate) fn put(&self, version: u64, entry: &str, draft: &str) -> Result<Put> {
        self.storage.put_new(&entry_name(version), entry, draft)
    }

    /// The table's place, for readers.
    pub(crate) fn shown(&self) -> String {
        self.place.to_string()
    }

    /// What reads its data files.
    pub(super) fn data_files(&self) -> DataFiles {
        self.data_files.clone()
    }

    /// What reads all its other files.
    pub(crate) fn engine(&self) -> Arc<KernelEngine> {
        Arc::clone(&self.engine)
    }

    /// Writes a checkpoint of the log at this version, and removes entries older than `retention`; without one they stay.
    pub(crate) fn checkpoint(&self, version: u64, retention: Option<Duration>) -> Result<()> {
        let snapshot = self.snapshot(Some(version))?;
        snapshot.checkpoint(self.engine.as_ref(), None).map_err(|error| self.failed("checkpoint the log of", error))?;
        memory::give_back();
        self.storage.sync()?;
        match retention.and_then(|retention| SystemTime::now().checked_sub(retention)) {
            Some(expiry) => self.remove_expired(start_of_day(expiry)),
            None => Ok(()),
        }
    }

    /// Removes entries and checkpoints that were written before `expiry` and that no version
    /// written since needs: those below the latest checkpoint that is not above any entry that
    /// stays.
    ///
    /// See "Metadata Cleanup" in the Delta protocol.
    fn remove_expired(&self, expiry: SystemTime) -> Result<()> {
        let named = |file: storage::Listed| Some((LoggedName::parse(&file.name)?, file.written, file.name));
        let logged: Vec<_> = self.storage.list()?.into_iter().filter_map(named).collect();
        let stays = logged.iter().filter(|(_, written, _)| *written >= expiry).map(|(name, ..)| name.version).min();
        let checkpoints = logged.iter().filter(|(name, ..)| name.checkpoint).map(|(name, ..)| name.version);
        let Some(floor) = checkpoints.filter(|version| stays.is_none_or(|stays| *version <= stays)).max() else { return Ok(()) };
        let expired = logged.into_iter().filter(|(name, written, _)| name.version < floor && *written < expiry);
        self.storage.remove(expired.map(|(.., name)| name).collect())
    }

    /// The table at a version, the latest without one.
    ///
    /// # Errors
    /// Environment: there is no such table or version, or it can't be read.
    pub(crate) fn snapshot(&self, version: Option<u64>) -> Result<SnapshotRef> {
        let mut builder = Snapshot::builder_for(&self.url);
        if let Some(version) = version {
            builder = builder.at_version(version);
        }
        builder.build(self.engine.as_ref()).map_err(|error| self.failed("open", error))
    }

    /// An error of the kernel about this table.
    pub(crate) fn failed(&self, what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        failed(what, &self.place, error)
    }
}

/// The start of a moment's day in UTC: Delta's logs expire by whole days.
fn start_of_day(moment: SystemTime) -> SystemTime {
    let past_midnight = moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() % (24 * 60 * 60));
    let seconds = moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds - past_midnight)
}

/// What the name of a file in a log encodes: `<20 digits>.json`, `<20 digits>.checkpoint….parquet`,
/// `….crc`.
struct LoggedName {
    version: u64,
    checkpoint: bool,
}

impl LoggedName {
    fn parse(name: &str) -> Option<Self> {
        let (digits, rest) = name.split_at_checked(20)?;
        let known = [".json", ".parquet", ".crc"].iter().any(|ending| rest.ends_with(ending));
        if !known || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self { version: digits.parse().ok()?, checkpoint: rest.starts_with(".checkpoint.") })
    }
}

/// A table that was opened once and is followed since.
pub(crate) struct Followed {
    state: TableState,
    read_at: Instant,
}

impl Followed {
    /// The latest state: followed from the known one, or reopened.
    pub(crate) fn refresh(known: Option<Self>, log: &TableLog, names: &MarkNames) -> Result<Option<Self>> {
        let state = match known {
            // A table that was removed meanwhile must not be taken for one without news.
            Some(known) if known.read_at.elapsed() < FOLLOW_FOR && log.has(known.state.version)? => Some(log.follow(known.state, names)?),
            _ => log.open(Some(names))?,
        };
        Ok(state.map(|state| Self { state, read_at: Instant::now() }))
    }

    /// The known state.
    pub(crate) fn state(&self) -> &TableState {
        &self.state
    }
}

fn failed(what: &str, place: &Place, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let what = format!("{what} the Delta table {place}");
    match place {
        Place::Bucket(..) if let Some(failure) = underneath(&error) => wasmill_objects::failed(what, failure),
        _ => Error::environment(format!("cannot {what}: {error}")).code(UNREADABLE).caused_by(error),
    }
}

/// The store's error under an error of the kernel.
fn underneath<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Failure> {
    let causes = std::iter::successors(Some(error), |error| match error.downcast_ref::<KernelError>() {
        // This one names its cause in its text alone.
        Some(KernelError::ObjectStore(cause)) => Some(cause),
        _ => error.source(),
    });
    causes.into_iter().find_map(|cause| cause.downcast_ref::<Failure>())
}

fn entry_name(version: u64) -> String {
    format!("{version:020}.json")
}

/// A table's address as the kernel expects it: escaped, with a slash at its end.
fn table_url(uri: &S3Uri) -> Result<Url> {
    let bad = || Error::configuration(format!("{uri} can't be written as a URL")).code(ADDRESS);
    let mut url = Url::parse(&format!("s3://{}/", uri.bucket)).map_err(|_| bad())?;
    url.path_segments_mut().map_err(|()| bad())?.clear().extend(uri.key.split('/')).push("");
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Builds a log of entries, checkpoints and others, each with its age in days. Returns what is
    /// left of it after expiry at 30 days.
    fn expired(log: &[(&str, u64)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let table = TableLog::new(Place::folder(folder.path()).unwrap()).unwrap();
        let log_folder = folder.path().join("_delta_log");
        fs::create_dir(&log_folder).unwrap();
        let now = SystemTime::now();
        for (name, days) in log {
            let file = fs::File::create(log_folder.join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(days * 24 * 60 * 60)).unwrap();
        }
        table.remove_expired(now - Duration::from_secs(30 * 24 * 60 * 60)).unwrap();
        let names = fs::read_dir(log_folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.map(|name| name.trim_start_matches('0').to_owned()).collect();
        names.sort();
        names
    }

    const ENTRIES: [&str; 5] = [
        "00000000000000000000.json",
        "00000000000000000001.json",
        "00000000000000000002.json",
        "00000000000000000003.json",
        "00000000000000000004.json",
    ];

    #[test]
    fn what_no_kept_version_needs_expires() {
        let first = ("00000000000000000001.checkpoint.parquet", 50);
        let second = ("00000000000000000003.checkpoint.0000000001.0000000001.parquet", 20);
        let ages = |ages: [u64; 5]| ENTRIES.into_iter().zip(ages);
        let others = [("_last_checkpoint", 90), ("00000000000000000000.note", 90)];
        let log: Vec<_> = ages([60, 50, 40, 35, 20]).chain([first, second]).chain(others).collect();
        // Version 3 is older than that, but its checkpoint is not.
        assert_eq!(
            expired(&log),
            [".note", "3.checkpoint.0000000001.0000000001.parquet", "3.json", "4.json", "_last_checkpoint"],
            "versions 3 and 4 need nothing before the checkpoint of 3"
        );
        // Version 2 is kept, and needs the checkpoint of 1.
        let log: Vec<_> = ages([60, 50, 20, 20, 20]).chain([first, second]).collect();
        assert_eq!(
            expired(&log),
            ["1.checkpoint.parquet", "1.json", "2.json", "3.checkpoint.0000000001.0000000001.parquet", "3.json", "4.json"]
        );
    }

    #[test]
    fn without_a_checkpoint_nothing_expires() {
        let log: Vec<_> = ENTRIES.into_iter().map(|name| (name, 90)).collect();
        assert_eq!(expired(&log).len(), 5);
    }

    #[test]
    fn the_kernel_gets_an_escaped_address() {
        let url = |text: &str| table_url(&S3Uri::parse(text).unwrap()).unwrap().to_string();
        assert_eq!(url("s3://lake/a b/t%"), "s3://lake/a%20b/t%25/");
    }

    #[test]
    fn a_log_is_recognised_by_its_names() {
        let parsed = |name: &str| LoggedName::parse(name).map(|name| (name.version, name.checkpoint));
        assert_eq!(parsed("00000000000000000012.json"), Some((12, false)));
        assert_eq!(parsed("00000000000000000012.checkpoint.parquet"), Some((12, true)));
        assert_eq!(parsed("00000000000000000012.crc"), Some((12, false)));
        for other in
            ["_last_checkpoint", "12.json", "00000000000000000012.tmp", "0000000000000000000x.json", "\u{e9}0000000000000000000.json"]
        {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
