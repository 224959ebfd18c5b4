//! The S3 stores of the tests: their addresses from the environment, a prefix of its own for each test, and a client that is not ours to look.

// Each test program uses a part of it.
#![allow(dead_code)]

pub mod proxy;

use std::cell::Cell;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Credentials, Region};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::runtime::Runtime;
use uuid::Uuid;
use wasmill_objects::{S3Config, Secret};

/// A variable that the tests' servers set.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start the tests with tests/servers/servers.py run -- …"))
}

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    SeaweedFs,
    /// Lists uploads for a whole key only.
    MinIo,
}

thread_local! {
    /// The store of the test that runs on this thread.
    static CURRENT: Cell<Store> = const { Cell::new(Store::SeaweedFs) };
}

impl Store {
    pub fn endpoint(self) -> String {
        variable(match self {
            Self::SeaweedFs => "WASMILL_TEST_S3",
            Self::MinIo => "WASMILL_TEST_MINIO",
        })
    }
}

/// Runs a test on a store.
pub fn on(store: Store, test: fn()) {
    CURRENT.set(store);
    test();
}

/// Makes tests of functions, one for each store.
#[allow(unused_macros)]
macro_rules! on_each_store {
    ($($test:ident),* $(,)?) => {
        mod on_seaweedfs {
            $(#[test] fn $test() { crate::store::on(crate::store::Store::SeaweedFs, super::$test) })*
        }
        mod on_minio {
            $(#[test] fn $test() { crate::store::on(crate::store::Store::MinIo, super::$test) })*
        }
    };
}
#[allow(unused_imports)]
pub(crate) use on_each_store;

/// A prefix of the store that nobody else uses.
pub struct Prefix {
    pub store: Store,
    /// The store, as another client sees it.
    pub client: Client,
    pub bucket: String,
    /// The prefix, without a slash at its end.
    pub key: String,
    runtime: Runtime,
}

/// How to reach the store of this thread's test.
pub fn config() -> S3Config {
    config_of(CURRENT.get())
}

/// How to reach a store.
pub fn config_of(store: Store) -> S3Config {
    S3Config {
        endpoint: Some(store.endpoint()),
        access_key_id: Some(variable("WASMILL_TEST_S3_ACCESS_KEY")),
        secret_access_key: Some(Secret::new(variable("WASMILL_TEST_S3_SECRET_KEY"))),
        ..S3Config::default()
    }
}

impl Prefix {
    /// In the store of this thread's test.
    pub fn new() -> Self {
        Self::of(CURRENT.get())
    }

    pub fn of(store: Store) -> Self {
        let bucket = variable("WASMILL_TEST_S3_BUCKET");
        let credentials =
            Credentials::new(variable("WASMILL_TEST_S3_ACCESS_KEY"), variable("WASMILL_TEST_S3_SECRET_KEY"), None, None, "tests");
        let config = Builder::new()
            .behavior_version_latest()
            .http_client(aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
            .endpoint_url(store.endpoint())
            .force_path_style(true)
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { store, client: Client::from_conf(config.build()), bucket, key: format!("tests/{}", Uuid::new_v4()), runtime }
    }

    /// The address of something below it.
    pub fn uri(&self, name: &str) -> String {
        format!("s3://{}/{}/{name}", self.bucket, self.key)
    }

    /// The key of something below it.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.key)
    }

    /// Waits for a request.
    pub fn wait<F: Future>(&self, request: F) -> F::Output {
        self.runtime.block_on(request)
    }

    /// Puts an object.
    pub fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.wait(self.put_object(name, bytes));
    }

    /// The same, to be waited for.
    pub fn put_object<B: Into<Vec<u8>>>(&self, name: &str, bytes: B) -> impl Future<Output = ()> + use<B> {
        let put = self.client.put_object().bucket(&self.bucket).key(self.path(name)).body(bytes.into().into());
        async move { drop(put.send().await.unwrap()) }
    }

    /// Removes an object.
    pub fn remove(&self, name: &str) {
        self.wait(self.client.delete_object().bucket(&self.bucket).key(self.path(name)).send()).unwrap();
    }

    /// An object's bytes.
    pub fn get(&self, name: &str) -> Vec<u8> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.path(name)).send();
        self.wait(async { get.await.unwrap().body.collect().await.unwrap() }).to_vec()
    }

    /// The names of all objects below, in order.
    pub fn names(&self) -> Vec<String> {
        let prefix = format!("{}/", self.key);
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix).into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = self.wait(pages.next()) {
            names.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().strip_prefix(&prefix).unwrap().to_owned()));
        }
        names
    }
}
