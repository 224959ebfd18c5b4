//! A bucket and the few operations that everything here is made of. Calls block; they must not come from a task of the store's own threads.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use tokio::runtime::Handle;
use wasmill_engine::{Error, Result};

use super::credentials::provider;
use super::failure::is_refusal;
use super::health::{Health, Watching};
use super::{S3Config, failed};
use crate::aws::{self, check_endpoint};
use crate::threads;

/// The region of stores that know none.
const NO_REGION: &str = "us-east-1";
/// How often a conditional put whose outcome is unclear is looked at and tried again.
const UNCLEAR_ATTEMPTS: u32 = 4;
/// How many requests of one call run at once.
pub(super) const AT_ONCE: usize = 16;

/// How long to try again when a store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Patience {
    /// Somebody waits for an answer: some seconds.
    Look,
    /// A pipeline runs and an outage should not end it: up to three minutes.
    Run,
}

impl Patience {
    fn retries(self) -> RetryConfig {
        let (max_retries, timeout) = match self {
            Self::Look => (2, Duration::from_secs(10)),
            // The time is the bound. Pauses are by chance, and a number of attempts that looks large may be over after seconds.
            Self::Run => (10_000, Duration::from_secs(180)),
        };
        // A pause is by chance between the first one and three times the one before: with two times it would hardly grow.
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(5), base: 3.0 };
        RetryConfig { backoff, max_retries, retry_timeout: timeout }
    }
}

/// How a conditional put went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The object is there with these bytes, put by this call.
    Done,
    /// Another one has its name.
    Taken,
}

/// A bucket that can be reached. Cheap to share; a process has one for each configuration.
pub(crate) struct Bucket {
    name: String,
    pub(super) store: Arc<AmazonS3>,
    pub(super) threads: Handle,
    /// For the one request that the store's library does not have: the list of uploads.
    pub(super) http: HttpClient,
    pub(super) address: String,
    pub(super) region: String,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({} at {})", self.name, self.address)
    }
}

type Buckets = HashMap<String, Arc<Bucket>>;

impl Bucket {
    /// The client of a bucket. Sends nothing to it, but may ask the instance for its region and reads AWS's configuration files.
    pub(crate) fn open(name: &str, config: &S3Config, patience: Patience) -> Result<Arc<Self>> {
        static OPEN: Mutex<Option<Buckets>> = Mutex::new(None);
        config.check()?;
        // The key never leaves this table; it tells configurations apart, secrets included.
        let secrets =
            [&config.secret_access_key, &config.session_token].map(|secret| secret.as_ref().map(|secret| secret.reveal().to_owned()));
        let key = format!("{name} {config:?} {secrets:?} {patience:?}");
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        if let Some(bucket) = open.get(&key) {
            return Ok(Arc::clone(bucket));
        }
        let handle = threads::handle()?;
        let bucket = Arc::new(handle.block_on(Self::connect(name, config, patience, handle.clone()))?);
        open.insert(key, Arc::clone(&bucket));
        Ok(bucket)
    }

