//! Every file `cases/<name>.yaml` is a case: `wasmill check` on it has to print what stands in `<name>.txt` beside it.
//!
//! A new file is a new case; `BLESS=1` writes what is printed now. Comments at the start of a line of a case say how to run it:
//!
//! ```yaml
//! # command: schedule check
//! # args: --mode stream --set lanes=2
//! # env: PASSWORD=hunter2
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../hostile/binary.rs"]
mod hostile;
mod new_connector;
mod offline;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{CommandFactory as _, Parser as _};
use wasmill_cli::commands::Arguments;

const WASMILL: &str = env!("CARGO_BIN_EXE_wasmill");
const PLUGINS: [&str; 3] = ["clean-pin", "clean-geo", "clean-user"];

#[test]
fn every_case_prints_what_lies_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/check");
    let plugins = [plugins(), odd_plugins()];
    let mut wrong = Vec::new();
    for name in cases(&folder.join("cases")) {
        let printed = run(&folder, &name, &plugins);
        let expected_path = folder.join("cases").join(format!("{name}.txt"));
        if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
            std::fs::write(&expected_path, &printed).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if expected != printed {
            let difference = similar::TextDiff::from_lines(&expected, &printed);
            wrong.push(format!("{name}\n{}", difference.unified_diff().header("expected", "printed")));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ; BLESS=1 accepts what is printed now\n\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_reference_pages_and_the_schema_for_editors_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = [
        (&["schema", "--markdown"][..], "docs/pipeline-reference.md"),
        (&["schema"], "pipelines/pipeline.schema.json"),
        (&["schema", "--schedule"], "pipelines/schedule.schema.json"),
        (&["completions", "--markdown"], "docs/cli-reference.md"),
        (&["explain", "--markdown"], "docs/error-codes.md"),
    ];
    for (arguments, file) in pages {
        let output = Command::new(WASMILL).args(arguments).output().unwrap();
        assert!(output.status.success());
        let printed = String::from_utf8(output.stdout).unwrap();
        if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
            std::fs::write(root.join(file), &printed).unwrap();
        }
        let written = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(written == printed, "{file} is stale: write it with `wasmill {} > {file}`, or BLESS=1", arguments.join(" "));
    }
}

#[test]
fn every_command_shows_examples_of_itself_that_it_understands() {
    let mut commands = Vec::new();
    runnable(&Arguments::command(), &["wasmill"], &mut commands);
    assert!(commands.len() >= 20, "{commands:?}");
    for (words, help) in commands {
        let printed = Command::new(WASMILL).args(&words[1..]).arg("--help").output().unwrap();
        assert!(printed.status.success() && String::from_utf8(printed.stdout).unwrap().contains("Example"), "{words:?}");
        let examples: Vec<Vec<String>> = help.lines().filter(|line| line.starts_with("  wasmill ")).map(shell_words).collect();
        assert!(examples.iter().any(|example| example.starts_with(&words)), "{words:?} shows no example of itself:\n{help}");
        for example in examples {
            let parsed = Arguments::try_parse_from(&example);
            assert!(parsed.is_ok(), "{example:?}: {}", parsed.unwrap_err());
        }
    }
}

/// The commands that do something, each with its words and what its help ends with: those without commands below them that people are shown.
fn runnable(command: &clap::Command, words: &[&str], found: &mut Vec<(Vec<String>, String)>) {
    let shown: Vec<&clap::Command> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
    if shown.is_empty() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        found.push((words.iter().map(|word| (*word).to_owned()).collect(), help));
    }
    for below in shown {
        runnable(below, &[words, &[below.get_name()]].concat(), found);
    }
}

