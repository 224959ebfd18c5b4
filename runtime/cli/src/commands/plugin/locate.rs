//! A plugin as the command line names it: a name, a path to a .wasm, or the folder of its source.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use wasmill_engine::Class;

use super::failed;
use crate::commands::checked::fail;
use crate::diagnostics::nearest;
use crate::document::Redactor;
use crate::exit;
use crate::plugins::{Hosted, HostedPlugins, PluginFolders, PluginInfo, PluginProblem};
use crate::spec::PluginReference;

/// Where plugins lie that cargo has built, in a target folder.
const BUILT: &str = "wasm32-wasip2/plugin";

/// A plugin and the folders in which to find it.
#[derive(Debug, Args)]
pub struct PluginArguments {
    /// The plugin: a name looked up in the plugin folders, a path to a .wasm, or the folder of its source
    #[arg(value_name = "PLUGIN")]
    plugin: String,
    /// A folder of plugins, searched before those of $WASMILL_PLUGINS, plugins/ and target/wasm32-wasip2/plugin/. May be given more than once
    #[arg(long = "plugins", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    plugins: Vec<PathBuf>,
}

impl PluginArguments {
    /// Finds and loads the plugin. An error has been shown and is an exit status.
    pub fn load(&self) -> Result<Arc<Hosted>, u8> {
        let folder = Path::new(&self.plugin);
        let (name, folders) = if folder.is_dir() {
            (name_of_crate(folder), self.folders().chain(built_near(folder)).collect::<Vec<_>>())
        } else {
            (self.plugin.clone(), self.folders().collect())
        };
        let reference = name.parse::<PluginReference>().map_err(|message| failed(exit::CONFIGURATION, &message))?;
        let catalog = HostedPlugins::new(PluginFolders::from_environment(&folders));
        let catalog = catalog.map_err(|error| fail(&error, &Redactor::default(), false))?;
        catalog.load(&reference).map_err(|problem| failed(exit::status(class(&problem)), &in_words(&problem, folder.is_dir())))
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.plugins.iter().cloned()
    }

    /// The folder of the cases next to a plugin, or all searched places where there is none.
    pub fn cases(&self, plugin: &Hosted) -> Result<PathBuf, Vec<PathBuf>> {
        let argument = Path::new(&self.plugin);
        let name = &plugin.plugin().description().name;
        let beside = plugin.path().parent().unwrap_or(Path::new(""));
        let searched = if argument.is_dir() {
            vec![argument.join("cases")]
        } else {
            let sources = self.plugins.iter().map(PathBuf::as_path).chain([beside, Path::new("plugins")]);
            let mut searched = vec![beside.join("cases")];
            searched.extend(sources.map(|folder| folder.join(name).join("cases")));
            searched
        };
        searched.iter().find(|folder| folder.is_dir()).cloned().ok_or(searched)
    }
}

/// The name in a folder's `Cargo.toml`, else that of the folder.
fn name_of_crate(folder: &Path) -> String {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let package = manifest.lines().map(str::trim).skip_while(|line| *line != "[package]").skip(1).take_while(|line| !line.starts_with('['));
    let name = package.filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "name");
    let name = name.and_then(|(_, value)| value.trim().strip_prefix('"')?.split('"').next().map(str::to_owned));
    name.unwrap_or_else(|| {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    })
}

/// The folders that hold the component of the source in `folder`: itself, and the target folders that cargo may have used.
fn built_near(folder: &Path) -> Vec<PathBuf> {
    let variable = std::env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let targets = variable.into_iter().chain(absolute.ancestors().map(|folder| folder.join("target")));
    std::iter::once(folder.to_owned()).chain(targets.map(|target| target.join(BUILT)).filter(|folder| folder.is_dir())).collect()
}

fn class(problem: &PluginProblem) -> Class {
    match problem {
        PluginProblem::NotFound(_) | PluginProblem::Digest { .. } | PluginProblem::NotAPlugin { .. } => Class::Configuration,
        PluginProblem::Refused { .. } => Class::PluginRefusal,
        PluginProblem::Fault { .. } => Class::PluginFault,
        PluginProblem::Environment(_) => Class::Environment,
        PluginProblem::Bug(_) => Class::Bug,
    }
}

fn in_words(problem: &PluginProblem, is_source: bool) -> String {
    let PluginProblem::NotFound(missing) = problem else { return problem.to_string() };
    let near = nearest(&missing.name, missing.available.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let help: String = missing.help().iter().map(|help| format!("\n{}", help.replace('\n', "\n  "))).collect();
    let build = if is_source { "\nbuild it first: cargo build --profile plugin --target wasm32-wasip2" } else { "" };
    format!("{problem}{near}{help}{build}")
}
