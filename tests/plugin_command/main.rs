//! `wasmill plugin test` and `wasmill plugin inspect`: the real binary on real plugins.
//!
//! What is printed stands in `snapshots/`; `BLESS=1` writes what is printed now.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const WASMILL: &str = env!("CARGO_BIN_EXE_wasmill");

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The component of a plugin of this repository, as it is shipped.
fn component(name: &str) -> PathBuf {
    wasmill_plugin_test::build_component(&repository().join("plugins").join(name)).unwrap()
}

/// Runs `wasmill plugin` in this test's folder.
fn wasmill(arguments: &[&str]) -> Output {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-command");
    let mut command = Command::new(WASMILL);
    command.current_dir(repository().join("tests/plugin_command")).arg("plugin").args(arguments);
    command.env("WASMILL_CACHE", cache).env("NO_COLOR", "1").env_remove("WASMILL_PLUGINS").output().unwrap()
}

fn printed(arguments: &[&str], output: &Output) -> String {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let status = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
    format!("$ wasmill plugin {}\n{out}{errors}exit status {status}\n", arguments.join(" "))
}

/// Holds what a command prints against a snapshot; `hidden` are texts that differ from machine to machine.
fn assert_prints(name: &str, arguments: &[&str], hidden: &[(&str, &str)]) {
    let mut found = printed(arguments, &wasmill(arguments));
    for (text, instead) in hidden {
        found = found.replace(text, instead);
    }
    let found: String = found.lines().map(|line| untimed(line) + "\n").collect();
    let path = repository().join("tests/plugin_command/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = similar::TextDiff::from_lines(&expected, &found);
    assert!(expected == found, "{name} differs; BLESS=1 accepts it\n{}", difference.unified_diff().header("expected", "printed"));
}

/// `3 cases pass in 0.02 s` without the time.
fn untimed(line: &str) -> String {
    match line.split_once(" pass in ") {
        Some((before, after)) => format!("{before} pass in (time){}", after.split_once(" s").map_or("", |(_, rest)| rest)),
        None => line.to_owned(),
    }
}

#[test]
fn cases_that_pass_are_counted() {
    let wasm = component("clean-pin").display().to_string();
    assert_prints("passing", &["test", &wasm, "--cases-from", "fixtures/passing"], &[(&wasm, "clean_pin.wasm")]);
}

#[test]
fn cases_that_fail_show_what_differs() {
    let wasm = component("clean-pin").display().to_string();
    assert_prints("differing", &["test", &wasm, "--cases-from", "fixtures/differing"], &[(&wasm, "clean_pin.wasm")]);
}

#[test]
fn a_mistake_in_a_case_file_is_pointed_at() {
    let wasm = component("clean-pin").display().to_string();
    assert_prints("mistaken", &["test", &wasm, "--cases-from", "fixtures/mistaken"], &[(&wasm, "clean_pin.wasm")]);
}

#[test]
fn cases_are_chosen_by_name() {
    let wasm = component("clean-pin").display().to_string();
    let hidden = [(wasm.as_str(), "clean_pin.wasm")];
    let arguments = ["test", &wasm, "--cases-from", "fixtures/differing", "--case"];
    assert_prints("one_case", &[&arguments[..], &["refusal that differs"]].concat(), &hidden);
    assert_prints("no_case", &[&arguments[..], &["a value difers"]].concat(), &hidden);
}

#[test]
fn a_name_that_is_no_plugin_is_reported_with_the_folders_searched() {
    let folder = component("clean-pin").parent().unwrap().display().to_string();
    let arguments = ["test", "clean-pim", "--plugins", &folder];
    assert_prints("unknown", &arguments, &[(&folder, "<plugins>")]);
}

#[test]
fn every_plugin_of_this_repository_passes_its_cases() {
    for name in ["clean-pin", "clean-geo", "clean-user", "weighted-mean", "mode", "top-k", "distinct-count", "quantile"] {
        let folder = component(name).parent().unwrap().display().to_string();
        let source = repository().join("plugins").join(name).display().to_string();
        let output = wasmill(&["test", &source, "--plugins", &folder]);
        let text = printed(&[], &output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("with 1, 7 and 1000 rows a call"), "{text}");
    }
}

#[test]
fn programs_get_the_outcome_as_json() {
    let wasm = component("clean-pin").display().to_string();
    let output = wasmill(&["test", &wasm, "--cases-from", "fixtures/differing", "--case", "a value", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&outcome["passed"], &outcome["failed"]), (&0.into(), &1.into()));
    let case = &outcome["cases"][0];
    assert_eq!((&case["name"], &case["line"]), (&"a value differs".into(), &2.into()));
    let difference = &case["failures"][0]["differences"][0];
    assert_eq!(difference["place"], "port out, row 0 (from input row 0)");
    assert_eq!(difference["lines"], serde_json::json!([{ "expected": "follower_count: 5" }, { "found": "follower_count: 5000" }]));
}

#[test]
fn what_is_no_plugin_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display().to_string();
    for (name, bytes) in [("text", b"no wasm at all".as_slice()), ("module", b"\0asm\x01\0\0\0"), ("component", b"\0asm\x0d\0\x01\0")] {
        let wasm = folder.path().join(format!("{name}.wasm"));
        std::fs::write(&wasm, bytes).unwrap();
        let wasm = wasm.display().to_string();
        assert_prints(&format!("broken_{name}_inspect"), &["inspect", &wasm], &[(&shown, "<folder>")]);
        assert_prints(&format!("broken_{name}_test"), &["test", &wasm, "--cases-from", "fixtures/passing"], &[(&shown, "<folder>")]);
    }
}

