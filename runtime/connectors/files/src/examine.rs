//! Examines files: whether any match, and whether they can be read.

use std::fs::File;

use wasmill_engine::Error;

use super::config::FilesConfig;
use super::source::listing;
use wasmill_connect::examine::Finding;
use wasmill_reading::codes::UNREADABLE;

/// Examines the files of a source.
pub fn examine_source(config: &FilesConfig) -> Vec<Finding> {
    let files = match listing::list(config, false) {
        Ok(files) => files,
        Err(error) => return vec![Finding::Bad(error)],
    };
    let shown = config.path.all().join(", ");
    if files.is_empty() {
        return vec![Finding::doubt(
            format!("no file matches {shown} yet"),
            "a stream waits for one, and a batch stops; is the path right?",
        )];
    }
    let mut bytes = 0_u64;
    for file in &files {
        match File::open(file).and_then(|file| file.metadata()) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) => {
                let error = Error::environment(format!("cannot read {}: {error}", file.display())).code(UNREADABLE);
                return vec![Finding::Bad(error.hint("the user of this process needs the permission to read it"))];
            }
        }
    }
    let count = if files.len() == 1 { "1 file".to_owned() } else { format!("{} files", files.len()) };
    vec![Finding::good(format!("{shown}: {count}, {}, all can be opened", bytesize::ByteSize(bytes).display().iec()))]
}
