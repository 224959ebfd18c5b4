//! The trait that a plugin implements, and the life of an instance over the contract's calls.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::wasmill::plugin::types;
use crate::plan::Layout;
use crate::{Batch, Output, Plan, Refusal, contract, ipc};

/// A plugin that cleans, filters, splits or routes: batches in, batches out.
///
/// One function declares, one works. `plan` is called to learn the needs (without an input schema)
/// and again when the plugin is opened (with it), so it must depend only on its arguments.
/// `process` is then called for every batch, on one thread.
///
/// Export it with [`transform!`](crate::transform!).
pub trait Transform: Sized + 'static {
    /// The configuration from the pipeline's YAML; see [`config`](macro@crate::config).
    type Config: DeserializeOwned + JsonSchema;

    /// Checks the configuration, declares columns in and out, and creates the plugin.
    ///
    /// # Errors
    /// Refuse what can't work, with what to do about it.
    fn plan(config: Self::Config, plan: &mut Plan) -> Result<Self, Refusal>;

    /// Transforms one batch of at least one row. Bad rows are rejected through `out`.
    ///
    /// Every input row is the origin of an output row, or rejected, or (in neither) filtered out. The plugin must not rely on what it
    /// remembers from earlier batches: an instance may be replaced by a fresh one between any two.
    ///
    /// # Errors
    /// Only for errors after which the plugin as a whole can't continue; it counts as a fault.
    fn process(&mut self, batch: &Batch, out: &mut Output<'_>) -> Result<(), Refusal>;
}

/// A plugin's description. [`transform!`](crate::transform!) implements it.
pub trait Plugin: Transform {
    /// The name that pipelines use: the package's.
    const NAME: &'static str;
    /// The package's version.
    const VERSION: &'static str;
    /// What it does, in Markdown; the first line, or the first after a heading, is a summary.
    const DOCUMENTATION: &'static str;
}

/// An instance of a plugin behind the contract's calls: what the host talks to.
///
/// [`transform!`](crate::transform!) keeps one in the component; [`testing`](crate::testing) drives one natively, over the same bytes.
#[doc(hidden)]
pub struct Instance<T> {
    opened: Option<(T, Layout)>,
}

impl<T> Default for Instance<T> {
    fn default() -> Self {
        Self { opened: None }
    }
}

#[doc(hidden)]
impl<T: Plugin> Instance<T> {
    pub fn describe() -> types::Description {
        contract::describe::<T::Config>(T::NAME, T::VERSION, T::DOCUMENTATION)
    }

    pub fn prepare(config: &str, extra: &types::Extra) -> Result<types::Needs, types::Refusal> {
        contract::check_extra(extra)?;
        let mut plan = Plan::new(None);
        T::plan(contract::parse::<T::Config>(config)?, &mut plan)?;
        let (schema, crosses) = plan.needs()?;
        let columns = types::Schema::ArrowIpc(ipc::encode_schema(&schema));
        Ok(types::Needs { columns, crosses, texts: types::TextForm::Joined, extra: Vec::new() })
    }

    pub fn open(&mut self, opening: &types::Opening) -> Result<types::OpenedTransform, types::Refusal> {
        contract::check_extra(&opening.extra)?;
        let input = Arc::new(contract::input(&opening.input)?);
        let mut plan = Plan::new(Some(Arc::clone(&input)));
        let plugin = T::plan(contract::parse::<T::Config>(&opening.config)?, &mut plan)?;
        let layout = plan.resolve(&input)?;
        let ports = layout.ports.iter().map(|port| port.to_contract()).collect();
        self.opened = Some((plugin, layout));
        Ok(types::OpenedTransform { ports, extra: Vec::new() })
    }

    pub fn process(&mut self, batch: types::Batch) -> Result<types::Answer, types::Refusal> {
        contract::check_extra(&batch.extra)?;
        let table = contract::table(batch.table)?;
        let (plugin, layout) = self.opened.as_mut().ok_or_else(|| Refusal::new("process was called before open"))?;
        let batch = layout.batch(table)?;
        let mut output = Output::new(layout, batch.len());
        plugin.process(&batch, &mut output)?;
        Ok(output.finish()?)
    }
}
