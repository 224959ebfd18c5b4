//! The sink `kafka`: rows as records of a topic, exactly once for readers of committed records.
//!
//! A transaction is open only while an epoch commits: it would time out otherwise, and block
//! readers. Lanes therefore spool their rows as records next to the pipeline's state, where they
//! are durable when the epoch is prepared. A commit produces them and the sink's token, a record of
//! a compacted topic, in one transaction. Its producer's name is that of the pipeline and the sink,
//! so of two processes only the one that started last can write.

mod commit;
mod config;
mod examine;
mod failure;
mod layout;
mod prepared;
mod producer;
mod record;
mod sender;
mod target;
mod tokens;
mod writer;

use std::sync::Arc;

use arrow_schema::Schema;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use wasmill_engine::{CommitOutcome, Committed, Depot, Error, Result, Sink, SinkWriter, Token, WriterContext};

use self::commit::Committer;
pub use self::config::{KafkaCompression, KafkaSinkConfig};
pub(super) use self::examine::topic_findings;
use self::layout::Layout;
use self::prepared::Prepared;
pub use self::sender::Sender;
use self::target::{Partitions, Target};
use self::writer::KafkaWriter;
use wasmill_connect::codes::PREPARED_ELSEWHERE;
use wasmill_connect::columns_unknown;
use wasmill_connect::prepared as stored;
use wasmill_connect::spool::Spool;

/// What a writer needs about the topic.
#[derive(Clone)]
struct Topic {
    target: Arc<Target>,
    partitions: Arc<Partitions>,
}

/// Writes into one topic.
pub struct KafkaSink {
    topic: String,
    /// Its columns; none where it only moves its token.
    layout: Option<Arc<Layout>>,
    depot: Arc<dyn Depot>,
    committer: Mutex<Committer>,
    /// The topic, once its metadata was read. Separate from the committer, so that lanes continue
    /// while it commits.
    target: Mutex<Option<Topic>>,
}

impl KafkaSink {
    /// A sink for these columns, whose epochs wait for their commit in the depot of the pipeline's state. Connects to nothing.
    ///
    /// # Errors
    /// Configuration: bad options, or columns that can't be what they should be.
    pub fn new(config: &KafkaSinkConfig, schema: &Schema, depot: Arc<dyn Depot>) -> Result<Self> {
        let layout = Arc::new(Layout::new(config, schema)?);
        Ok(Self { layout: Some(layout), ..Self::without_columns(config, depot)? })
    }

    /// The sink as a command needs it that only moves its token and commits what was prepared: without columns, and so without writers.
    /// Connects to nothing.
    ///
    /// # Errors
    /// Configuration: bad options.
    pub fn without_columns(config: &KafkaSinkConfig, depot: Arc<dyn Depot>) -> Result<Self> {
        config.check()?;
        commit::check_options(config)?;
        let committer = Mutex::new(Committer::new(config)?);
        Ok(Self { topic: config.topic.clone(), layout: None, depot, committer, target: Mutex::default() })
    }

    fn spool(&self, pipeline: &str, sink: &str) -> Spool {
        Spool::of(&self.depot, pipeline, sink)
    }

    fn target(&self) -> Result<Topic> {
        let mut known = self.target.lock();
        if let Some(topic) = known.as_ref() {
            return Ok(topic.clone());
        }
        Ok(known.insert(self.committer().topic()?).clone())
    }

    /// A panic that holds it leaves at worst a producer, which its next use finds out about.
    fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock()
    }
}

impl Sink for KafkaSink {
    fn committed(&self, pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        self.committer().committed(pipeline, sink)
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        let spool = self.spool(&context.pipeline, &context.sink);
        let (target, layout) = (self.target()?, self.layout.as_ref().ok_or_else(|| columns_unknown("the sink"))?);
        Ok(Box::new(KafkaWriter::new(Arc::clone(layout), target, spool, context)))
    }

    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        let files = self.spool(&token.pipeline, &token.sink).collect(parts)?;
        stored::write(&Prepared { format: Prepared::FORMAT, topic: self.topic.clone(), files })
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        let prepared = Prepared::read(prepared)?;
        if prepared.topic != self.topic {
            return Err(Error::environment(format!(
                "epoch {} was prepared for the topic {}, and the sink writes into {} now",
                token.epoch, prepared.topic, self.topic
            ))
            .code(PREPARED_ELSEWHERE)
            .hint("run the pipeline once with the topic that it had; then change it"));
        }
        let spool = self.spool(&token.pipeline, &token.sink);
        let outcome = self.committer().commit(token, &prepared, &spool)?;
        spool.remove(&prepared.files);
        Ok(outcome)
    }

    fn adopt(&self, token: &Token) -> Result<()> {
        self.committer().adopt(token)
    }

    fn clean_up(&self, claim: &Token) -> Result<()> {
        self.spool(&claim.pipeline, &claim.sink).clean_up(claim)
    }
}
