//! Plugins as the check sees them: found by name, asked what they need, opened on a schema.

mod catalog;
mod search;

pub use catalog::{
    ConfigProblem, Needs, OpenRequest, OpenedPlugin, PluginCatalog, PluginInfo, PluginProblem, PortShape, StageBounds,
};
pub use search::{NotFound, PluginFolders};