#[test]
fn a_plugin_describes_itself() {
    let wasm = component("clean-user");
    let shown = wasm.display().to_string();
    let output = wasmill(&["inspect", &shown, "--json"]);
    assert!(output.status.success(), "{}", printed(&[], &output));
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&facts["name"], &facts["encoding"]), (&"clean-user".into(), &"arrow-ipc".into()));
    assert_eq!(facts["size_bytes"], std::fs::metadata(&wasm).unwrap().len());
    let digest = facts["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    assert!(facts["exports"].as_array().unwrap().iter().any(|name| name.as_str().unwrap().starts_with("wasmill:plugin/transform@")));
    let needs: Vec<_> = facts["needs"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert!(needs.contains(&"date_joined"), "{needs:?}");

    let text = printed(&[], &wasmill(&["inspect", &shown]));
    let version = facts["version"].as_str().unwrap();
    for part in [&format!("clean-user {version}"), digest, "wasmill:plugin/transform@", "null_names"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    // The folder of its source names it too.
    let source = repository().join("plugins/clean-user").display().to_string();
    let folder = wasm.parent().unwrap().display().to_string();
    let by_source = wasmill(&["inspect", &source, "--plugins", &folder, "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&by_source.stdout).unwrap()["digest"], facts["digest"]);
}

/// What a plugin says of itself may be made to steer the terminal of its reader.
#[test]
fn nothing_that_a_plugin_says_steers_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("evil.wasm");
    let mut bytes = std::fs::read(component("clean-user")).unwrap();
    // A title for the window, red letters, the screen wiped by a control character of one byte more than ASCII, and text turned around.
    for (text, evil) in [("Cleans", "\u{1b}]0;x\u{7}"), ("users", "\u{1b}[31m"), ("that mean null", "\u{9b}2J\u{202e}ab\u{7f}cd\re")] {
        assert_eq!(text.len(), evil.len(), "{text}");
        let places: Vec<usize> = (0..bytes.len() - text.len()).filter(|&place| bytes[place..].starts_with(text.as_bytes())).collect();
        assert!(!places.is_empty(), "no `{text}` in the plugin");
        places.iter().for_each(|&place| bytes[place..place + evil.len()].copy_from_slice(evil.as_bytes()));
    }
    std::fs::write(&wasm, bytes).unwrap();
    let shown = wasm.display().to_string();
    for arguments in [vec!["inspect", &shown], vec!["inspect", &shown, "--json"], vec!["test", &shown, "--cases-from", "fixtures/passing"]]
    {
        let output = wasmill(&arguments);
        let text = printed(&arguments, &output);
        let steers = |character: char| character != '\n' && (character.is_control() || character == '\u{202e}');
        assert!(!text.chars().any(steers), "{text:?}");
        if arguments[0] == "inspect" {
            assert!(output.status.success() && text.contains("\\u001b[31m") && text.contains("\\u009b2J\\u202eab\\u007f"), "{text}");
        }
    }
}
