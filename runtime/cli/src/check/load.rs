//! From a file's name and the command line to one tree.

use std::io::Read;
use std::path::Path;

use super::secrets::hide_secrets;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Node, Override, Redactor, SourceFiles, World, interpolate, overlay, parse};

/// The largest pipeline file.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Reads the file, lays the `--set` arguments over it and fills in what it refers to. Secrets are hidden from then on.
pub fn load(
    path: &Path,
    sets: &[String],
    world: &dyn World,
    files: &mut SourceFiles,
    redactor: &Redactor,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    let mut tree = load_as_written(path, sets, files, diagnostics)?;
    interpolate(&mut tree, world, redactor, diagnostics);
    hide_secrets(&mut tree, files, redactor);
    Some(tree)
}

/// Reads the file and lays the `--set` arguments over it. What it refers to is not filled in.
pub fn load_as_written(path: &Path, sets: &[String], files: &mut SourceFiles, diagnostics: &mut Diagnostics) -> Option<Node> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
    };
    let file = files.add(path.display().to_string(), &text);
    let tree = parse(files, file, diagnostics);
    let overrides: Vec<Override> = sets.iter().filter_map(|set| Override::parse(set, files, diagnostics)).collect();
    if tree.is_none() && !diagnostics.has_errors() {
        diagnostics.push(
            Diagnostic::error("empty", format!("{} holds no pipeline", path.display())).help("`name`, `sources` and `sinks` are the least"),
        );
    }
    let mut tree = tree?;
    overlay(&mut tree, overrides, diagnostics);
    Some(tree)
}

/// The text of a pipeline file or a schedule.
pub fn read_text(path: &Path) -> Result<String, Box<Diagnostic>> {
    let shown = path.display();
    let failed = |message: String| Box::new(Diagnostic::error("pipeline-file", message));
    let cannot = |error: std::io::Error| failed(format!("cannot read {shown}: {error}"));
    let file = std::fs::File::open(path).map_err(|error| {
        let mut diagnostic = cannot(error);
        let near = siblings(path);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        diagnostic.suggestion =
            crate::diagnostics::nearest(name, near.iter().map(String::as_str)).map(|near| path.with_file_name(near).display().to_string());
        diagnostic
    })?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(format!("{shown} is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        failed(format!("{shown} is not valid UTF-8: line {line}"))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn siblings(path: &Path) -> Vec<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).take(1000).collect()
}
