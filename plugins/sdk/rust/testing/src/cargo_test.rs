//! The cases of a plugin under `cargo test`.

use std::path::Path;

use wasmill_host::Host;
use wasmill_plugin_cases::verdict;

use crate::{build_component, read_cases, run_case};

/// Runs the cases in `folder/cases` on the component that cargo builds from the crate in `folder`,
/// and returns the number of cases. `cache` is a private folder in which compiled plugins are kept.
/// [`cases!`](crate::cases) calls this.
///
/// # Errors
/// A text with everything that is wrong: with the build, the case files, the plugin or its answers.
pub fn run_cases_of_crate(folder: &Path, cache: Option<&Path>) -> Result<usize, String> {
    let cases = read_cases(&folder.join("cases")).map_err(|error| error.to_string())?;
    let component = build_component(folder).map_err(|error| error.to_string())?;
    let mut builder = Host::builder();
    if let Some(cache) = cache {
        builder = builder.cache_dir(cache.join("compiled-plugins"));
    }
    let plugin = builder.build().and_then(|host| host.load(&component)).map_err(|error| error.to_string())?;
    let reports: Vec<_> = cases.iter().map(|case| run_case(&plugin, case)).collect();
    verdict(&reports)
}

/// A test that runs the cases next to a plugin (`cases/*.yaml`, `*.jsonl`) on its component, in the
/// host that pipelines use.
///
/// It is all that a plugin's `tests/component.rs` needs:
/// ```ignore
/// wasmill_plugin_test::cases!();
/// ```
#[macro_export]
macro_rules! cases {
    () => {
        #[test]
        fn cases_on_the_component() {
            let cache = option_env!("CARGO_TARGET_TMPDIR").map(::std::path::Path::new);
            match $crate::run_cases_of_crate(::std::path::Path::new(env!("CARGO_MANIFEST_DIR")), cache) {
                Ok(count) => println!("{count} cases pass"),
                Err(failures) => panic!("{failures}"),
            }
        }
    };
}
