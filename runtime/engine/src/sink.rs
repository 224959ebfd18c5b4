//! The contract of a sink: write, prepare, commit, and a token that makes committing twice impossible.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Result, RowReject};

/// Names one commit of one pipeline into one sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name in the pipeline.
    pub sink: String,
    /// Which life of the pipeline's state this is: new when its state is created or reset.
    pub incarnation: Uuid,
    /// The epoch that is committed, from 1.
    pub epoch: u64,
    /// The epoch of the commit before it in this sink, 0 for none. A sink moves from `previous` to `epoch` by compare-and-set.
    pub previous: u64,
}

/// What a sink remembers of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The incarnation that committed last.
    pub incarnation: Uuid,
    /// Its last epoch in this sink.
    pub epoch: u64,
}

/// How a commit went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The epoch's rows are visible, and were not before this call.
    Done,
    /// The epoch had been committed before: nothing was changed.
    Already,
}

/// What a writer is for.
#[derive(Debug, Clone)]
pub struct WriterContext {
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name in the pipeline.
    pub sink: String,
    /// The life of the pipeline's state.
    pub incarnation: Uuid,
    /// The epoch that the rows belong to.
    pub epoch: u64,
    /// The lane that writes.
    pub lane: usize,
    /// The columns of every batch that will come.
    pub schema: SchemaRef,
}

/// A place that batches go to. Shared by all lanes.
///
/// # Contract
/// * What writers wrote is invisible to every reader of the sink until `commit`.
/// * When `prepare` has returned, what was written is durable, and `commit` needs only the returned
///   value: no source, no plugin, no memory of this process. Another process may call it, after a
///   crash, with a newer version of Wasmill.
/// * `commit` is atomic and idempotent. It compares and sets the sink's own token `(incarnation,
///   epoch)`. If the sink's token equals the commit's, it returns [`CommitOutcome::Already`]. If it
///   equals `previous` (0: nothing yet of this pipeline and incarnation), it commits. Anything else
///   is an error of class environment that contains "fenced", and nothing is changed. An attempt
///   whose outcome is unclear is re-read before it is retried; retries are bounded.
/// * Only `write` may reject rows. An error found later stops the pipeline.
/// * A sink that can't fulfil this (a console) states so in its documentation and fulfils the rest.
pub trait Sink: Send + Sync {
    /// Whether the sink keeps a token. One that does not (a console) can't be exactly-once, and its
    /// token is never read.
    fn remembers(&self) -> bool {
        true
    }

    /// What the sink remembers of this pipeline and sink name, whichever incarnation it was.
    fn committed(&self, pipeline: &str, sink: &str) -> Result<Option<Committed>>;

    /// Opens the writer of one lane for one epoch. Called on the lane's own thread when the epoch's first rows arrive.
    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>>;

    /// Builds one prepared commit of what the lanes' writers prepared. The parts come in the order
    /// of lanes; there is at least one.
    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value>;

    /// Makes a prepared commit visible.
    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome>;

    /// Takes the sink over for this incarnation at this epoch (0: nothing yet), whatever its token.
    /// Nothing becomes visible or invisible. Only `wasmill state adopt` and `reset` call it.
    fn adopt(&self, token: &Token) -> Result<()>;

    /// Removes what earlier processes wrote for epochs that no checkpoint names. `claim` is the epoch that this process has claimed.
    ///
    /// Called once at the start, after recovery and before any writer is opened. The process may be
    /// suspended between its claim and this call, or during it, while another process takes over.
    /// So it removes only what the claim's incarnation wrote for epochs up to `claim.epoch`, and
    /// only this pipeline's and this sink's files. What a successor writes belongs to later epochs.
    /// Committed files stay. Lanes are ahead of the epoch that is being committed: a sink that
    /// knows under which claim a file was written also removes those of earlier claims.
    fn clean_up(&self, claim: &Token) -> Result<()>;
}

/// Writes the rows of one lane for one epoch. Dropping it without `prepare` leaves nothing visible.
pub trait SinkWriter: Send {
    /// Takes rows. Those that this sink can't hold come back as rejects (in increasing order of row); the rest are taken.
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>>;

    /// Finishes what was written and returns what to commit. It must be durable when
    /// [`Sink::prepare`] returns, not yet here, because a lane waits for this.
    fn prepare(self: Box<Self>) -> Result<Value>;
}
