//! The sink `files`: rows into files of a folder, each whole and each once.
//!
//! Lanes write into a hidden folder below the target. A commit first moves the sink's token
//! (compare-and-set under a lock, a small file next to the staged ones). It then renames the files
//! to their place, in folders that partition columns name. Names never replace others. A sink that
//! overwrites removes the files of its last commit before: the token lists these, too.
//!
//! The token comes first so that a suspended process can never add a file once another has
//! advanced: a process that does not find the expected token renames nothing. What a crash leaves
//! between the two steps is finished by the commit that recovery sends again, because the token
//! lists its files.

mod commit;
mod config;
mod replace;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use serde_json::Value;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, Sink, SinkWriter, Token, WriterContext};

pub use config::{FilesSinkConfig, FilesWriteMode};

use self::commit::{Committer, Prepared, StagedFile};
use self::writer::{FilesWriter, record_writer_for};
use wasmill_connect::durable::{create_folder, sync_files, sync_folder};
use wasmill_connect::prepared;
use wasmill_connect::staged::Claims;
use wasmill_lake::{check_partition_columns, without_partition_columns};

/// Writes into one folder.
pub struct FilesSink {
    config: FilesSinkConfig,
    folder: PathBuf,
    schema: SchemaRef,
    claims: Claims,
}

impl FilesSink {
    /// A sink for these columns. Touches nothing; fails with class configuration if the format can't hold them.
    pub fn new(config: FilesSinkConfig, schema: &Schema) -> Result<Self> {
        let sink = Self::without_columns(config)?;
        check_partition_columns(schema, &sink.config.partition_by)?;
        let schema = Arc::new(schema.clone());
        record_writer_for(&sink.config, &without_partition_columns(&schema, &sink.config.partition_by), std::io::sink())?;
        Ok(Self { schema, ..sink })
    }

    /// The sink as a command needs it that only moves its token and commits what was prepared: without columns, and so without writers.
    /// Touches nothing.
    pub fn without_columns(config: FilesSinkConfig) -> Result<Self> {
        config.check()?;
        let folder = PathBuf::from(&config.path);
        let folder = std::path::absolute(&folder).map_err(|error| Error::io(format!("find {}", folder.display()), error))?;
        Ok(Self { config, folder, schema: Arc::new(Schema::empty()), claims: Claims::default() })
    }

    fn committer(&self, pipeline: &str, sink: &str) -> Committer {
        Committer::new(self.folder.clone(), pipeline, sink)
    }
}

impl Sink for FilesSink {
    fn committed(&self, pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        self.committer(pipeline, sink).committed()
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        let staging = self.committer(&context.pipeline, &context.sink).staging().to_path_buf();
        create_folder(&staging)?;
        let claim = self.claims.of(&context);
        Ok(Box::new(FilesWriter::new(self.config.clone(), &self.schema, (context, claim), (&self.folder, staging))?))
    }

    /// Files become durable here and not when a lane's writer prepares, so that lanes continue with
    /// the next epoch meanwhile.
    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        let mut files: Vec<StagedFile> = Vec::new();
        for part in parts {
            let part: Vec<StagedFile> = prepared::read_part(part)?;
            files.extend(part);
        }
        let committer = self.committer(&token.pipeline, &token.sink);
        sync_files(&files.iter().map(|file| committer.staging().join(&file.staged)).collect::<Vec<_>>())?;
        if !files.is_empty() {
            sync_folder(committer.staging())?;
        }
        if self.config.write == FilesWriteMode::Overwrite {
            committer.check_alone()?;
        }
        let prepared = Prepared::new(files, self.config.write);
        // Once in a checkpoint, a commit whose names are taken would stop the pipeline permanently.
        committer.check(&prepared)?;
        prepared.to_value()
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        self.committer(&token.pipeline, &token.sink).commit(token, &Prepared::read(prepared)?)
    }

    fn adopt(&self, token: &Token) -> Result<()> {
        self.committer(&token.pipeline, &token.sink).adopt(token)
    }

    fn clean_up(&self, claim: &Token) -> Result<()> {
        self.claims.set(claim);
        let committer = self.committer(&claim.pipeline, &claim.sink);
        committer.clean_up(claim)?;
        // At its end a run would find out too late.
        if self.config.write == FilesWriteMode::Overwrite { committer.check_alone() } else { Ok(()) }
    }
}
