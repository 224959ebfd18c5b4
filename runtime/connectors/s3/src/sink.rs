//! The sink `s3`: rows into objects below a prefix, each whole and each once.
//!
//! Lanes upload parts. A commit first moves the sink's token, a small object that is replaced only
//! if it is still the one that was read. It then completes the uploads, which makes the objects
//! visible. The token lists its uploads, so that what a crash leaves between the two is finished by
//! the commit that recovery sends again. Every upload is noted before it begins, so that the next
//! start finds what was never committed.

mod config;
mod connect;
mod objects;
mod token;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, Sink, SinkWriter, Token, WriterContext, failpoint};

pub use self::config::{S3Layout, S3SinkConfig};
use self::connect::{Columns, ConnectWriter};
use self::token::{StoredToken, TokenObject};
use self::writer::{S3Writer, encoder};
use wasmill_connect::codes::PREPARED_UNREADABLE;
use wasmill_connect::digest::owner;
use wasmill_connect::durable::owner_name;
use wasmill_connect::prepared;
use wasmill_connect::staged::Claims;
use wasmill_connect::token::{Step, compare};
use wasmill_lake::check_partition_columns;
use wasmill_objects::gone;
use wasmill_objects::{Bucket, Completion, RetryTime, S3Uri, Upload, UploadEpoch, UploadNotes, Uploading};

use crate::codes::PREFIX_TAKEN;

/// Uploads of lanes that have prepared and whose last parts may still be on their way, by their keys.
type Pending = Arc<Mutex<HashMap<String, Uploading>>>;

/// An object that waits for its commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PreparedObject {
    /// Its key below the sink's prefix.
    path: String,
    /// Bytes.
    size: u64,
    /// Rows.
    rows: u64,
    /// Its upload; none while its last parts are on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upload: Option<Upload>,
}

/// A prepared commit as a checkpoint keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Prepared {
    format: u32,
    files: Vec<PreparedObject>,
}

const FORMAT: u32 = 1;

/// Writes below one prefix.
pub struct S3Sink {
    config: S3SinkConfig,
    place: S3Uri,
    schema: SchemaRef,
    pending: Pending,
    claims: Claims,
    /// The notes of each sink of a pipeline that this value serves.
    notes: Mutex<HashMap<String, Arc<UploadNotes>>>,
}

/// The destination of a lane's objects.
struct Destination {
    place: S3Uri,
    pending: Pending,
    notes: Arc<UploadNotes>,
    epoch: UploadEpoch,
}

impl S3Sink {
    /// A sink for these columns. Touches nothing; fails with class configuration if the format can't hold them.
    pub fn new(config: S3SinkConfig, schema: &Schema) -> Result<Self> {
        config.check()?;
        check_partition_columns(schema, &config.partition_by)?;
        if config.layout == S3Layout::Connect {
            Columns::new(schema)?;
        }
        let schema = Arc::new(schema.clone());
        encoder(&config, &config.object_schema(&schema), std::io::sink())?;
        Ok(Self { schema, ..Self::without_columns(config)? })
    }

    /// The sink as a command needs it that only moves its token and commits what was prepared: without columns, and so without writers.
    /// Touches nothing.
    pub fn without_columns(config: S3SinkConfig) -> Result<Self> {
        config.check()?;
        Ok(Self {
            place: S3Uri::parse(&config.uri)?,
            config,
            schema: Arc::new(Schema::empty()),
            pending: Pending::default(),
            claims: Claims::default(),
            notes: Mutex::default(),
        })
    }

    fn bucket(&self) -> Result<Arc<Bucket>> {
        Bucket::open(&self.place.bucket, &self.config.connection, RetryTime::Run(self.config.retry.time()?))
    }

    fn token(&self, pipeline: &str, sink: &str) -> Result<TokenObject> {
        Ok(TokenObject::new(self.bucket()?, &self.place, pipeline, sink))
    }

    fn notes(&self, pipeline: &str, sink: &str) -> Result<Arc<UploadNotes>> {
        let bucket = self.bucket()?;
        let mut notes = self.notes.lock();
        let own = notes.entry(owner_name(pipeline, sink)).or_insert_with(|| UploadNotes::new(&bucket, &self.place, pipeline, sink));
        Ok(Arc::clone(own))
    }

    /// Fails if an object could neither be completed nor is there.
    fn check(&self, bucket: &Bucket, files: &[PreparedObject]) -> Result<()> {
        let keys = self.keys(files);
        match bucket.find_missing(completions(files, &keys)?)? {
            None => Ok(()),
            Some(key) => Err(gone(&bucket.shown(key))),
        }
    }

    fn keys(&self, files: &[PreparedObject]) -> Vec<String> {
        files.iter().map(|file| self.place.below(&file.path)).collect()
    }

