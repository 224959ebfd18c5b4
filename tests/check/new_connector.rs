//! The walk "add a connector" of docs/contributing.md, taken by a toy in a copy of the workspace: its crate, a line of the registry and a
//! line of the command line's Cargo.toml are all that a connector takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Dependencies are there already; a cold machine compiles the workspace's own crates with both cores busy.
const DEADLINE: Duration = Duration::from_secs(900);
/// What is compiled: all of the workspace, so that dependencies have the features that they have in the other tests.
const BUILD: [&str; 4] = ["--offline", "--workspace", "--features", "wasmill/failpoints,wasmill/toy"];

#[test]
fn a_connector_takes_its_crate_and_two_lines() {
    let scratch = tempfile::tempdir().unwrap();
    let copy = scratch.path().join("wasmill");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    copy_workspace(&root, &copy);
    stand_apart(&copy);
    let before = texts(&copy);

    copy_folder(&root.join("tests/check/toy"), &copy.join("runtime/connectors/toy"));
    insert(&copy.join("runtime/cli/src/registry.rs"), "    console = \"console\",\n", "    toy = \"toy\",\n");
    let dependency = "toy = { package = \"wasmill-toy\", path = \"../connectors/toy\", optional = true }\n";
    insert(&copy.join("runtime/cli/Cargo.toml"), "optional = true }\n", dependency);
    let changed = changed(&before, &texts(&copy));
    assert_eq!(
        changed,
        [
            "+runtime/cli/Cargo.toml: 1 line",
            "+runtime/cli/src/registry.rs: 1 line",
            "+runtime/connectors/toy/Cargo.toml",
            "+runtime/connectors/toy/src/lib.rs",
            "+runtime/connectors/toy/tests/toy_contract.rs",
        ]
    );

    cargo(&copy, &[&["build"][..], &BUILD, &["--bin", "wasmill-toy"]].concat());
    cargo(&copy, &[&["test"][..], &BUILD, &["--test", "toy_contract"]].concat());

    let listed = toy(scratch.path(), &["list"]);
    assert!(listed.contains("toy") && listed.contains("Counts from 0."), "{listed}");
    assert!(toy(scratch.path(), &["schema", "--markdown"]).contains("### The source `toy`"));
    let pipeline = "name: toy\nsources: { numbers: { toy: { rows: 3 } } }\nsinks: { out: { from: numbers, files: { path: out, format: csv } } }\n\
                    dead_letters: { files: { path: dead_letters, format: jsonl } }\n";
    fs::write(scratch.path().join("toy.yaml"), pipeline).unwrap();
    toy(scratch.path(), &["run", "toy.yaml", "--quiet"]);
    let files: Vec<PathBuf> = fs::read_dir(scratch.path().join("out")).unwrap().map(|file| file.unwrap().path()).collect();
    let rows = files.iter().filter(|file| file.is_file()).map(|file| fs::read_to_string(file).unwrap());
    assert_eq!(rows.collect::<Vec<_>>(), ["number\n0\n1\n2\n"]);
}

/// The target folder of this very test: dependencies are compiled there.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_path_buf()
}

fn toy(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(target().join("debug/wasmill-toy")).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn cargo(folder: &Path, arguments: &[&str]) {
    let log = folder.with_extension("log");
    let output = fs::File::create(&log).unwrap();
    let mut command = Command::new(env!("CARGO"));
    // What Cargo tells this test's own process of its package is not meant for another Cargo.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO")) {
        command.env_remove(name);
    }
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        command.env("CARGO_HOME", home);
    }
    let command = command.args(arguments).current_dir(folder).env("CARGO_TARGET_DIR", target());
    let mut child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > DEADLINE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(status.success(), "cargo {arguments:?}: {status}\n{}", fs::read_to_string(log).unwrap());
}

/// Lets Cargo tell the copy's crates from those of the workspace, beside which they are compiled, and the binaries too.
fn stand_apart(copy: &Path) {
    replace(&copy.join("Cargo.toml"), "version = \"0.1.0\"\nedition", "version = \"0.1.0-toy\"\nedition");
    replace(&copy.join("runtime/cli/Cargo.toml"), "[[bin]]\nname = \"wasmill\"", "[[bin]]\nname = \"wasmill-toy\"");
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// Inserts a line behind the last occurrence of a text.
fn insert(file: &Path, behind: &str, line: &str) {
    let text = fs::read_to_string(file).unwrap();
    let at = text.rfind(behind).unwrap() + behind.len();
    fs::write(file, format!("{}{line}{}", &text[..at], &text[at..])).unwrap();
}

fn copy_workspace(root: &Path, copy: &Path) {
    fs::create_dir(copy).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        fs::copy(root.join(file), copy.join(file)).unwrap();
    }
    for folder in ["runtime", "plugins", "wit", "tests", "pipelines"] {
        copy_folder(&root.join(folder), &copy.join(folder));
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() && entry.file_name() != "target" {
            copy_folder(&path, &to.join(entry.file_name()));
        } else if kind.is_file() {
            fs::copy(&path, to.join(entry.file_name())).unwrap();
        }
    }
}

/// The files of the copy by their paths in it.
fn texts(copy: &Path) -> Vec<(String, Vec<u8>)> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => walk(root, &entry, found),
                false => found.push((entry.strip_prefix(root).unwrap().display().to_string(), fs::read(&entry).unwrap())),
            }
        }
    }
    let mut found = Vec::new();
    walk(copy, copy, &mut found);
    found.sort();
    found
}

/// What is new: whole files, and lines of files that were there.
fn changed(before: &[(String, Vec<u8>)], after: &[(String, Vec<u8>)]) -> Vec<String> {
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    let change = |(path, now): &(String, Vec<u8>)| match before.iter().find(|(other, _)| other == path) {
        None => Some(format!("+{path}")),
        Some((_, then)) if then != now => Some(format!("+{path}: {} line", lines(now) - lines(then))),
        Some(_) => None,
    };
    after.iter().filter_map(change).collect()
}
