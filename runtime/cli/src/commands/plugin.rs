//! `wasmill plugin`.

mod inspect;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::plugins::{HostedPlugins, PluginFolders};

/// Looks at plugins
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wasmill plugin inspect clean-pin")]
pub struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Inspect),
}

impl Plugin {
    /// Runs it; gives the exit status.
    pub fn run(self) -> u8 {
        match self.command {
            Command::Inspect(command) => command.run(),
        }
    }
}

/// A plugin and where to look for it.
#[derive(Debug, Args)]
struct PluginArguments {
    /// The plugin: a name looked up in the plugin folders, or a path to a .wasm
    #[arg(value_name = "PLUGIN")]
    plugin: String,
    /// A folder of plugins, searched before those of $WASMILL_PLUGINS, plugins/ and target/wasm32-wasip2/plugin/. May be given more than once
    #[arg(long = "plugins", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    plugins: Vec<PathBuf>,
}

impl PluginArguments {
    fn catalog(&self) -> wasmill_engine::Result<HostedPlugins> {
        HostedPlugins::new(PluginFolders::from_environment(&self.plugins))
    }
}
