//! The commit of an epoch: one transaction that holds its rows and moves the sink's token.
//!
//! A new producer fences every earlier one of its name and ends what that one left open. The token
//! read after that holds until this producer is fenced itself. So the token is read once per
//! producer, and each of its commits compares with the one before. After any failure a new producer
//! starts, and reads again: it sees whether a transaction went through whose response was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Committed, Result, Token, failpoint};

use super::Topic;
use super::config::KafkaSinkConfig;
use super::failure::{Failure, with_retries};
use super::prepared::Prepared;
use super::producer::Session;
use super::record::{Record, Records};
use super::target::{Partitions, Target};
use super::tokens::{Content, Tokens, is_of, is_present, key, transactional_id};
use crate::client::{Health, producing};
use crate::cluster::Cluster;
use crate::config::KafkaConfig;
use crate::token::Tokens as SaslTokens;
use wasmill_connect::spool::Spool;
use wasmill_connect::token::{Step, compare};

/// All records on their way together are at most about so large.
const QUEUED_KBYTES: usize = 32 << 10;
/// The largest batch, if the topic allows it.
const BATCH_BYTES: usize = 1_000_000;
/// Records are larger in a request than alone; what is too large for the topic was rejected before.
const REQUEST_ROOM: usize = 64 << 10;

/// Commits into one topic; keeps its producer from epoch to epoch.
pub(super) struct Committer {
    config: KafkaSinkConfig,
    reading: KafkaConfig,
    name: String,
    health: Arc<Health>,
    sasl: Option<Arc<SaslTokens>>,
    patience: Duration,
    transaction_timeout: Duration,
    cluster: Option<Arc<Cluster>>,
    target: Option<Arc<Target>>,
    open: Option<Open>,
    /// Another producer of this name has started: check whether it is entitled to, before it is
    /// fenced in turn.
    fenced: bool,
}

/// A running producer, and the sink's token as long as it runs.
struct Open {
    key: String,
    session: Session,
    current: Option<Content>,
}

/// A commit under way.
struct Work<'a> {
    token: &'a Token,
    content: Content,
    key: String,
    deadline: Instant,
}

impl Committer {
    /// A committer without a connection.
    pub(super) fn new(config: &KafkaSinkConfig) -> Result<Self> {
        let reading = config.reading();
        Ok(Self {
            config: config.clone(),
            sasl: SaslTokens::of(config.connection.security.as_ref()).map(Arc::new),
            patience: config.retry.time()?,
            transaction_timeout: config.transaction_timeout()?,
            name: format!("to-{}", config.topic),
            reading,
            health: Arc::default(),
            cluster: None,
            target: None,
            open: None,
            fenced: false,
        })
    }

    /// The options of its producers, for a topic with batches of this many bytes.
    pub(super) fn options(&self, transactional_id: &str, max_batch: usize) -> ClientConfig {
        let defaults = [("queue.buffering.max.kbytes", QUEUED_KBYTES.max(2 * (max_batch >> 10)).to_string())];
        let wanted = self.config.client.get("batch.size").and_then(|size| size.text().parse().ok());
        let fixed = [
            ("batch.size", max_batch.min(wanted.unwrap_or(BATCH_BYTES)).to_string()),
            ("transactional.id", transactional_id.to_owned()),
            ("transaction.timeout.ms", self.transaction_timeout.as_millis().to_string()),
            ("enable.idempotence", "true".to_owned()),
            ("acks", "all".to_owned()),
            ("compression.codec", self.config.compression.name().to_owned()),
            // What Java's clients do: murmur2 of the key, and any partition without one.
            ("partitioner", "murmur2_random".to_owned()),
            ("message.max.bytes", (max_batch + REQUEST_ROOM).clamp(1000, 1_000_000_000).to_string()),
            ("allow.auto.create.topics", "false".to_owned()),
        ];
        producing(&self.reading, &self.name, &defaults, &fixed)
    }

    /// The topic as it was at the first request to the brokers.
    pub(super) fn target(&mut self) -> Result<Arc<Target>> {
        if let Some(target) = &self.target {
            return Ok(Arc::clone(target));
        }
        let cluster = self.cluster()?;
        let target = Arc::new(Target::query(&self.config, &cluster)?);
        self.target = Some(Arc::clone(&target));
        Ok(target)
    }

