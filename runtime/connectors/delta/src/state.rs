//! A sink's view of a table at one version: just enough to decide about a commit and to write it.

use delta_kernel::schema::StructType;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wasmill_engine::{Committed, Error, Result, Token};

use super::config::WriteMode;
use super::schema::{SchemaDifference, TableSchema, differences};
use crate::codes::{DAMAGED, FEATURES};
use wasmill_connect::durable::escape;

/// A table at one version, as far as one sink of one pipeline needs it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableState {
    /// The version.
    pub version: u64,
    /// The protocol that the table requires.
    pub protocol: Value,
    /// The table's metadata, as its log has it.
    pub metadata: Metadata,
    /// What the log records of the sink's commits.
    pub marks: Marks,
}

/// The table's metadata: the columns, and what other writers keep with them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// The columns, as JSON.
    pub schema_string: String,
    /// The partition columns.
    #[serde(default)]
    pub partition_columns: Vec<String>,
    /// The table's properties.
    #[serde(default)]
    pub configuration: Map<String, Value>,
    /// Everything else, kept for an overwrite.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Metadata {
    /// The metadata of a table that is being created.
    pub(crate) fn created(id: Uuid, now_millis: i64, schema: &str, partition_by: &[String]) -> Self {
        let rest = json!({"id": id.to_string(), "format": {"provider": "parquet", "options": {}}, "createdTime": now_millis});
        let rest = if let Value::Object(rest) = rest { rest } else { Map::new() };
        Self { schema_string: schema.to_owned(), partition_columns: partition_by.to_vec(), configuration: Map::new(), rest }
    }

    /// The table's id.
    pub(crate) fn id(&self) -> &str {
        self.rest.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// The action that states it in a log.
    pub(crate) fn action(&self) -> Value {
        let mut fields = self.rest.clone();
        fields.insert("schemaString".to_owned(), self.schema_string.clone().into());
        fields.insert("partitionColumns".to_owned(), self.partition_columns.clone().into());
        fields.insert("configuration".to_owned(), Value::Object(self.configuration.clone()));
        json!({ "metaData": fields })
    }

    /// The columns.
    pub(crate) fn schema(&self) -> Result<StructType> {
        serde_json::from_str(&self.schema_string)
            .map_err(|error| Error::environment(format!("the table's schema can't be read: {error}")).code(DAMAGED))
    }
}

/// The names under which a sink keeps its token in a table's log. Delta only has "application X is
/// at version N", N being a 64-bit number. So the token takes three such entries, always written
/// together: the epoch and the two halves of the incarnation. They have no time, so they never
/// expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MarkNames {
    epoch: String,
    high: String,
    low: String,
}

impl MarkNames {
    /// The names of one sink of one pipeline.
    pub(crate) fn new(pipeline: &str, sink: &str) -> Self {
        let epoch = format!("wasmill/{}/{}", escape(pipeline), escape(sink));
        Self { high: format!("{epoch}/incarnation-high"), low: format!("{epoch}/incarnation-low"), epoch }
    }

    /// All of them.
    pub(crate) fn all(&self) -> [&str; 3] {
        [&self.epoch, &self.high, &self.low]
    }

    /// The actions that set the token.
    pub(crate) fn actions(&self, token: &Token) -> Result<[Value; 3]> {
        let epoch = i64::try_from(token.epoch).map_err(|_| Error::bug(format!("epoch {} is out of range", token.epoch)))?;
        let (high, low) = token.incarnation.as_u64_pair();
        let action = |name: &str, version: i64| json!({"txn": {"appId": name, "version": version}});
        Ok([action(&self.epoch, epoch), action(&self.high, high.cast_signed()), action(&self.low, low.cast_signed())])
    }
}

/// The entries of [`MarkNames`] that a log has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    values: [Option<i64>; 3],
}

impl Marks {
    /// Takes an entry over if it belongs to this token.
    pub(crate) fn set(&mut self, names: &MarkNames, name: &str, version: i64) {
        for (slot, ours) in self.values.iter_mut().zip(names.all()) {
            if ours == name {
                *slot = Some(version);
            }
        }
    }

    /// Their token, if all are there.
    pub(crate) fn committed(&self) -> Option<Committed> {
        let [Some(epoch), Some(high), Some(low)] = self.values else { return None };
        let incarnation = Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned());
        Some(Committed { incarnation, epoch: u64::try_from(epoch).ok()? })
    }
}

/// The parts of a log's line that change a [`TableState`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    txn: Option<Txn>,
    meta_data: Option<Metadata>,
    protocol: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

impl TableState {
    /// The state after the next version, whose log entry this is.
    pub(crate) fn apply(&mut self, names: &MarkNames, entry: &str) -> Result<()> {
        let version = self.version + 1;
        for line in entry.lines().filter(|line| !line.trim().is_empty()) {
            let line: Line = serde_json::from_str(line)
                .map_err(|error| Error::environment(format!("version {version} of the table's log is damaged: {error}")).code(DAMAGED))?;
            if let Some(txn) = line.txn {
                self.marks.set(names, &txn.app_id, txn.version);
            }
            if let Some(metadata) = line.meta_data {
                self.metadata = metadata;
            }
            if let Some(protocol) = line.protocol {
                self.protocol = protocol;
            }
        }
        self.version = version;
        Ok(())
    }