    /// In Kafka Connect's layout two sinks below one prefix would take each other's objects for their own.
    fn check_alone(&self, pipeline: &str, sink: &str) -> Result<()> {
        let (bucket, own) = (self.bucket()?, self.token(pipeline, sink)?);
        let folder = self.place.below("_wasmill/");
        let objects = bucket.list(&folder)?;
        // Notes of uploads lie one folder deeper.
        let is_token = |key: &str| key.strip_prefix(&folder).is_some_and(|name| !name.contains('/'));
        match objects.iter().find(|object| object.key != own.key() && is_token(&object.key)) {
            None => Ok(()),
            Some(other) => Err(Error::environment(format!(
                "the prefix {} belongs to another sink: {} is its token",
                self.place,
                bucket.shown(&other.key)
            ))
            .code(PREFIX_TAKEN)
            .hint("with `layout: connect` each sink has a prefix of its own; remove the token if that sink no longer exists")),
        }
    }

    fn publish(&self, token: &Token, files: &[PreparedObject]) -> Result<()> {
        let keys = self.keys(files);
        self.notes(&token.pipeline, &token.sink)?.complete(completions(files, &keys)?)
    }
}

fn completions<'a>(files: &'a [PreparedObject], keys: &'a [String]) -> Result<Vec<Completion<'a>>> {
    let completion =
        |(file, key): (&'a PreparedObject, &'a String)| uploaded(file).map(|upload| Completion { key, size: file.size, upload });
    files.iter().zip(keys).map(completion).collect()
}

fn uploaded(file: &PreparedObject) -> Result<&Upload> {
    file.upload
        .as_ref()
        .ok_or_else(|| Error::environment(format!("the prepared commit has no upload of {}", file.path)).code(PREPARED_UNREADABLE))
}

impl Sink for S3Sink {
    fn committed(&self, pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        if self.config.layout == S3Layout::Connect {
            self.check_alone(pipeline, sink)?;
        }
        Ok(self.token(pipeline, sink)?.read()?.map(|token| token.content.committed()))
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        let claim = self.claims.of(&context);
        let destination = Destination {
            place: self.place.clone(),
            pending: Arc::clone(&self.pending),
            notes: self.notes(&context.pipeline, &context.sink)?,
            epoch: UploadEpoch { claim, ..UploadEpoch::of_writer(&context) },
        };
        Ok(match self.config.layout {
            S3Layout::Hive => Box::new(S3Writer::new(self.config.clone(), &self.schema, (context, claim), destination)?),
            S3Layout::Connect => Box::new(ConnectWriter::new(self.config.clone(), &self.schema, destination)?),
        })
    }

    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        let mut files: Vec<PreparedObject> = Vec::new();
        for part in parts {
            let part: Vec<PreparedObject> = prepared::read_part(part)?;
            files.extend(part);
        }
        for file in &mut files {
            let key = self.place.below(&file.path);
            let uploading = self.pending.lock().remove(&key);
            let mut uploading = uploading.ok_or_else(|| Error::bug(format!("no upload of {key} of epoch {} is open", token.epoch)))?;
            file.upload = Some(uploading.wait()?);
        }
        prepared::write(&Prepared { format: FORMAT, files })
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        let (prepared, bucket) = (prepared::read::<Prepared>(prepared, FORMAT)?, self.bucket()?);
        let object = self.token(&token.pipeline, &token.sink)?;
        failpoint::hit("s3-commit-before-token");
        let (outcome, decided) = object.advance(token, &prepared.files, |current| {
            let step = compare(current, token)?;
            if step == Step::Commit {
                self.check(&bucket, &prepared.files)?;
            }
            Ok(step)
        })?;
        failpoint::hit("s3-commit-after-token");
        // Also where the token was set already: the process that set it may have ended right after.
        // Its objects count, whatever this commit holds.
        self.publish(token, &decided)?;
        failpoint::hit("s3-commit-after-complete");
        Ok(outcome)
    }

    fn adopt(&self, token: &Token) -> Result<()> {
        let object = self.token(&token.pipeline, &token.sink)?;
        // What a commit before left half done is finished first: it was decided.
        if let Some(StoredToken { content: current, .. }) = object.read()? {
            self.publish(token, &current.files)?;
        }
        let target = Committed { incarnation: token.incarnation, epoch: token.epoch };
        object.advance(token, &[], |current| Ok(if current == Some(&target) { Step::Already } else { Step::Commit })).map(drop)
    }

    fn clean_up(&self, claim: &Token) -> Result<()> {
        self.claims.set(claim);
        failpoint::hit("sink-clean-up");
        let decided = self.token(&claim.pipeline, &claim.sink)?.read()?.map(|token| token.content.files).unwrap_or_default();
        // By their ids: an upload whose response was lost may have the key of the one that took its
        // place.
        let decided: Vec<_> = decided.iter().filter_map(|file| Some(file.upload.as_ref()?.id.as_str())).collect();
        self.notes(&claim.pipeline, &claim.sink)?.clean_up(UploadEpoch::of(claim), |upload| decided.contains(&upload.id.as_str()))
    }
}