    async fn connect(name: &str, config: &S3Config, patience: Patience, threads: Handle) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut endpoint = config.endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL_S3"));
        let mut region = config.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let complete = config.access_key_id.is_some() && config.assume_role.is_none() && endpoint.is_some();
        let sdk = match complete {
            true => None,
            false => {
                let known = region.clone().or_else(|| endpoint.as_ref().map(|_| NO_REGION.to_owned()));
                Some(aws::configuration(known.as_deref(), config.profile.as_deref()).await)
            }
        };
        if let Some(sdk) = &sdk {
            endpoint = endpoint.or_else(|| sdk.endpoint_url().map(str::to_owned));
            region = region.or_else(|| sdk.region().map(ToString::to_string));
        }
        let region = match (region, &endpoint) {
            (Some(region), _) => region,
            (None, Some(_)) => NO_REGION.to_owned(),
            (None, None) => {
                return Err(Error::environment(format!("the region of the bucket {name} is not known"))
                    .hint("set `region`, or AWS_REGION in the environment"));
            }
        };
        let (address, endpoint) = addresses(name, endpoint.as_deref(), &region, config.path_style)?;
        let options = ClientOptions::new().with_allow_http(true).with_connect_timeout(Duration::from_secs(5));
        let health = Arc::new(Health::new(&address));
        let http = Watching(Arc::clone(&health)).connect(&options).map_err(|error| failed("set up the client for S3", &error))?;
        let store = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(&region)
            .with_endpoint(endpoint.address)
            .with_virtual_hosted_style_request(!endpoint.path_style)
            .with_credentials(provider(config, sdk.as_ref()).await?)
            .with_client_options(options)
            .with_http_connector(Watching(health))
            .with_retry(patience.retries())
            .build()
            .map_err(|error| failed("set up the client for S3", &error))?;
        Ok(Self { name: name.to_owned(), store: Arc::new(store), threads, http, address, region })
    }

    /// The store itself, for libraries that want one.
    pub(crate) fn store(&self) -> Arc<AmazonS3> {
        Arc::clone(&self.store)
    }

    /// Waits for a request.
    pub(crate) fn wait<F: Future>(&self, request: F) -> F::Output {
        self.threads.block_on(request)
    }

    /// An object's address, for people.
    pub(crate) fn shown(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// An object's bytes; none if there is no such object.
    pub(crate) fn read(&self, key: &str) -> Result<Option<Bytes>> {
        self.wait(self.get(key)).map_err(|error| failed(format_args!("read {}", self.shown(key)), &error))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        match self.store.get(&path(key)?).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is known of an object; none if there is no such object.
    pub(crate) fn look(&self, key: &str) -> Result<Option<ObjectMeta>> {
        self.wait(self.head(key)).map_err(|error| failed(format_args!("look at {}", self.shown(key)), &error))
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<ObjectMeta>, StoreError> {
        match self.store.head(&path(key)?).await {
            Ok(found) => Ok(Some(found)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts an object, whatever was there.
    pub(crate) fn write(&self, key: &str, bytes: Bytes) -> Result<()> {
        let put = async { self.store.put(&path(key)?, bytes.into()).await };
        self.wait(put).map(drop).map_err(|error| failed(format_args!("write {}", self.shown(key)), &error))
    }

    /// Puts an object unless there is one of that name. Nobody else may ever put the same bytes: that is how an attempt whose answer
    /// was lost is told from another's success.
    ///
    /// An error leaves open whether the object was put.
    pub(crate) fn write_new(&self, key: &str, bytes: &Bytes) -> Result<Put> {
        let begun = Instant::now();
        let put = async {
            let place = path(key)?;
            let mut attempt = 0;
            loop {
                attempt += 1;
                let error = match self.store.put_opts(&place, bytes.clone().into(), PutMode::Create.into()).await {
                    Ok(_) => return Ok(Put::Done),
                    Err(error) if is_refusal(&error) => return Err(error),
                    Err(error) => error,
                };
                match self.get(key).await? {
                    Some(found) if found == *bytes => return Ok(Put::Done),
                    Some(_) => return Ok(Put::Taken),
                    None if attempt >= UNCLEAR_ATTEMPTS || begun.elapsed() > Patience::Run.retries().retry_timeout => return Err(error),
                    None => tokio::time::sleep(Duration::from_millis(50 << attempt)).await,
                }
            }
        };
        self.wait(put).map_err(|error| failed(format_args!("write {}", self.shown(key)), &error))
    }

    /// The objects below a prefix, in order of their keys.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>> {
        let list = async {
            let prefix = path(prefix)?;
            self.store.list(Some(&prefix)).try_collect::<Vec<_>>().await
        };
        self.wait(list).map_err(|error| failed(format_args!("list {}", self.shown(prefix)), &error))
    }

    /// Whether some object below a prefix is as asked. Reads the list no further than needed.
    pub(crate) fn any(&self, prefix: &str, is: impl Fn(&ObjectMeta) -> bool) -> Result<bool> {
        let look = async {
            let prefix = path(prefix)?;
            let mut objects = self.store.list(Some(&prefix));
            while let Some(object) = objects.try_next().await? {
                if is(&object) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        self.wait(look).map_err(|error| failed(format_args!("list {}", self.shown(prefix)), &error))
    }

    /// Removes objects. Those that are gone already are fine.
    pub(crate) fn remove(&self, keys: impl IntoIterator<Item = Path>) -> Result<()> {
        let keys: Vec<Path> = keys.into_iter().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let locations = futures::stream::iter(keys.into_iter().map(Ok)).boxed();
        let remove = self.store.delete_stream(locations).try_for_each(|_| async { Ok(()) });
        match self.wait(remove) {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(format_args!("remove objects of s3://{}", self.name), &error)),
        }
    }
}

/// A key as the store's library wants it.
pub(super) fn path(key: &str) -> Result<Path, StoreError> {
    Path::parse(key).map_err(|source| StoreError::InvalidPath { source })
}

struct Endpoint {
    address: String,
    path_style: bool,
}

/// The address of the bucket, and what the store's library wants to be told as endpoint for it.
fn addresses(bucket: &str, endpoint: Option<&str>, region: &str, path_style: Option<bool>) -> Result<(String, Endpoint)> {
    let path_style = path_style.unwrap_or(endpoint.is_some());
    let host = match endpoint {
        Some(endpoint) => {
            check_endpoint(endpoint)?;
            endpoint.trim_end_matches('/').to_owned()
        }
        None => format!("https://s3.{region}.amazonaws.com"),
    };
    if path_style {
        return Ok((format!("{host}/{bucket}"), Endpoint { address: host, path_style }));
    }
    let address = host.replacen("://", &format!("://{bucket}."), 1);
    Ok((address.clone(), Endpoint { address, path_style }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_stands_in_the_host_or_in_the_path() {
        let address = |endpoint, style| {
            let (address, endpoint) = addresses("b", endpoint, "eu-west-1", style).unwrap();
            (address, endpoint.address)
        };
        let both = |text: &str| (text.to_owned(), text.to_owned());
        assert_eq!(address(None, None), both("https://b.s3.eu-west-1.amazonaws.com"));
        let aws = ("https://s3.eu-west-1.amazonaws.com/b".to_owned(), "https://s3.eu-west-1.amazonaws.com".to_owned());
        assert_eq!(address(None, Some(true)), aws);
        let own = ("http://127.0.0.1:1/b".to_owned(), "http://127.0.0.1:1".to_owned());
        assert_eq!(address(Some("http://127.0.0.1:1/"), None), own);
        assert_eq!(address(Some("https://store.example"), Some(false)), both("https://b.store.example"));
    }
}
