//! What every stage promises the engine, asked of every shipped plugin and every built-in stage: determinism, every row accounted for, and
//! answers that do not depend on how rows were cut into batches.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use wasmill_cli::plugins::{HostedPlugins, OpenRequest, OpenedWork, PluginCatalog, PluginFolders, StageBounds};
use wasmill_cli::spec::{LimitsSpec, OnFault};
use wasmill_emulator::{EmulatorConfig, EmulatorSource};
use wasmill_engine::{Mode, Progress, Read, Source, Stage, StageOutput};
use wasmill_sql::{Filter, Parsed, Select};
use wasmill_stages::ColumnChange;

use crate::support::plugin_folder;

/// The stage of a plugin with its default configuration, and emulated rows for it, heavily dirty.
fn stage_and_rows(table: &str) -> (Arc<dyn Stage>, Vec<RecordBatch>) {
    let catalog = HostedPlugins::new(PluginFolders::new(vec![plugin_folder()])).unwrap();
    let plugin = catalog.find(&format!("clean-{table}").parse().unwrap()).unwrap();
    let config = serde_json::json!({});
    let bounds = StageBounds { limits: LimitsSpec::default(), on_fault: OnFault::Reject, max_faults: 0 };
    let needs = plugin.prepare(&config, &bounds).unwrap();
    let opened = plugin.open(&OpenRequest { config: &config, input: needs.columns.clone(), bounds: &bounds }).unwrap();
    let OpenedWork::Rows(stage) = opened.work() else { panic!("a plugin is a stage of single rows") };
    (stage, rows_of(table, needs.columns))
}

/// Emulated rows of a table, heavily dirty.
fn rows_of(table: &str, columns: SchemaRef) -> Vec<RecordBatch> {
    let emulator = serde_json::json!({ "table": table, "rows": 3000, "seed": 11, "dirt": "heavy" });
    let emulator: EmulatorConfig = serde_json::from_value(emulator).unwrap();
    let mut source = EmulatorSource::new("rows", &emulator, columns, Mode::Batch).unwrap();
    let mut batches = Vec::new();
    for split in source.discover(&Progress::new()).unwrap().splits {
        let mut reader = source.opener().open(&split).unwrap();
        while let Read::Batch(read) = reader.read(700).unwrap() {
            batches.push(read.batch.records);
        }
    }
    batches.retain(|batch| batch.num_rows() > 0);
    assert!(batches.len() > 2, "{} batches", batches.len());
    batches
}

/// Every input row is the origin of a row, or rejected, or left out: never two of the first two. Schemas and indices are right.
fn check_accounts(stage: &dyn Stage, rows: usize, output: &StageOutput) {
    let ports = stage.ports();
    let mut used = vec![false; rows];
    for out in &output.outputs {
        assert_eq!(out.records.schema(), ports[out.port].1, "the schema of port {}", ports[out.port].0);
        match &out.origins {
            None => {
                // Every row that is not rejected.
                assert_eq!(out.records.num_rows(), rows - output.rejects.len());
                (0..rows).filter(|&row| output.rejects.iter().all(|reject| reject.row as usize != row)).for_each(|row| used[row] = true);
            }
            Some(origins) => {
                assert!(origins.is_sorted() && origins.len() == out.records.num_rows());
                origins.iter().for_each(|&origin| used[origin as usize] = true);
            }
        }
    }
    assert!(output.rejects.is_sorted_by_key(|reject| reject.row));
    for reject in &output.rejects {
        assert!(!std::mem::replace(&mut used[reject.row as usize], true), "row {} is rejected and sent out, or rejected twice", reject.row);
        assert!(!reject.code.is_empty() && !reject.message.is_empty());
    }
}

/// Rows by port and rejects by row, in a form that can be compared.
type Told = (Vec<(usize, RecordBatch)>, Vec<(u32, String)>);

fn told(output: &StageOutput) -> Told {
    let rows = output.outputs.iter().map(|out| (out.port, out.records.clone())).collect();
    (rows, output.rejects.iter().map(|reject| (reject.row, reject.code.clone())).collect())
}