    /// How the columns of a pipeline differ from those of this table.
    pub(crate) fn differences(&self, pipeline: &TableSchema) -> Result<Vec<SchemaDifference>> {
        Ok(differences(&self.metadata.schema()?, &self.metadata.partition_columns, pipeline))
    }

    /// Fails if the table requires more of its writers than this sink supports, which writes so.
    pub(crate) fn check_writable(&self, write: WriteMode) -> Result<()> {
        let number = |name: &str| self.protocol.get(name).and_then(Value::as_i64).unwrap_or(i64::MAX);
        let (reader, writer) = (number("minReaderVersion"), number("minWriterVersion"));
        let features: Vec<&str> =
            self.protocol.get("writerFeatures").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut asked = Vec::new();
        match writer {
            ..=2 => {}
            7 => asked.extend(features.into_iter().filter(|feature| !harmless(feature)).map(str::to_owned)),
            _ => asked.push(format!("writer version {writer}")),
        }
        if reader > 3 {
            asked.push(format!("reader version {reader}"));
        }
        if self.metadata.schema_string.contains("\"delta.invariants\"") {
            asked.push("invariants of columns".to_owned());
        }
        if write != WriteMode::Append && self.property("delta.appendOnly") == Some("true") {
            asked.push("rows that are never removed (delta.appendOnly)".to_owned());
        }
        if !asked.is_empty() {
            return Err(Error::environment(format!("the table requires features that this sink does not support: {}", asked.join(", ")))
                .code(FEATURES)
                .hint("write into another table, or recreate this one without those features"));
        }
        Ok(())
    }

    /// A property of the table.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.metadata.configuration.get(name).and_then(Value::as_str)
    }
}

/// Features that require nothing of a writer that adds files, and removes others whole, with the
/// deletion vectors that they have.
fn harmless(feature: &str) -> bool {
    matches!(
        feature,
        "appendOnly" | "invariants" | "timestampNtz" | "v2Checkpoint" | "vacuumProtocolCheck" | "domainMetadata" | "deletionVectors"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> TableState {
        TableState {
            version: 4,
            protocol: json!({"minReaderVersion": 1, "minWriterVersion": 2}),
            metadata: Metadata::created(Uuid::nil(), 7, r#"{"type":"struct","fields":[]}"#, &[]),
            marks: Marks::default(),
        }
    }

    #[test]
    fn a_token_survives_the_log() {
        let names = MarkNames::new("p", "s");
        for incarnation in [Uuid::new_v4(), Uuid::nil(), Uuid::max()] {
            let token = Token { pipeline: "p".into(), sink: "s".into(), incarnation, epoch: 12, previous: 11 };
            let entry: Vec<String> = names.actions(&token).unwrap().iter().map(Value::to_string).collect();
            let mut state = state();
            state.apply(&names, &entry.join("\n")).unwrap();
            assert_eq!(state.marks.committed(), Some(Committed { incarnation, epoch: 12 }));
            assert_eq!(state.version, 5);
            let mut other = super::tests::state();
            other.apply(&MarkNames::new("p", "other"), &entry.join("\n")).unwrap();
            assert_eq!(other.marks.committed(), None);
        }
    }

    #[test]
    fn metadata_keeps_what_it_does_not_know() {
        let action = json!({"metaData": {"id": "x", "format": {"provider": "parquet", "options": {}}, "name": "n", "unknown": 1,
            "schemaString": "{}", "partitionColumns": ["a"], "configuration": {"k": "v"}, "createdTime": 5}});
        let mut state = state();
        state.apply(&MarkNames::new("p", "s"), &action.to_string()).unwrap();
        assert_eq!(state.metadata.action(), action);
        assert_eq!(state.property("k"), Some("v"));
    }

    #[test]
    fn tables_that_ask_for_more_are_left_alone() {
        let with = |protocol: Value| TableState { protocol, ..state() }.check_writable(WriteMode::Upsert);
        assert!(with(json!({"minReaderVersion": 1, "minWriterVersion": 2})).is_ok());
        let features = |list: &[&str]| json!({"minReaderVersion": 3, "minWriterVersion": 7, "writerFeatures": list});
        assert!(with(features(&["appendOnly", "deletionVectors"])).is_ok());
        let error = with(features(&["columnMapping", "rowTracking", "changeDataFeed"])).unwrap_err();
        assert!(error.message().contains("columnMapping, rowTracking, changeDataFeed"), "{error}");
        assert!(with(json!({"minReaderVersion": 1, "minWriterVersion": 4})).is_err());
        assert!(with(json!({"minReaderVersion": 2, "minWriterVersion": 5})).is_err());
        assert!(with(json!({})).is_err());
    }

    #[test]
    fn rows_that_are_never_removed_are_not_replaced() {
        let mut table = state();
        table.metadata.configuration.insert("delta.appendOnly".to_owned(), json!("true"));
        assert!(table.check_writable(WriteMode::Append).is_ok());
        for write in [WriteMode::Upsert, WriteMode::Overwrite] {
            assert!(table.check_writable(write).unwrap_err().message().contains("delta.appendOnly"));
        }
    }

    #[test]
    fn a_damaged_log_is_an_error() {
        let error = state().apply(&MarkNames::new("p", "s"), "{\"add\":").unwrap_err();
        assert!(error.message().contains("version 5"), "{error}");
    }
}
