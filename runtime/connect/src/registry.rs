//! How a connector describes itself to the rest of Wasmill: the only interface by which the command
//! line knows it.
//!
//! A connector is a crate with a constant of type [`Connector`]. Its parts are the configurations
//! of a source and of a sink, which implement [`SourceConnector`] and [`SinkConnector`]. The
//! pipeline file's schema, the reference, the check, the plan, `doctor` and `list` are generated
//! from these.

use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{Field, Schema as ArrowSchema, SchemaRef};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use wasmill_engine::{Code, Depot, LocalDepot, Mode, Result, Sink, Source};

use crate::columns::{Inferred, Sampling, Survey};
use crate::examine::Finding;
pub use crate::server::{Address, Server};
pub use crate::source_columns::{Extent, SourceColumns, columns_of_records, columns_of_sample};

/// A connector: its name in pipeline files, and what it can be there.
#[derive(Debug)]
pub struct Connector {
    /// The key in pipeline files: `kafka`.
    pub name: &'static str,
    /// It as a source, if it can be one.
    pub source: Option<SourceEntry>,
    /// It as a sink, if it can be one.
    pub sink: Option<SinkEntry>,
    /// Reads a value for a reference of a pipeline file, if it can.
    pub only_value: Option<OnlyValue>,
    /// The kinds of errors that only it has.
    pub codes: &'static [&'static Code],
}

/// The value of a column in the only row of the table that lies at a place.
///
/// # Errors
/// Environment: there is no such table, column or value, or not exactly one row. No error holds a value.
pub type OnlyValue = fn(place: &str, column: &str) -> Result<String>;

/// The documentation of a key: its line in a pipeline file, and a sentence.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// The smallest line that works: `kafka: { connection: { brokers: "b1:9092" }, topics: [pin] }`.
    pub example: &'static str,
    /// Its purpose: `Reads topics of Apache Kafka: JSON, or values as they are.`
    pub summary: &'static str,
}

/// Reads a configuration from any deserializer.
pub type Read<C> = fn(&mut dyn erased_serde::Deserializer<'_>) -> Result<Arc<C>, erased_serde::Error>;

/// A connector as a source.
#[derive(Debug)]
pub struct SourceEntry {
    /// Its documentation.
    pub usage: Usage,
    /// The JSON Schema of its configuration.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads its configuration.
    pub read: Read<dyn SourceConnector>,
}

/// A connector as a sink.
#[derive(Debug)]
pub struct SinkEntry {
    /// Its documentation.
    pub usage: Usage,
    /// The JSON Schema of its configuration.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads its configuration.
    pub read: Read<dyn SinkConnector>,
    /// How often a row is written, whatever fails.
    pub delivery: Delivery,
    /// Whether dead letters may go there.
    pub dead_letters: DeadLetters,
}

/// Whether a sink takes dead letters.
#[derive(Debug, Clone, Copy)]
pub enum DeadLetters {
    /// It can, and its documentation for that use.
    Taken(Usage),
    /// It can't: a sentence with the reason.
    Refused(&'static str),
}

impl Connector {
    /// A connector that can be nothing yet.
    pub const fn new(name: &'static str) -> Self {
        Self { name, source: None, sink: None, only_value: None, codes: &[] }
    }

    /// The same, of whose tables a pipeline file takes values: `${table:NAME:PLACE#COLUMN}`.
    #[must_use]
    pub const fn with_only_value(mut self, only_value: OnlyValue) -> Self {
        self.only_value = Some(only_value);
        self
    }

    /// The same, with the kinds of errors that only it has.
    #[must_use]
    pub const fn with_codes(mut self, codes: &'static [&'static Code]) -> Self {
        self.codes = codes;
        self
    }

    /// The same, which can be a source with the configuration `C`.
    #[must_use]
    pub const fn with_source<C: SourceConnector + DeserializeOwned + JsonSchema + 'static>(mut self, usage: Usage) -> Self {
        self.source = Some(SourceEntry {
            usage,
            schema: |generator| generator.subschema_for::<Option<C>>(),
            read: |node| Ok(Arc::new(erased_serde::deserialize::<C>(node)?)),
        });
        self
    }

    /// The same, which can be a sink with the configuration `C`.
    #[must_use]
    pub const fn with_sink<C: SinkConnector + DeserializeOwned + JsonSchema + 'static>(
        mut self,
        usage: Usage,
        delivery: Delivery,
        dead_letters: DeadLetters,
    ) -> Self {
        self.sink = Some(SinkEntry {
            usage,
            schema: |generator| generator.subschema_for::<Option<C>>(),
            read: |node| Ok(Arc::new(erased_serde::deserialize::<C>(node)?)),
            delivery,
            dead_letters,
        });
        self
    }
}

/// What a source is built for.
#[derive(Debug, Clone)]
pub struct SourceRequest<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// The name of the source in it.
    pub name: &'a str,
    /// Every column that its batches have, reserved `_source.` columns included.
    pub schema: SchemaRef,
    /// Whether the run ends with its input.
    pub mode: Mode,
    /// What a sample found of these, and what to do about columns that occur and are not among
    /// them.
    pub sampling: Sampling,
    /// The folder of the pipeline's state, where that is one of this machine: for a source that
    /// must hold something durably before it is read. A check does not create it.
    pub state: Option<&'a Path>,
}

