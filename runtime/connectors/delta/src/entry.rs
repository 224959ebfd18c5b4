//! The entry in a table's log that makes a commit: one JSON action per line.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use uuid::Uuid;
use wasmill_engine::{Result, Token};

use super::changes::Changes;
use super::config::WriteMode;
use super::data_file::now_millis;
use super::evolution::Fit;
use super::prepared::{DataFile, Prepared};
use super::state::{MarkNames, Metadata, TableState};

/// The log entry that commits these changes to a table, which need not exist.
pub(crate) fn entry(
    state: Option<&TableState>,
    token: &Token,
    names: &MarkNames,
    prepared: &Prepared,
    changes: &Changes<'_>,
) -> Result<String> {
    let mut lines = vec![commit_info(done(prepared, changes), token, state)];
    match state {
        None => lines.extend(creation(prepared)),
        Some(state) if prepared.write == WriteMode::Overwrite => {
            if !same_columns(state, prepared) {
                let metadata = Metadata {
                    schema_string: prepared.schema.clone(),
                    partition_columns: prepared.partition_by.clone(),
                    ..state.metadata.clone()
                };
                lines.push(metadata.action());
            }
        }
        Some(state) => {
            if let Fit::Grown(schema_string) = Fit::of(state, prepared)? {
                lines.push(Metadata { schema_string, ..state.metadata.clone() }.action());
            }
        }
    }
    lines.extend(names.actions(token)?);
    lines.extend(changes.removed.iter().cloned());
    lines.extend(changes.added.iter().map(|file| add_action(file, true)));
    Ok(join(&lines))
}

/// The entry that moves the token alone: nothing is added, removed or read. It creates a table that is missing.
pub(crate) fn token_entry(
    state: Option<&TableState>,
    token: &Token,
    names: &MarkNames,
    create: impl FnOnce() -> Result<Prepared>,
) -> Result<String> {
    let metrics = json!({"numAddedFiles": "0", "numRemovedFiles": "0", "numOutputRows": "0", "numOutputBytes": "0"});
    let done = Done { operation: "STREAMING UPDATE", parameters: json!({}), metrics, is_blind_append: true };
    let mut lines = vec![commit_info(done, token, state)];
    match state {
        Some(state) => state.check_writable(WriteMode::Append)?,
        None => lines.extend(creation(&create()?)),
    }
    lines.extend(names.actions(token)?);
    Ok(join(&lines))
}

fn done(prepared: &Prepared, changes: &Changes<'_>) -> Done {
    let metrics = write_metrics(changes);
    let write = |mode: &str| json!({ "mode": mode, "partitionBy": serde_json::to_string(&prepared.partition_by).unwrap_or_default() });
    match prepared.write {
        WriteMode::Append => Done { operation: "WRITE", parameters: write("Append"), metrics, is_blind_append: true },
        // It replaces any content, so rows that others add meanwhile matter to it.
        WriteMode::Overwrite => Done { operation: "WRITE", parameters: write("Overwrite"), metrics, is_blind_append: false },
        // So they do here: their keys may be the same.
        WriteMode::Upsert => {
            let equal = prepared.key.iter().map(|column| format!("target.`{column}` = source.`{column}`"));
            let parameters = json!({
                "predicate": equal.collect::<Vec<_>>().join(" AND "),
                "matchedPredicates": r#"[{"actionType":"update"}]"#,
                "notMatchedPredicates": r#"[{"actionType":"insert"}]"#,
            });
            Done { operation: "MERGE", parameters, metrics, is_blind_append: false }
        }
    }
}

/// The metrics of a write, under Spark's names and in its form (texts).
fn write_metrics(changes: &Changes<'_>) -> Value {
    let sum = |of: fn(&DataFile) -> u64| changes.added.iter().map(of).sum::<u64>();
    let mut metrics = json!({
        "numFiles": changes.added.len().to_string(),
        "numOutputRows": sum(|file| file.rows).to_string(),
        "numOutputBytes": sum(|file| file.size).to_string(),
    });
    if !changes.removed.is_empty() {
        let bytes = changes.removed.iter().filter_map(|action| action["remove"]["size"].as_u64()).sum::<u64>();
        metrics["numRemovedFiles"] = changes.removed.len().to_string().into();
        metrics["numRemovedBytes"] = bytes.to_string().into();
    }
    if let Some(merged) = changes.merged {
        let counts = [
            ("numSourceRows", merged.source),
            ("numTargetRowsInserted", (merged.written).saturating_sub(merged.replaced)),
            ("numTargetRowsUpdated", merged.replaced),
            ("numTargetRowsCopied", sum(|file| file.rows).saturating_sub(merged.written)),
            ("numTargetFilesAdded", changes.added.len() as u64),
            ("numTargetFilesRemoved", changes.removed.len() as u64),
        ];
        for (name, count) in counts {
            metrics[name] = count.to_string().into();
        }
    }
    metrics
}

/// The actions that create a table which every Delta reader supports.
fn creation(prepared: &Prepared) -> [Value; 2] {
    let metadata = Metadata::created(Uuid::new_v4(), now_millis(), &prepared.schema, &prepared.partition_by);
    [json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}), metadata.action()]
}

/// The effect of an entry, for the table's history and for other writers that check for conflicts.
struct Done {
    operation: &'static str,
    parameters: Value,
    metrics: Value,
    /// Whether it only added files and depends on none that were there. Spark accepts such entries
    /// between a MERGE or DELETE and its commit.
    is_blind_append: bool,
}

fn commit_info(done: Done, token: &Token, state: Option<&TableState>) -> Value {
    let Done { operation, parameters, metrics, is_blind_append } = done;
    let mut info = json!({
        "timestamp": now_millis(),
        "operation": operation,
        "operationParameters": parameters,
        "operationMetrics": metrics,
        "isBlindAppend": is_blind_append,
        // Makes each attempt's entry unique: this identifies an attempt whose response was lost.
        "txnId": Uuid::new_v4(),
        "engineInfo": concat!("wasmill/", env!("CARGO_PKG_VERSION")),
        "wasmill": { "pipeline": token.pipeline, "sink": token.sink, "incarnation": token.incarnation, "epoch": token.epoch },
    });
    if let (Some(state), Value::Object(fields)) = (state, &mut info) {
        fields.insert("readVersion".to_owned(), state.version.into());
    }
    json!({ "commitInfo": info })
}

/// The action that adds a file to a table.
pub(crate) fn add_action(file: &DataFile, data_change: bool) -> Value {
    json!({"add": {
        "path": escape_uri(&file.path),
        "partitionValues": file.partition_values,
        "size": file.size,
        "modificationTime": file.modified,
        "dataChange": data_change,
        "stats": file.stats,
    }})
}

const ESCAPED_IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b'=')
    .remove(b'+')
    .remove(b',')
    .remove(b'!')
    .remove(b'@')
    .remove(b'&')
    .remove(b'$');

/// A path as the log has it: a relative URI, in which what a folder's name escaped is escaped once more.
pub(crate) fn escape_uri(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED_IN_PATHS).to_string()
}

fn join(lines: &[Value]) -> String {
    let mut entry = String::new();
    for line in lines {
        entry.push_str(&line.to_string());
        entry.push('\n');
    }
    entry
}

fn same_columns(state: &TableState, prepared: &Prepared) -> bool {
    state.metadata.schema_string == prepared.schema && state.metadata.partition_columns == prepared.partition_by
}