/// The words of a command line, up to a redirection, with words in single quotes as one.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.trim().chars() {
        match character {
            '\'' => quoted = !quoted,
            '>' | '|' if !quoted => break,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The names of all cases. An expectation without a case is a mistake.
fn cases(folder: &Path) -> BTreeSet<String> {
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let with = |extension: &str| -> BTreeSet<String> {
        let files = files.iter().filter(|path| path.extension().is_some_and(|found| found == extension));
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let (cases, expectations) = (with("yaml"), with("txt"));
    let orphans: Vec<&String> = expectations.difference(&cases).collect();
    assert!(orphans.is_empty(), "expectations without a case: {orphans:?}");
    assert!(!cases.is_empty(), "no cases in {}", folder.display());
    cases
}

fn run(folder: &Path, name: &str, plugins: &[PathBuf; 2]) -> String {
    let file = format!("cases/{name}.yaml");
    // A case may be no UTF-8.
    let text = String::from_utf8_lossy(&std::fs::read(folder.join(&file)).unwrap()).into_owned();
    let directive = |title: &str| text.lines().find_map(|line| line.strip_prefix(title).map(str::trim));
    let mut command = Command::new(WASMILL);
    let words = directive("# command:").unwrap_or("check");
    command.current_dir(folder).args(words.split_whitespace()).arg(&file);
    let arguments: Vec<&str> = directive("# args:").into_iter().flat_map(str::split_whitespace).collect();
    command.args(&arguments).env_clear().env("WASMILL_PLUGINS", std::env::join_paths(plugins).unwrap());
    for variable in ["HOME", "XDG_CACHE_HOME", "WASMILL_CACHE", "TMPDIR"] {
        command.envs(std::env::var_os(variable).map(|value| (variable, value)));
    }
    let pairs = directive("# env:").into_iter().flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('='));
    let output = command.envs(pairs).output().unwrap();
    let status = output.status.code().map_or("killed".into(), |code| code.to_string());
    let command: Vec<&str> = ["wasmill", words, &file].into_iter().chain(arguments).collect();
    let (printed, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let here = folder.canonicalize().unwrap();
    let printed = format!("$ {}\n{printed}{errors}exit status {status}\n", command.join(" "));
    let hidden = [(&plugins[0], "<plugins>"), (&plugins[1], "<odd plugins>"), (&here, "<here>")];
    without_digests(&hidden.into_iter().fold(printed, |text, (path, name)| text.replace(&path.display().to_string(), name)))
}

/// Plugins that the shipped ones are not: `misbehaving` does what its configuration says, with tables in the encoding `columns`; `secretive` declares a
/// secret in its configuration.
fn odd_plugins() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check-plugins");
    std::fs::create_dir_all(&folder).unwrap();
    let schema = r#"{"type":"object","properties":{"salt":{"type":"string","writeOnly":true},"ports":{},"fields":{},"crosses":{}},"additionalProperties":false}"#;
    let secretive = format!("name=secretive;columns;schema={schema}");
    for (name, mode) in [("misbehaving", "name=misbehaving;columns"), ("secretive", &secretive)] {
        std::fs::write(folder.join(name).with_extension("wasm"), hostile::guest_in_mode(mode)).unwrap();
    }
    folder
}

/// Digests of the shipped plugins change with the compiler.
fn without_digests(text: &str) -> String {
    let mut parts = text.split("sha256:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let is_digest = part.len() >= 64 && part.bytes().take(64).all(|byte| byte.is_ascii_hexdigit());
        if is_digest && !part.starts_with("0123456789abcdef") { text + "sha256:<digest>" + &part[64..] } else { text + "sha256:" + part }
    })
}

/// The folder of the shipped plugins, which are built if they are not there. `make test` builds them before.
fn plugins() -> PathBuf {
    let target = Path::new(WASMILL).ancestors().nth(2).unwrap();
    let folder = target.join("wasm32-wasip2/plugin");
    if PLUGINS.iter().all(|name| folder.join(name.replace('-', "_")).with_extension("wasm").exists()) {
        return folder;
    }
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--quiet",
        "--locked",
        "--profile",
        "plugin",
        "--target",
        "wasm32-wasip2",
    ]);
    build.arg("--target-dir").arg(target).args(PLUGINS.iter().flat_map(|name| ["--package", name]));
    assert!(build.status().unwrap().success(), "the plugins could not be built");
    folder
}
