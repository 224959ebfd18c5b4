//! Examines a table and the place where it lies.

use super::config::{DeltaConfig, Location};
use super::log::TableLog;
use super::place::Place;
use wasmill_connect::examine::{Finding, folder_to_write};
use wasmill_objects::RetryTime;
use wasmill_objects::{Use, examine as examine_bucket};

/// Examines the table of a sink.
pub fn examine(config: &DeltaConfig) -> Vec<Finding> {
    let mut findings = match config.location() {
        Ok(Location::Folder(folder)) => folder_to_write(&folder),
        Ok(Location::S3(uri)) => examine_bucket(&uri.to_string(), &config.connection.clone().unwrap_or_default(), Use::Write),
        Err(error) => vec![Finding::Bad(error)],
    };
    if !findings.iter().any(|finding| matches!(finding, Finding::Bad(_))) {
        findings.push(table(config).unwrap_or_else(Finding::Bad));
    }
    findings
}

fn table(config: &DeltaConfig) -> wasmill_engine::Result<Finding> {
    let uri = &config.uri;
    Ok(match TableLog::new(Place::open(config, RetryTime::Check)?)?.open(None)? {
        Some(state) => Finding::good(format!("{uri} is a Delta table, at version {}", state.version)),
        None => Finding::good(format!("there is no table at {uri}; the first commit creates it")),
    })
}
