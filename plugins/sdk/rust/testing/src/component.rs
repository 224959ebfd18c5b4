//! The component of a plugin's crate, built by cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Cargo {
        /// The program.
        program: PathBuf,
        /// The error underneath.
        source: std::io::Error,
    },
    /// Cargo could not build it.
    #[error(
        "`{command}` failed; what it needs: the target (`rustup target add wasm32-wasip2`) and, in the workspace's Cargo.toml, \
         [profile.plugin] with `inherits = \"release\"`\n{output}"
    )]
    Build {
        /// The command line.
        command: String,
        /// cargo's message.
        output: String,
    },
    /// The crate has no component.
    #[error("{} builds no .wasm: a plugin needs `crate-type = [\"cdylib\", \"rlib\"]` under [lib]", manifest.display())]
    NoComponent {
        /// The crate's `Cargo.toml`.
        manifest: PathBuf,
    },
}

/// Builds the component of the plugin whose crate is in `folder`, as it is shipped (profile
/// `plugin`, target `wasm32-wasip2`), unless it is up to date, and returns its path. Cargo decides
/// both, so it works with any target folder.
///
/// # Errors
/// Cargo is missing or fails, or the crate is not a plugin.
pub fn build_component(folder: &Path) -> Result<PathBuf, BuildError> {
    let manifest = folder.join("Cargo.toml");
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&program);
    command
        .args(["build", "--profile", "plugin", "--target", "wasm32-wasip2", "--message-format", "json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(&manifest)
        .stdin(Stdio::null());
    let output = command.output().map_err(|source| BuildError::Cargo { program: PathBuf::from(&program), source })?;
    if !output.status.success() {
        let shown: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BuildError::Build { command: format!("cargo {}", shown.join(" ")), output });
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let component = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|message| component_of(&message, &manifest))
        .next_back();
    component.ok_or(BuildError::NoComponent { manifest })
}

/// The `.wasm` in a message of cargo about this crate.
fn component_of(message: &Value, manifest: &Path) -> Option<PathBuf> {
    let of_this_crate = Path::new(message.get("manifest_path")?.as_str()?).canonicalize().ok()? == manifest.canonicalize().ok()?;
    let mut files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
    files.find(|file| of_this_crate && file.ends_with(".wasm")).map(PathBuf::from)
}
