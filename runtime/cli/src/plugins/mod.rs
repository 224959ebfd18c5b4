//! Plugins as the check sees them: found by name, queried for their needs, opened on a schema.

mod aggregated;
mod catalog;
mod hosted;
mod search;

pub use catalog::{
    AggregateIdentity, ConfigProblem, Needs, OpenRequest, OpenedAggregate, OpenedStage, OpenedWork, PluginCatalog, PluginInfo,
    PluginProblem, PortShape, StageBounds,
};
pub use hosted::{COMPILE_COMMAND, Hosted, HostedPlugins, of_host};
pub use search::{NotFound, PluginFolders};
