//! Opens an instance: configuration and schema in, ports out.

use wasmill_boundary::Encoding;

use crate::contract::{Opening, Refusal};
use crate::crossing;
use crate::error::{Fault, HostError};
use crate::needs::InputPlan;
use crate::plugin::refusal;
use crate::ports::{self, Port};
use crate::sandbox::Sandbox;

/// Why an instance did not open.
pub(crate) enum NotOpened {
    Fault(Fault),
    Refusal(Refusal),
}

impl NotOpened {
    pub fn of(self, plugin: &str) -> HostError {
        match self {
            Self::Fault(fault) => fault.of(plugin),
            Self::Refusal(raw) => refusal(plugin, raw),
        }
    }
}

pub(crate) fn open(sandbox: &mut Sandbox, config: &str, plan: &InputPlan, encoding: Encoding) -> Result<Vec<Port>, NotOpened> {
    let input = crossing::write_schema(encoding, &plan.described);
    let opening = Opening { config: config.to_owned(), input, extra: Vec::new() };
    let raw = sandbox.open(&opening).map_err(NotOpened::Fault)?.map_err(NotOpened::Refusal)?;
    ports::check(raw, &plan.described, encoding).map_err(NotOpened::Fault)
}