fn count(outputs: &[StageOutput]) -> (usize, usize) {
    let rows = outputs.iter().flat_map(|output| &output.outputs).map(|out| out.records.num_rows()).sum();
    (rows, outputs.iter().map(|output| output.rejects.len()).sum())
}

fn check_stage(table: &str) {
    let (stage, batches) = stage_and_rows(table);
    let (rows, rejects) = check_answers(table, &stage, &batches);
    assert!(rows > 0 && rejects > 0, "{table}: {rows} rows, {rejects} rejects: the input shows nothing");
}

/// Gives the rows and the rejects.
fn check_answers(table: &str, stage: &Arc<dyn Stage>, batches: &[RecordBatch]) -> (usize, usize) {
    let (mut first, mut second) = (stage.open(0).unwrap(), stage.open(1).unwrap());
    let mut whole = Vec::new();
    let mut halves = Vec::new();
    for batch in batches {
        let answer = first.process(batch).unwrap();
        check_accounts(&**stage, batch.num_rows(), &answer);
        assert_eq!(told(&second.process(batch).unwrap()), told(&answer), "{table}: another instance gives another answer");
        let middle = batch.num_rows() / 2;
        for part in [batch.slice(0, middle), batch.slice(middle, batch.num_rows() - middle)] {
            if part.num_rows() > 0 {
                halves.push(first.process(&part).unwrap());
            }
        }
        whole.push(answer);
    }
    assert_eq!(count(&whole), count(&halves), "{table}: rows and rejects depend on where batches are cut");
    count(&whole)
}

#[test]
fn built_in_stages_keep_the_contract_of_a_stage() {
    let config: EmulatorConfig = serde_json::from_value(serde_json::json!({ "table": "pin", "rows": 1 })).unwrap();
    let columns = config.table.schema();
    let batches = rows_of("pin", Arc::clone(&columns));
    let names = [("index", "ind"), ("title", "description"), ("description", "title")];
    let names = names.map(|(old, new)| (old.to_owned(), new.to_owned())).into();
    for change in [ColumnChange::Rename(names), ColumnChange::Drop(vec!["tag_list".to_owned(), "category".to_owned()])] {
        let stage: Arc<dyn Stage> = Arc::new(change.stage(&columns));
        let answered = check_answers(&format!("{change:?}"), &stage, &batches);
        assert_eq!(answered, (batches.iter().map(RecordBatch::num_rows).sum(), 0), "every row passes");
    }
}

#[test]
fn stages_in_sql_keep_the_contract_of_a_stage() {
    let config: EmulatorConfig = serde_json::from_value(serde_json::json!({ "table": "pin", "rows": 1 })).unwrap();
    let columns = config.table.schema();
    let batches = rows_of("pin", Arc::clone(&columns));
    let parsed = |text: &str| Parsed::new(text).unwrap();
    // Heavy dirt writes some numbers of followers with letters, and lists as texts.
    let selected =
        [("ind", "index"), ("followers", "CAST(replace(follower_count, 'k', '000') AS BIGINT)"), ("title", "coalesce(title, 'none')")];
    let selected = selected.map(|(name, text)| (name.to_owned(), parsed(text)));
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let select: Arc<dyn Stage> = Arc::new(Select::new(&selected, &columns).unwrap());
    let (passed, rejected) = check_answers("select", &select, &batches);
    assert!(passed > 0 && rejected > 0 && passed + rejected == rows, "{passed} rows, {rejected} rejects");
    let condition = parsed("CAST(replace(follower_count, 'k', '000') AS BIGINT) > 5000");
    let filter: Arc<dyn Stage> = Arc::new(Filter::new(&condition, &columns, &[]).unwrap());
    let (passed, rejected_too) = check_answers("filter", &filter, &batches);
    assert!(passed > 0 && rejected_too == rejected && passed + rejected < rows, "{passed} rows, {rejected_too} rejects");
}

#[test]
fn clean_pin_keeps_the_contract_of_a_stage() {
    check_stage("pin");
}

#[test]
fn clean_geo_keeps_the_contract_of_a_stage() {
    check_stage("geo");
}

#[test]
fn clean_user_keeps_the_contract_of_a_stage() {
    check_stage("user");
}