    /// The same for writers, which also see partitions that are added later.
    pub(super) fn topic(&mut self) -> Result<Topic> {
        let target = self.target()?;
        let partitions = Arc::new(Partitions::new(self.cluster()?, &self.config, &target)?);
        Ok(Topic { target, partitions })
    }

    fn cluster(&mut self) -> Result<Arc<Cluster>> {
        if let Some(cluster) = &self.cluster {
            return Ok(Arc::clone(cluster));
        }
        let group = format!("wasmill-{}", self.name);
        let cluster = Arc::new(Cluster::start(&self.reading, &self.name, &group, &self.health, self.sasl.as_ref())?);
        self.cluster = Some(Arc::clone(&cluster));
        Ok(cluster)
    }

    /// The token, without fencing any producer.
    pub(super) fn committed(&mut self, pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        // A missing topic is reported here, at the start of a run.
        self.target()?;
        let (cluster, health) = (self.cluster()?, Arc::clone(&self.health));
        let (key, deadline) = (key(pipeline, sink, &self.config.topic), Instant::now() + self.patience);
        let tokens = Tokens { topic: &self.config.commits_topic, config: &self.reading, cluster: &cluster };
        let content = with_retries(deadline, &health, || match tokens.is_present()? {
            true => tokens.read(&key, deadline, |_| Ok(())),
            false => Ok(None),
        });
        Ok(content.map_err(|error| error.at(format!("topic {}", self.config.commits_topic)))?.map(|content| content.committed()))
    }

    /// Commits a prepared epoch.
    pub(super) fn commit(&mut self, token: &Token, prepared: &Prepared, spool: &Spool) -> Result<CommitOutcome> {
        self.target()?;
        self.work(token, |this, work| this.commit_once(work, prepared, spool))
    }

    /// Sets the token whatever it was.
    pub(super) fn adopt(&mut self, token: &Token) -> Result<()> {
        self.target()?;
        self.open = None;
        self.work(token, |this, work| {
            let mut open = this.take_open(work)?;
            if open.current.as_ref().is_none_or(|current| current.committed() != work.content.committed()) {
                open.session.begin()?;
                this.finish(&open.session, work).inspect_err(|failure| give_up(&open.session, failure, work))?;
                open.current = Some(work.content.clone());
            }
            this.open = Some(open);
            Ok(())
        })
    }

