//! The search path of plugins.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::spec::PluginReference;

/// The folders of plugins, in the order in which they are searched.
#[derive(Debug, Clone)]
pub struct PluginFolders {
    folders: Vec<PathBuf>,
}

/// A plugin that no folder has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// The name or path.
    pub name: String,
    /// The folders that were searched, in this order; none for a path, which is taken as it is written.
    pub searched: Vec<PathBuf>,
    /// The names that the folders do have.
    pub available: Vec<String>,
}

impl NotFound {
    /// Where the search went, and how to name other places.
    pub fn help(&self) -> [String; 2] {
        if self.searched.is_empty() {
            let place = std::path::absolute(&self.name).unwrap_or_else(|_| PathBuf::from(&self.name));
            return [
                format!("there is no file {}", place.display()),
                "a name without `.wasm` is searched in the folders of `--plugins` and `WASMILL_PLUGINS`".to_owned(),
            ];
        }
        let folder = |path: &PathBuf| format!("\n{}{}", path.display(), if path.is_dir() { "" } else { " (no such folder)" });
        let folders: String = self.searched.iter().map(folder).collect();
        [
            format!("these folders were searched:{folders}"),
            "name other folders with `--plugins DIR` or the environment variable `WASMILL_PLUGINS`, or a file by its path".to_owned(),
        ]
    }
}

impl PluginFolders {
    /// Exactly these folders.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Those of the command line, then those of `WASMILL_PLUGINS`, then `plugins/` and the build
    /// folder of this repository, then what was installed with this program.
    pub fn from_environment(arguments: &[PathBuf]) -> Self {
        let variable = std::env::var_os("WASMILL_PLUGINS").unwrap_or_default();
        let listed = std::env::split_paths(&variable).filter(|folder| !folder.as_os_str().is_empty());
        let usual = ["plugins", "target/wasm32-wasip2/plugin"].into_iter().map(PathBuf::from);
        let installed = std::env::current_exe().ok().and_then(|program| installed_with(&program)).filter(|folder| folder.is_dir());
        Self { folders: arguments.iter().cloned().chain(listed).chain(usual).chain(installed).collect() }
    }

    /// The file of a reference: a path as it is, a name as `<folder>/<name>.wasm`, with `-` and `_`
    /// alike.
    pub fn find(&self, reference: &PluginReference) -> Result<PathBuf, NotFound> {
        let name = &reference.name;
        let looked: Vec<PathBuf> = if reference.is_path() {
            vec![PathBuf::from(name)]
        } else {
            let spellings: BTreeSet<String> = [name.replace('-', "_"), name.replace('_', "-"), name.clone()].into();
            let in_folder = |folder: &PathBuf| spellings.iter().map(|name| folder.join(format!("{name}.wasm"))).collect::<Vec<_>>();
            self.folders.iter().flat_map(in_folder).collect()
        };
        if let Some(found) = looked.iter().find(|path| path.is_file()) {
            return Ok(found.clone());
        }
        let (searched, available) =
            if reference.is_path() { (Vec::new(), siblings(Path::new(name))) } else { (self.folders.clone(), self.names()) };
        Err(NotFound { name: name.clone(), searched, available })
    }

    fn names(&self) -> Vec<String> {
        let names: BTreeSet<String> = self.folders.iter().flat_map(|folder| stems(folder)).map(|stem| stem.replace('_', "-")).collect();
        names.into_iter().collect()
    }
}

/// The folder of the plugins that are shipped with a program: `<prefix>/share/wasmill/plugins` next
/// to `<prefix>/bin/wasmill`.
fn installed_with(program: &Path) -> Option<PathBuf> {
    let program = program.canonicalize().ok()?;
    Some(program.parent()?.parent()?.join("share/wasmill/plugins"))
}

fn stems(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().take(10_000).map(|entry| entry.path());
    let plugins = files.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    plugins.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned)).collect()
}

fn siblings(path: &Path) -> Vec<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path_of = |stem: String| path.with_file_name(format!("{stem}.wasm")).display().to_string();
    stems(folder).into_iter().map(path_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_either_spelling_in_the_first_folder_that_has_it() {
        let root = tempfile::tempdir().unwrap();
        let (first, second) = (root.path().join("a"), root.path().join("b"));
        for (folder, file) in [(&first, "other.wasm"), (&second, "clean_pin.wasm")] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join(file), "").unwrap();
        }
        let folders = PluginFolders::new(vec![first, second.clone()]);
        assert_eq!(folders.find(&"clean-pin".parse().unwrap()).unwrap(), second.join("clean_pin.wasm"));
        let missing = folders.find(&"clean-pim".parse().unwrap()).unwrap_err();
        assert_eq!(missing.available, ["clean-pin", "other"]);
        assert_eq!(missing.searched.len(), 2);
    }

    #[test]
    fn what_is_shipped_lies_below_the_prefix_that_holds_the_program_also_behind_a_link() {
        let root = tempfile::tempdir().unwrap();
        let prefix = root.path().canonicalize().unwrap().join("opt/wasmill");
        std::fs::create_dir_all(prefix.join("bin")).unwrap();
        std::fs::write(prefix.join("bin/wasmill"), "").unwrap();
        let link = root.path().join("wasmill");
        std::os::unix::fs::symlink(prefix.join("bin/wasmill"), &link).unwrap();
        assert_eq!(installed_with(&link).unwrap(), prefix.join("share/wasmill/plugins"));
    }
}