/// The configuration of a source.
pub trait SourceConnector: Any + fmt::Debug + Send + Sync {
    /// The connector and what it reads, in words and without secrets: `kafka pin of b1:9092`.
    fn describe(&self) -> String;

    /// The server that it needs, if it needs one. This sends no request. Of a server that can't be
    /// reached, or must not be, only [`Self::build`] is called, and [`Self::columns`] where
    /// [`Self::knows_columns`].
    fn server(&self) -> Option<Server> {
        None
    }

    /// Whether [`Self::columns`] follows from its configuration alone, without a request to a
    /// server.
    fn knows_columns(&self) -> bool {
        false
    }

    /// The columns that it has, where they are certain or must be discovered because nothing else
    /// declares them. `None` if it returns whatever is requested. It is called where the source
    /// [must declare its columns](SourceColumns::needs_discovery).
    ///
    /// # Errors
    /// Configuration: nothing declares the columns. Environment: what is read can't be reached.
    fn columns(&self, wanted: &SourceColumns) -> Result<Option<Inferred>>;

    /// The columns that it adds itself on request, each with its default type.
    fn reserved_columns(&self) -> Vec<Field> {
        Vec::new()
    }

    /// Which columns it has, as far as a quick survey finds; `None` where it does not.
    ///
    /// # Errors
    /// Environment: what is read can't be reached.
    fn survey(&self) -> Result<Option<Survey>> {
        Ok(None)
    }

    /// Whether its columns come from a sample of its records where nothing declares them.
    fn is_sampled(&self) -> bool {
        false
    }

    /// Whether it never ends, also in a batch, and what bounds it: the key that does.
    fn endless(&self) -> Option<&'static str> {
        None
    }

    /// The columns that hold a record's place in a log of topics, partitions and offsets, if its
    /// records have one.
    fn place_columns(&self) -> Vec<Field> {
        Vec::new()
    }

    /// The source. Touches nothing yet.
    ///
    /// # Errors
    /// Configuration: bad options, or columns that it can't give.
    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>>;

    /// Examines what it reads, without changing anything.
    fn examine(&self) -> Vec<Finding>;
}

/// What a sink does with what is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// It adds to it.
    Append,
    /// It replaces it, once, at the end of a run.
    Overwrite,
    /// It displays rows, and nothing is kept.
    Show,
}

/// How often a row is written to a sink, whatever fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Once.
    ExactlyOnce,
    /// Once, and more than once after a crash.
    AtLeastOnce,
}

/// The configuration of a sink.
pub trait SinkConnector: Any + fmt::Debug + Send + Sync {
    /// The connector and where it writes, in words and without secrets: `delta out/pin_table`.
    fn describe(&self) -> String;

    /// The server that it needs, if it needs one. This sends no request. Of a server that can't be
    /// reached, or must not be, only [`Self::build`] is called.
    fn server(&self) -> Option<Server> {
        None
    }

    /// Where it writes; `None` where two sinks may write.
    fn place(&self) -> Option<&str> {
        None
    }

    /// What it does with what is there already.
    fn writes(&self) -> Writes {
        Writes::Append
    }

    /// The columns by which a row replaces the one that is there already; `None`: rows are added.
    fn replaces_by(&self) -> Option<&[String]> {
        None
    }

    /// The source that reads all that it has written, and what else lies there; `None`: it can't be read back.
    fn reads_back(&self) -> Option<Arc<dyn SourceConnector>> {
        None
    }

    /// Whether columns that come up later are added to what is there.
    fn adds_columns(&self) -> bool {
        false
    }

    /// Whether it writes a source's records one by one by their places in it, so that no stage may
    /// come between.
    fn wants_places(&self) -> bool {
        false
    }

    /// How these columns differ from those of a table that is there already.
    ///
    /// # Errors
    /// Configuration: bad options, or columns that it can't hold. Environment: the table can't be reached.
    fn differences(&self, schema: &SchemaRef) -> Result<Vec<String>>;

    /// What to do about such differences.
    fn remedy(&self) -> &'static str {
        "write into another table, or change this one"
    }

    /// The sink for these columns. Contacts nothing yet. What has to wait for its commit in files does so in the depot of the pipeline's state.
    ///
    /// # Errors
    /// Configuration: bad options, or columns that it can't hold.
    fn build(&self, schema: &ArrowSchema, depot: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>>;

    /// The sink for a command that only moves its token and commits what was prepared. `None`: it has no token and nothing that could wait.
    ///
    /// # Errors
    /// Configuration: bad options.
    fn build_without_columns(&self, depot: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>>;

    /// Examines where it writes, without changing anything.
    fn examine(&self) -> Vec<Finding>;
}

/// A depot for sinks that are built only to be checked, and never write.
pub fn no_depot() -> Arc<dyn Depot> {
    Arc::new(LocalDepot::new(""))
}

/// The finding for a source that responds, accepts the credentials and can be read: its columns.
pub fn examine_columns(place: &str, found: Result<SchemaRef>) -> Vec<Finding> {
    vec![match found {
        Ok(schema) => Finding::Good(format!("{place} can be read: {} columns", schema.fields().len())),
        Err(error) => Finding::Bad(error),
    }]
}
