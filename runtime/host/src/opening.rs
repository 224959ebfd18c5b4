//! Opens an instance: configuration and schema in; ports, or what an aggregate keeps, out.

use wasmill_boundary::Encoding;

use crate::aggregate::shape::{self, Shape};
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

/// The ports of a transform.
pub(crate) fn transform(sandbox: &mut Sandbox, config: &str, plan: &InputPlan, encoding: Encoding) -> Result<Vec<Port>, NotOpened> {
    let raw = sandbox.open_transform(&opening(config, plan, encoding)).map_err(NotOpened::Fault)?.map_err(NotOpened::Refusal)?;
    ports::check(raw, &plan.described, encoding).map_err(NotOpened::Fault)
}

/// What an aggregate keeps and returns.
pub(crate) fn aggregate(sandbox: &mut Sandbox, config: &str, plan: &InputPlan, encoding: Encoding) -> Result<Shape, NotOpened> {
    let raw = sandbox.open_aggregate(&opening(config, plan, encoding)).map_err(NotOpened::Fault)?.map_err(NotOpened::Refusal)?;
    shape::check(&raw, encoding).map_err(NotOpened::Fault)
}

fn opening(config: &str, plan: &InputPlan, encoding: Encoding) -> Opening {
    Opening { config: config.to_owned(), input: crossing::write_schema(encoding, &plan.described), extra: Vec::new() }
}
