//! A bucket and the few operations on which everything here is built. Calls block; they must not
//! come from a task of the store's own threads.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use aws_sdk_s3::Client;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use wasmill_engine::Result;

use super::client::connect;
use super::failure::{Failure, Kind};
use super::health::Health;
use super::object::When;
use super::request::pauses_between_checks;
use super::{Object, Put, RetryTime, S3Config, failed};
use wasmill_connect::threads;

/// How often a conditional put whose outcome is unclear is checked and retried.
const UNCLEAR_ATTEMPTS: usize = 4;
/// The longest name of a file on most systems, in bytes.
const LONGEST_FILE_NAME: usize = 255;
/// How many requests of one call run at once.
pub const AT_ONCE: usize = 16;

/// A bucket that can be reached. Cheap to share; a process has one for each configuration.
pub struct Bucket {
    pub(crate) name: String,
    pub(crate) client: Client,
    pub(crate) threads: Handle,
    pub(crate) patience: RetryTime,
    pub(crate) health: Health,
    longest_name: usize,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({}, {:?})", self.name, self.health)
    }
}

type Buckets = HashMap<String, Arc<Bucket>>;

impl Bucket {
    /// The threads that its requests run on.
    pub fn threads(&self) -> &Handle {
        &self.threads
    }

    /// The client of a bucket. Sends no request to it, but may query the instance for its region
    /// and reads AWS's configuration files.
    pub fn open(name: &str, config: &S3Config, patience: RetryTime) -> Result<Arc<Self>> {
        static OPEN: Mutex<Option<Buckets>> = Mutex::new(None);
        config.check()?;
        // The key never leaves this table; it distinguishes configurations, secrets included.
        let secrets =
            [&config.secret_access_key, &config.session_token].map(|secret| secret.as_ref().map(|secret| secret.reveal().to_owned()));
        let key = format!("{name} {config:?} {secrets:?} {patience:?}");
        let mut open = OPEN.lock();
        let open = open.get_or_insert_default();
        if let Some(bucket) = open.get(&key) {
            return Ok(Arc::clone(bucket));
        }
        let threads = threads::handle()?;
        let (client, address) = threads.block_on(connect(name, config))?;
        // Other stores often keep objects as files.
        let longest_name = if address.contains(".amazonaws.com") { usize::MAX } else { LONGEST_FILE_NAME };
        let bucket = Arc::new(Self { name: name.to_owned(), client, threads, patience, health: Health::new(address), longest_name });
        open.insert(key, Arc::clone(&bucket));
        Ok(bucket)
    }

    /// Waits for a request.
    pub fn wait<F: Future>(&self, request: F) -> F::Output {
        self.threads.block_on(request)
    }

    /// The longest part of a key between two slashes that is safe with the store, in bytes.
    pub fn longest_name(&self) -> usize {
        self.longest_name
    }

    /// An object's address, for readers.
    pub fn shown(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// An object's bytes; none if there is no such object.
    pub fn read(&self, key: &str) -> Result<Option<Bytes>> {
        let found = self.wait(self.find(key)).map_err(|failure| failed(format_args!("read {}", self.shown(key)), &failure))?;
        Ok(found.map(|(_, bytes)| bytes))
    }

    /// An object and its bytes; none if there is no such object.
    pub async fn find(&self, key: &str) -> Result<Option<(Object, Bytes)>, Failure> {
        match self.get(key, None, None).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.kind == Kind::NoObject => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The metadata of an object; none if there is no such object.
    pub fn metadata(&self, key: &str) -> Result<Option<Object>> {
        self.wait(self.head(key)).map_err(|failure| failed(format_args!("read the metadata of {}", self.shown(key)), &failure))
    }

    /// Puts an object, overwriting any.
    pub fn write(&self, key: &str, bytes: &Bytes) -> Result<()> {
        let put = self.wait(self.put(key, bytes, When::Always));
        put.map_err(|failure| failed(format_args!("write {}", self.shown(key)), &failure))
    }

    /// Puts an object unless there is one of that name. No other process may ever put the same
    /// bytes: that distinguishes an attempt whose response was lost from another process's success.
    ///
    /// An error leaves open whether the object was put.
    pub fn write_new(&self, key: &str, bytes: &Bytes) -> Result<Put> {
        self.wait(self.put_new(key, bytes)).map_err(|failure| failed(format_args!("write {}", self.shown(key)), &failure))
    }

    pub(crate) async fn put_new(&self, key: &str, bytes: &Bytes) -> Result<Put, Failure> {
        let begun = Instant::now();
        let mut pauses = pauses_between_checks(UNCLEAR_ATTEMPTS - 1);
        loop {
            let failure = match self.put(key, bytes, When::Absent).await {
                Ok(()) => return Ok(Put::Done),
                Err(failure) if failure.is_refusal() => return Err(failure),
                Err(failure) => failure,
            };
            match self.find(key).await? {
                Some((_, found)) if found == *bytes => return Ok(Put::Done),
                Some(_) => return Ok(Put::Taken),
                None => match pauses.next() {
                    Some(pause) if begun.elapsed() <= RetryTime::RUN.time() => tokio::time::sleep(pause).await,
                    _ => return Err(failure),
                },
            }
        }
    }
}
