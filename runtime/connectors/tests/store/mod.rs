//! The S3 store of the tests: its address from the environment, a prefix of its own for each test, and a client that is not ours to look.

// Each test program uses a part of it.
#![allow(dead_code)]

pub mod proxy;

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use uuid::Uuid;
use wasmill_connectors::s3::{S3Config, Secret};

/// A variable that the tests' servers set.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start the tests with tests/servers/servers.py run -- …"))
}

/// A prefix of the store that nobody else uses.
pub struct Prefix {
    /// The store, as another client sees it.
    pub store: Arc<AmazonS3>,
    bucket: String,
    /// The prefix, without a slash at its end.
    pub key: String,
    runtime: Runtime,
}

/// How to reach the store of the tests.
pub fn config() -> S3Config {
    S3Config {
        endpoint: Some(variable("WASMILL_TEST_S3")),
        access_key_id: Some(variable("WASMILL_TEST_S3_ACCESS_KEY")),
        secret_access_key: Some(Secret::new(variable("WASMILL_TEST_S3_SECRET_KEY"))),
        ..S3Config::default()
    }
}

impl Prefix {
    pub fn new() -> Self {
        let bucket = variable("WASMILL_TEST_S3_BUCKET");
        let store = AmazonS3Builder::new()
            .with_endpoint(variable("WASMILL_TEST_S3"))
            .with_allow_http(true)
            .with_bucket_name(&bucket)
            .with_region("us-east-1")
            .with_access_key_id(variable("WASMILL_TEST_S3_ACCESS_KEY"))
            .with_secret_access_key(variable("WASMILL_TEST_S3_SECRET_KEY"))
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { store: Arc::new(store), bucket, key: format!("tests/{}", Uuid::new_v4()), runtime }
    }

    /// The address of something below it.
    pub fn uri(&self, name: &str) -> String {
        format!("s3://{}/{}/{name}", self.bucket, self.key)
    }

    /// The key of something below it.
    pub fn path(&self, name: &str) -> Path {
        Path::parse(format!("{}/{name}", self.key)).unwrap()
    }

    /// Waits for a request.
    pub fn wait<F: Future>(&self, request: F) -> F::Output {
        self.runtime.block_on(request)
    }

    /// Puts an object.
    pub fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.wait(self.store.put(&self.path(name), bytes.into().into())).unwrap();
    }

    /// Removes an object.
    pub fn remove(&self, name: &str) {
        self.wait(self.store.delete(&self.path(name))).unwrap();
    }

    /// An object's bytes.
    pub fn get(&self, name: &str) -> Vec<u8> {
        self.wait(async { self.store.get(&self.path(name)).await.unwrap().bytes().await.unwrap() }).into()
    }

    /// The names of all objects below, in order.
    pub fn names(&self) -> Vec<String> {
        let prefix = Path::parse(&self.key).unwrap();
        let objects: Vec<_> = self.wait(self.store.list(Some(&prefix)).try_collect()).unwrap();
        let name = |path: &Path| path.as_ref().strip_prefix(&format!("{}/", self.key)).unwrap().to_owned();
        objects.iter().map(|object| name(&object.location)).collect()
    }
}
