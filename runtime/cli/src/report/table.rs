//! Reads everything that lies where a sink writes, through the engine: in all lanes, with the same rejects as any other run.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use parking_lot::Mutex;
use serde_json::Value;
use wasmill_connect::Sampling;
use wasmill_connect::registry::{Extent, SourceColumns, SourceConnector, SourceRequest};
use wasmill_engine::{
    CommitOutcome, Committed, EpochPolicy, Error, Event, Input, LocalState, Mode, Observer, Plan, Result, RowReject, Sink, SinkNode,
    SinkWriter, SourceNode, StopSignal, Token, WriterContext, dead_letter_schema,
};

use super::profile::TableProfile;
use super::rejects::Rejects;
use crate::check::{BuiltConnectors, Connectors};

/// The name of the source and of the sink in the plan that reads.
const TABLE: &str = "table";
const BATCH_ROWS: usize = 8192;

/// What a table holds. `written`: the columns that the sink gets, which type files that do not name their types.
///
/// # Errors
/// It can't be read, or some of its rows can't.
pub fn profile(name: &str, source: Arc<dyn SourceConnector>, written: &SchemaRef) -> Result<TableProfile> {
    let schema = columns(name, &*source, written)?;
    read(&*source, &schema, TableProfile::new(&schema))
}

/// What dead letters hold.
///
/// # Errors
/// As of [`profile`].
pub fn rejects(source: Arc<dyn SourceConnector>) -> Result<Rejects> {
    let schema = columns("dead letters", &*source, &dead_letter_schema())?;
    read(&*source, &schema, Rejects::default())
}

fn columns(name: &str, source: &dyn SourceConnector, written: &SchemaRef) -> Result<SchemaRef> {
    // Tables and databases name their types.
    let declared = if source.is_sampled() { Arc::clone(written) } else { Arc::new(Schema::empty()) };
    let columns = SourceColumns { declared, needed: Arc::new(Schema::empty()), extent: Extent::All };
    Ok(BuiltConnectors.source_schema(name, source, &columns, Mode::Batch)?.schema)
}

/// What is gathered of rows, by each lane for itself at first.
pub trait Gathering: Clone + Send + Sync + 'static {
    /// Takes rows.
    fn take(&mut self, records: &RecordBatch) -> Result<()>;

    /// Takes what another lane has gathered.
    fn merge(&mut self, other: Self) -> Result<()>;
}

fn read<G: Gathering>(connector: &dyn SourceConnector, schema: &SchemaRef, nothing: G) -> Result<G> {
    let request = SourceRequest {
        pipeline: "report",
        name: TABLE,
        schema: Arc::clone(schema),
        mode: Mode::Batch,
        sampling: Sampling::default(),
        state: None,
    };
    let source = SourceNode { name: TABLE.into(), source: connector.build(request)?, max_reject_share: 1.0 };
    let (gathered, refused) = (Arc::new(Gatherer::of(nothing)), Arc::new(Gatherer::of(Rejects::default())));
    let sink = |sink: Arc<dyn Sink>, inputs, schema| SinkNode { name: TABLE.into(), sink, inputs, schema };
    let plan = Plan {
        name: "report".into(),
        mode: Mode::Batch,
        drains: false,
        lanes: crate::plan::default_lanes(),
        batch_rows: BATCH_ROWS,
        row_as_json: wasmill_formats::json::row_to_json,
        epoch: EpochPolicy { every: Duration::MAX, rows: u64::MAX, whole_run: true },
        limit: None,
        is_rehearsal: true,
        sources: vec![source],
        stages: Vec::new(),
        sinks: vec![sink(Arc::clone(&gathered) as _, vec![Input::Source(0)], Arc::clone(schema))],
        dead_letters: Some(SinkNode {
            name: crate::plan::DEAD_LETTERS.into(),
            ..sink(Arc::clone(&refused) as _, Vec::new(), dead_letter_schema())
        }),
    };
    let folder = tempfile::tempdir().map_err(|error| Error::io("create a temporary folder", error))?;
    let state = Arc::new(LocalState::open(folder.path(), "report")?);
    wasmill_engine::run(plan, state, &StopSignal::new(), &Unobserved)?;
    let refused = refused.all();
    if let Some(first) = refused.kinds.first() {
        let message = first.examples.first().map(|example| example.message.as_str()).unwrap_or_default();
        return Err(Error::environment(format!("{} of its rows can't be read back; one of them: {message}", refused.total())));
    }
    Ok(gathered.all())
}

struct Unobserved;

impl Observer for Unobserved {
    fn on(&self, _: Event<'_>) {}
}

/// A sink that gathers.
struct Gatherer<G> {
    nothing: G,
    all: Arc<Mutex<G>>,
}

impl<G: Gathering> Gatherer<G> {
    fn of(nothing: G) -> Self {
        Self { all: Arc::new(Mutex::new(nothing.clone())), nothing }
    }

    fn all(&self) -> G {
        self.all.lock().clone()
    }
}

impl<G: Gathering> Sink for Gatherer<G> {
    fn remembers(&self) -> bool {
        false
    }

    fn committed(&self, _: &str, _: &str) -> Result<Option<Committed>> {
        Ok(None)
    }

    fn writer(&self, _: WriterContext) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Lane { gathered: self.nothing.clone(), all: Arc::clone(&self.all) }))
    }

    fn prepare(&self, _: &Token, _: Vec<Value>) -> Result<Value> {
        Ok(Value::Null)
    }

    fn commit(&self, _: &Token, _: &Value) -> Result<CommitOutcome> {
        Ok(CommitOutcome::Done)
    }

    fn adopt(&self, _: &Token) -> Result<()> {
        Ok(())
    }

    fn clean_up(&self, _: &Token) -> Result<()> {
        Ok(())
    }
}

struct Lane<G> {
    gathered: G,
    all: Arc<Mutex<G>>,
}

impl<G: Gathering> SinkWriter for Lane<G> {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        self.gathered.take(records)?;
        Ok(Vec::new())
    }

    fn prepare(self: Box<Self>) -> Result<Value> {
        self.all.lock().merge(self.gathered)?;
        Ok(Value::Null)
    }
}
