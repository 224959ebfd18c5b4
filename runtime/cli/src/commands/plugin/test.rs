//! `wasmill plugin test`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use wasmill_plugin_test::{Case, CaseReport, CasesError, ROWS_PER_CALL, read_cases, run_case};

use super::failed;
use super::locate::PluginArguments;
use crate::diagnostics::{Style, nearest};
use crate::exit;
use crate::plugins::{Hosted, PluginInfo};
use crate::terminal::harmless;

/// Runs the cases next to a plugin, on its .wasm, as pipelines run it
///
/// A case has input rows, and the expected rows and rejects, or the expected refusal. Each runs
/// with 1, 7 and 1,000 rows per call, under the default limits of stages, and must give the same
/// result every time. The rows of an aggregate are also cut, ordered and merged at random; where
/// that changes a result, the smallest example is shown.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill plugin test plugins/clean-pin\n  \
    wasmill plugin test clean-pin --case 'follower counts'\n  \
    wasmill plugin test dist/mine.wasm --cases-from tests/mine --json\n\n\
    Exit status:\n  \
    0   all cases pass\n  \
    1   a case fails\n  \
    2   there is no such plugin or case, the file is no plugin, or a case file has a mistake\n  \
    4   the plugin can't even describe itself\n  \
    5   a file, disk or permission")]
pub struct Test {
    #[command(flatten)]
    arguments: PluginArguments,
    /// Runs only the cases whose name contains this. May be given more than once
    #[arg(long = "case", value_name = "NAME")]
    names: Vec<String>,
    /// The folder of the cases; default: `cases` in the folder of the plugin's source, or next to
    /// the .wasm
    #[arg(long = "cases-from", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    cases_from: Option<PathBuf>,
    /// Prints the outcome as one JSON object
    #[arg(long)]
    json: bool,
}

impl Test {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let plugin = match self.arguments.load() {
            Ok(plugin) => plugin,
            Err(status) => return status,
        };
        let cases = match self.cases(&plugin) {
            Ok(cases) => cases,
            Err(status) => return status,
        };
        let shown = if self.json { self.run_silently(&plugin, &cases) } else { self.run_aloud(&plugin, &cases) };
        shown.unwrap_or_else(|status| status)
    }

    /// The cases to run, at least one. An error has been shown.
    fn cases(&self, plugin: &Hosted) -> Result<Vec<Case>, u8> {
        let folder = match &self.cases_from {
            Some(folder) => folder.clone(),
            None => self.arguments.cases(plugin).map_err(|searched| {
                let searched: String = searched.iter().map(|folder| format!("\n  {}", folder.display())).collect();
                failed(
                    exit::CONFIGURATION,
                    &format!("there are no cases next to this plugin; --cases-from names their folder\nlooked for{searched}"),
                )
            })?,
        };
        let all = read_cases(&folder).map_err(|error| {
            let status = if let CasesError::Unreadable { .. } = error { exit::ENVIRONMENT } else { exit::CONFIGURATION };
            failed(status, &error.to_string())
        })?;
        let wanted = |case: &Case| self.names.is_empty() || self.names.iter().any(|name| case.name.contains(name.as_str()));
        let (chosen, others): (Vec<Case>, Vec<Case>) = all.into_iter().partition(wanted);
        if chosen.is_empty() {
            let near = self.names.iter().find_map(|name| nearest(name, others.iter().map(|case| case.name.as_str())));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Err(failed(exit::CONFIGURATION, &format!("none of the {} cases has such a name{near}", others.len())));
        }
        Ok(chosen)
    }

    fn run_aloud(&self, plugin: &Hosted, cases: &[Case]) -> Result<u8, u8> {
        let style = Style::of(&std::io::stdout());
        let coloured = style == Style::Coloured;
        let paint = |code: &str, text: &str| if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
        let description = plugin.plugin().description();
        let [first, second, third] = ROWS_PER_CALL;
        print(&format!(
            "{} {} ({}): {} with {first}, {second} and {third} rows a call\n",
            description.name,
            description.version,
            plugin.path().display(),
            count(cases.len(), "case"),
        ))?;
        let begin = Instant::now();
        let mut failures = 0;
        for case in cases {
            let report = run_case(plugin.plugin(), case);
            if report.passed() {
                print(&format!("{} {}\n", paint("32", "pass"), harmless(&report.name)))?;
            } else {
                failures += 1;
                print(&format!("{} {} ({})\n{}", paint("1;31", "FAIL"), harmless(&report.name), case.place(), report.render(coloured)))?;
            }
        }
        let (passed, seconds) = (cases.len() - failures, begin.elapsed().as_secs_f64());
        let legend = if failures > 0 { " (- expected, + found)" } else { "" };
        print(&format!("{passed} of {} pass in {seconds:.2} s{legend}\n", count(cases.len(), "case")))?;
        Ok(status(failures))
    }

    fn run_silently(&self, plugin: &Hosted, cases: &[Case]) -> Result<u8, u8> {
        let reports: Vec<CaseReport> = cases.iter().map(|case| run_case(plugin.plugin(), case)).collect();
        let failures = reports.iter().filter(|report| !report.passed()).count();
        let description = plugin.plugin().description();
        let value = json!({
            "plugin": {
                "name": description.name,
                "version": description.version,
                "path": plugin.path(),
                "digest": format!("sha256:{}", plugin.digest()),
            },
            "rows_per_call": ROWS_PER_CALL,
            "passed": reports.len() - failures,
            "failed": failures,
            "cases": reports,
        });
        print(&harmless(&format!("{value:#}\n")))?;
        Ok(status(failures))
    }
}

/// Prints; an output that can't be written ends the command.
fn print(text: &str) -> Result<(), u8> {
    match crate::commands::print_as_it_is(text) {
        exit::OK => Ok(()),
        status => Err(status),
    }
}

fn status(failures: usize) -> u8 {
    if failures == 0 { exit::OK } else { exit::CASE_FAILS }
}

fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
