//! What the state holds of keyed stages: in words, and whether a run could use it.

use std::sync::Arc;

use arrow_schema::TimeUnit;
use indicatif::{HumanBytes, HumanCount};
use wasmill_connect::examine::Finding;
use wasmill_engine::{Checkpoint, Depot, KeyedStage, Result, StageState, check_stage_state};
use wasmill_formats::time::put_timestamp;
use wasmill_stages::keyed::{Held, verify};

use super::Examined;
use super::state::{open_state_read_only, state_of};
use crate::check::Checked;
use crate::plugins::OpenedWork;

/// What a stage holds: `2,000 keys in 1 files of 14 KiB, oldest window ends 2026-03-01T10:00:00Z`.
pub fn held_in_words(held: &Held) -> String {
    let Held { files, bytes, entries, oldest_window } = *held;
    let oldest = oldest_window.map(|end| format!(", oldest window ends {}", time_in_words(end))).unwrap_or_default();
    format!("{} keys in {files} files of {}{oldest}", HumanCount(entries), HumanBytes(bytes))
}

/// A watermark of a state.
pub fn watermark_in_words(watermark: Option<i64>) -> String {
    watermark.map_or_else(|| "none yet".to_owned(), time_in_words)
}

fn time_in_words(micros: i64) -> String {
    let mut text = Vec::new();
    put_timestamp(micros, TimeUnit::Microsecond, true, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Examines what the state holds of each keyed stage: whether the pipeline can use it, and whether its files are whole. Reads all of them.
pub fn examine_stages(checked: &Checked) -> Vec<Examined> {
    if checked.epoch.whole_run {
        // Each run begins with nothing.
        return Vec::new();
    }
    let examined = |role: String, findings: Vec<Finding>| {
        let place = state_of(&checked.state, &checked.name).display().to_string();
        Examined { role, place, findings }
    };
    let state = match read(checked) {
        Ok(state) => state,
        Err(error) => return vec![examined("state".to_owned(), vec![Finding::Bad(error)])],
    };
    let mut all: Vec<Examined> = Vec::new();
    for stage in &checked.stages {
        let OpenedWork::Keyed(keyed) = stage.opened.work() else { continue };
        let held = state.as_ref().and_then(|(checkpoint, depot)| Some((checkpoint.stages.get(&*stage.name)?, &**depot)));
        let findings = match held {
            None => vec![Finding::good("the state holds nothing of it yet")],
            Some((held, depot)) => of_stage(&stage.name, held, Some(&*keyed), depot),
        };
        all.push(examined(format!("stage {}", stage.name), findings));
    }
    if let Some((checkpoint, depot)) = &state {
        let is_gone = |name: &str| all.iter().all(|examined| examined.role != format!("stage {name}"));
        let gone: Vec<(&String, &StageState)> =
            checkpoint.stages.iter().filter(|(name, held)| held.state.is_some() && is_gone(name)).collect();
        let gone = gone.into_iter().map(|(name, held)| examined(format!("stage {name}"), of_stage(name, held, None, &**depot)));
        all.extend(gone.collect::<Vec<_>>());
    }
    all
}

/// The newest checkpoint, and the files besides it.
type Read = (Checkpoint, Arc<dyn Depot>);

fn read(checked: &Checked) -> Result<Option<Read>> {
    let Some(state) = open_state_read_only(&checked.state, &checked.name)? else { return Ok(None) };
    Ok(state.latest()?.map(|checkpoint| (checkpoint, state.depot())))
}

fn of_stage(name: &str, held: &StageState, stage: Option<&dyn KeyedStage>, depot: &dyn Depot) -> Vec<Finding> {
    let watermark = watermark_in_words(held.watermark);
    let Some(state) = &held.state else { return vec![Finding::good(format!("the state holds nothing of it, watermark {watermark}"))] };
    let fits = check_stage_state(name, held, stage);
    let is_kept = fits.is_ok();
    let mut findings: Vec<Finding> = fits.err().into_iter().map(Finding::Bad).collect();
    match verify(state, depot) {
        Ok(verified) if verified.damaged.is_empty() => {
            let (what, held) = (if is_kept { "a run resumes with" } else { "the state holds" }, held_in_words(&verified.held));
            findings.push(Finding::good(format!("{what} {held}, watermark {watermark}; every file is whole")));
        }
        Ok(verified) => findings.extend(verified.damaged.into_iter().map(Finding::Bad)),
        Err(error) => findings.push(Finding::Bad(error)),
    }
    findings
}
