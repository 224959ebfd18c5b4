//! Stand-ins for a bucket in a binary without a client: types without values, and errors that name
//! the missing feature.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use wasmill_connect::examine::Finding;
use wasmill_engine::{Error, Result, StateStore};

use crate::codes::NO_CLIENT;
use crate::{Completion, Object, Put, RetryTime, S3Config, S3Uri, Upload, UploadEpoch, Use};

fn left_out(what: impl fmt::Display) -> Error {
    Error::configuration(format!("this wasmill can't reach buckets, and {what} lies in one"))
        .code(NO_CLIENT)
        .hint("use a wasmill that was built with the feature `s3`")
}

/// A bucket; never created.
#[derive(Debug)]
pub struct Bucket(Infallible);

impl Bucket {
    /// Fails: there is no client.
    ///
    /// # Errors
    /// Configuration, always.
    pub fn open(name: &str, _: &S3Config, _: RetryTime) -> Result<Arc<Self>> {
        Err(left_out(format_args!("s3://{name}")))
    }

    /// The bucket as an object store of the Delta kernel.
    pub fn for_kernel(self: &Arc<Self>) -> Arc<dyn ObjectStore> {
        match self.0 {}
    }

    /// The longest part of a key.
    pub fn longest_name(&self) -> usize {
        match self.0 {}
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    /// Never called: there is no bucket.
    pub fn any(&self, _: &str, _: impl Fn(&Object) -> bool) -> Result<bool> {
        match self.0 {}
    }

    /// The objects below a prefix.
    ///
    /// # Errors
    /// Never called: there is no bucket.
    pub fn list(&self, _: &str) -> Result<Vec<Object>> {
        match self.0 {}
    }

    /// An object's bytes.
    ///
    /// # Errors
    /// Never called: there is no bucket.
    pub fn read(&self, _: &str) -> Result<Option<Bytes>> {
        match self.0 {}
    }

    /// The metadata of an object.
    ///
    /// # Errors
    /// Never called: there is no bucket.
    pub fn metadata(&self, _: &str) -> Result<Option<Object>> {
        match self.0 {}
    }

    /// Puts an object if there is none.
    ///
    /// # Errors
    /// Never called: there is no bucket.
    pub fn write_new(&self, _: &str, _: &Bytes) -> Result<Put> {
        match self.0 {}
    }

    /// Removes objects.
    ///
    /// # Errors
    /// Never called: there is no bucket.
    pub fn remove(&self, _: impl IntoIterator<Item = String>) -> Result<()> {
        match self.0 {}
    }
}

/// A failed request; never created.
#[derive(Debug)]
pub struct Failure(Infallible);

impl fmt::Display for Failure {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl StdError for Failure {}

/// The error of a failed request.
pub fn failed(_: impl fmt::Display, failure: &Failure) -> Error {
    match failure.0 {}
}

/// An upload that only its note can find.
#[derive(Debug)]
pub struct PendingUpload(Infallible);

/// The notes of a sink; never created.
#[derive(Debug)]
pub struct UploadNotes(Infallible);

impl UploadNotes {
    /// The notes of a sink that writes below a place.
    pub fn new(bucket: &Arc<Bucket>, _: &S3Uri, _: &str, _: &str) -> Arc<Self> {
        match bucket.0 {}
    }

    /// The bucket.
    pub fn bucket(&self) -> &Arc<Bucket> {
        match self.0 {}
    }

    /// Makes uploads visible.
    ///
    /// # Errors
    /// Never called: there are no uploads.
    pub fn complete(&self, _: Vec<Completion<'_>>) -> Result<()> {
        match self.0 {}
    }

    /// Removes what processes before this claim left.
    ///
    /// # Errors
    /// Never: there is nothing to remove.
    pub fn clean_up(&self, _: UploadEpoch, _: impl Fn(&PendingUpload) -> bool) -> Result<()> {
        match self.0 {}
    }
}

/// Takes the bytes of one object; never created.
#[derive(Debug)]
pub struct ObjectWriter(Infallible);

impl ObjectWriter {
    /// Starts an object.
    pub fn create(notes: &Arc<UploadNotes>, _: UploadEpoch, _: String) -> Self {
        match notes.0 {}
    }

    /// How many bytes it has taken.
    pub fn size(&self) -> u64 {
        match self.0 {}
    }

    /// Bytes of memory that wait.
    pub fn held_back(&self) -> usize {
        match self.0 {}
    }

    /// Its address.
    pub fn shown(&self) -> String {
        match self.0 {}
    }

    /// Ends the object.
    ///
    /// # Errors
    /// Never called: there is no object.
    pub fn finish(&mut self) -> Result<Uploading> {
        match self.0 {}
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

/// An object whose last parts may still be in flight; never created.
#[derive(Debug)]
pub struct Uploading(Infallible);

impl Uploading {
    /// Its key.
    pub fn key(&self) -> &str {
        match self.0 {}
    }

    /// Aborts it.
    pub fn abort(self) {
        match self.0 {}
    }

    /// Waits for its last part.
    ///
    /// # Errors
    /// Never called: there is no object.
    pub fn wait(&mut self) -> Result<Upload> {
        match self.0 {}
    }
}

/// Fails: there is no client.
///
/// # Errors
/// Configuration, always.
pub fn open_state(state: &str, _: &str) -> Result<Box<dyn StateStore>> {
    Err(left_out(format_args!("the state {state}")))
}

/// Reports that there is no client.
pub fn examine(uri: &str, _: &S3Config, _: Use) -> Vec<Finding> {
    vec![Finding::Bad(left_out(uri))]
}
