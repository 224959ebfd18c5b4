//! Whether the pipeline can use what its state holds of keyed stages: a run would refuse it before it reads anything.

use wasmill_engine::{KeyedStage, check_stage_state};

use super::draft::Draft;
use super::of_connector::{finding, in_words};
use super::{Checked, Connectors};
use crate::diagnostics::{Diagnostic, Diagnostics, shorten};
use crate::plan::HeldState;
use crate::plugins::OpenedWork;

/// Reports each stage whose state can't be used, and a state that can't be read.
pub fn check(draft: &Draft<'_>, checked: &Checked, connectors: &dyn Connectors, diagnostics: &mut Diagnostics) {
    // A run that overwrites begins with nothing.
    if checked.epoch.whole_run {
        return;
    }
    let keyed = checked.stages.iter().filter_map(|stage| match stage.opened.work() {
        OpenedWork::Keyed(keyed) => Some((&*stage.name, keyed)),
        OpenedWork::Rows(_) => None,
    });
    let keyed: Vec<_> = keyed.collect();
    let checkpoint = match connectors.state(&checked.state, &checked.name) {
        Ok(HeldState::Newest(Some(checkpoint))) => checkpoint,
        Ok(HeldState::Newest(None) | HeldState::Unasked) => return,
        Ok(HeldState::Unknown(why)) => {
            if !keyed.is_empty() {
                let what = format!("whether the keyed stages can use what the state holds: {}", shorten(&why, 300));
                diagnostics.push(Diagnostic::not_checked(what).at(draft.top));
            }
            return;
        }
        Err(error) => return diagnostics.push(finding(unreachable(&error), &error, draft.top)),
    };
    for (name, held) in &checkpoint.stages {
        let stage = keyed.iter().find(|(keyed, _)| *keyed == name).map(|(_, stage)| &**stage as &dyn KeyedStage);
        if let Err(error) = check_stage_state(name, held, stage) {
            let declared = draft.stages.iter().find(|declared| declared.name == name);
            diagnostics.push(finding(unreachable(&error), &error, declared.map_or(draft.top, |declared| declared.name_span)));
        }
    }
}

fn unreachable(error: &wasmill_engine::Error) -> Diagnostic {
    Diagnostic::error("unreachable", in_words(error))
}