    fn work<T>(&mut self, token: &Token, mut attempt: impl FnMut(&mut Self, &Work<'_>) -> Result<T, Failure>) -> Result<T> {
        let health = Arc::clone(&self.health);
        let (content, deadline) = (Content::new(token, Uuid::new_v4()), Instant::now() + self.patience);
        let key = key(&token.pipeline, &token.sink, &self.config.topic);
        let work = Work { token, content, key, deadline };
        let done = with_retries(deadline, &health, || {
            let done = attempt(self, &work);
            self.fenced |= done.as_ref().is_err_and(|failure| failure.fenced);
            done
        });
        done.map_err(|error| error.at(format!("topic {}", self.config.topic)))
    }

    /// One attempt at a commit. Whatever ends it early is rolled back when the next producer
    /// starts.
    fn commit_once(&mut self, work: &Work<'_>, prepared: &Prepared, spool: &Spool) -> Result<CommitOutcome, Failure> {
        if std::mem::take(&mut self.fenced)
            && let Some(outcome) = outcome(self.read(work, false)?.as_ref(), work)?
        {
            return Ok(outcome);
        }
        let mut open = self.take_open(work)?;
        if let Some(outcome) = outcome(open.current.as_ref(), work)? {
            self.open = Some(open);
            return Ok(outcome);
        }
        spool.check(&prepared.files)?;
        open.session.begin()?;
        let written = self.write(&open.session, work, prepared, spool).and_then(|()| self.finish(&open.session, work));
        written.inspect_err(|failure| give_up(&open.session, failure, work))?;
        open.current = Some(work.content.clone());
        self.open = Some(open);
        Ok(CommitOutcome::Done)
    }

    /// The producer that is up, or a new one.
    fn take_open(&mut self, work: &Work<'_>) -> Result<Open, Failure> {
        if let Some(open) = self.open.take_if(|open| open.key == work.key) {
            return Ok(open);
        }
        // Another key's producer goes first: it may hold no transaction.
        self.open = None;
        let (cluster, target) = (self.cluster()?, self.target()?);
        self.check_topic(&cluster)?;
        Tokens { topic: &self.config.commits_topic, config: &self.reading, cluster: &cluster }.create(&target)?;
        let session = self.start(&work.key, work.deadline)?;
        let current = self.read(work, true)?;
        Ok(Open { key: work.key.clone(), session, current })
    }

    /// A topic that was deleted since the run began: its brokers would make the producer wait for
    /// it.
    fn check_topic(&self, cluster: &Cluster) -> Result<(), Failure> {
        match is_present(cluster, &self.config.topic)? {
            true => Ok(()),
            false => {
                Err(Failure::of_code("write the rows", RDKafkaErrorCode::UnknownTopicOrPartition, "the topic does not exist any more"))
            }
        }
    }

    fn start(&mut self, key: &str, deadline: Instant) -> Result<Session, Failure> {
        let max_batch = self.target()?.max_batch;
        Session::start(&self.options(&transactional_id(key), max_batch), (&self.health, self.sasl.as_ref()), deadline)
    }

    /// Reads the token. With `may_fence`, it ends transactions that other sinks of this pipeline
    /// left open when their process ended. No other process may be at work for this pipeline now;
    /// one that is notices and continues.
    fn read(&mut self, work: &Work<'_>, may_fence: bool) -> Result<Option<Content>, Failure> {
        let (cluster, reading, topic) = (self.cluster()?, self.reading.clone(), self.config.commits_topic.clone());
        let tokens = Tokens { topic: &topic, config: &reading, cluster: &cluster };
        tokens.read(&work.key, work.deadline, |holder| match may_fence && is_of(holder, &work.token.pipeline) {
            true => self.start(holder, work.deadline).map(drop),
            false => Ok(()),
        })
    }

    /// Produces the rows.
    fn write(&self, session: &Session, work: &Work<'_>, prepared: &Prepared, spool: &Spool) -> Result<(), Failure> {
        for file in &prepared.files {
            let mut records = Records::new(spool.open(file)?);
            while let Some(record) = records.next()? {
                session.send(&prepared.topic, &record, work.deadline)?;
            }
        }
        failpoint::hit("kafka-commit-before-token");
        Ok(())
    }

    /// Produces the token and commits.
    fn finish(&self, session: &Session, work: &Work<'_>) -> Result<(), Failure> {
        session.send(&self.config.commits_topic, &Record::token(work.key.as_bytes(), &work.content.bytes()?), work.deadline)?;
        session.flush(work.deadline)?;
        failpoint::hit("kafka-commit-before-commit");
        session.commit(work.deadline)?;
        failpoint::hit("kafka-commit-after-commit");
        Ok(())
    }
}

/// The state of the commit by the token: done, by this process or by others, or still to do
/// (`None`).
fn outcome(current: Option<&Content>, work: &Work<'_>) -> Result<Option<CommitOutcome>> {
    if current.is_some_and(|current| current.attempt == work.content.attempt) {
        return Ok(Some(CommitOutcome::Done));
    }
    let current = current.map(Content::committed);
    Ok(match compare(current.as_ref(), work.token)? {
        Step::Already => Some(CommitOutcome::Already),
        Step::Commit => None,
    })
}

/// Ends a transaction whose producer will not restart soon.
fn give_up(session: &Session, failure: &Failure, work: &Work<'_>) {
    if !failure.transient || Instant::now() >= work.deadline {
        session.abort();
    }
}

/// The options of every producer of a configuration, for a check without requests.
pub(super) fn check_options(config: &KafkaSinkConfig) -> Result<()> {
    let options = Committer::new(config)?.options("wasmill-check", BATCH_BYTES);
    crate::client::check(&options)
}
