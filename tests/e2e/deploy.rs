//! What lies in `deploy/`: its commands are commands of Wasmill, its pipelines and its units' command lines are right. `make test-deploy` holds the files
//! against the schemas of those who read them.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use serde_json::Value;
use wasmill_cli::commands::Arguments;

use super::docs::yaml;
use crate::support::{Workshop, repository};

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![repository().join("deploy").join(folder)]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(found_extension) if found_extension == extension => found.push(path),
                _ => {}
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} below deploy/{folder}");
    found
}

fn read(path: &Path) -> Value {
    yaml(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn assert_command(words: &[&str], place: &Path) {
    let parsed = Arguments::try_parse_from(words);
    assert!(parsed.is_ok(), "{}: {words:?}: {}", place.display(), parsed.unwrap_err());
}

/// The lists of words below a key, wherever it is.
fn lists<'a>(value: &'a Value, key: &str, found: &mut Vec<Vec<&'a str>>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                match inner.as_array().and_then(|words| words.iter().map(Value::as_str).collect::<Option<Vec<_>>>()) {
                    Some(words) if name == key => found.push(words),
                    _ => lists(inner, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| lists(item, key, found)),
        _ => {}
    }
}

#[test]
fn the_commands_of_manifests_and_compose_files_are_understood() {
    let mut count = 0;
    for path in files("kubernetes", "yaml") {
        let manifest = read(&path);
        let (mut arguments, mut probes) = (Vec::new(), Vec::new());
        lists(&manifest, "args", &mut arguments);
        lists(&manifest, "command", &mut probes);
        for words in arguments {
            assert_command(&[&["wasmill"][..], &words[..]].concat(), &path);
            count += 1;
        }
        for words in probes {
            assert_command(&words, &path);
            count += 1;
        }
    }
    assert_eq!(count, 5, "two containers and three probes");
    let path = repository().join("deploy/compose/compose.yaml");
    let compose = read(&path);
    for (name, service) in compose["services"].as_object().unwrap() {
        let words: Vec<&str> = service["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_command(&[&["wasmill"][..], &words[..]].concat(), &path);
        let test: Vec<&str> = service["healthcheck"]["test"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(test[0], "CMD", "{name}");
        // The file comes from the environment.
        let file = service["environment"]["WASMILL_HEARTBEAT"].as_str().unwrap();
        assert_command(&[&test[1..3], &[file], &test[3..]].concat(), &path);
    }
}

#[test]
fn the_pipelines_of_config_maps_have_no_mistakes() {
    let mut count = 0;
    for path in files("kubernetes", "yaml") {
        let manifest = read(&path);
        for (name, text) in manifest["data"].as_object().into_iter().flatten().filter(|(name, _)| name.ends_with(".yaml")) {
            let workshop = Workshop::of(&[(name, text.as_str().unwrap())]);
            let ended = workshop.run(&["check", name, "--offline"]);
            assert_eq!(ended.code, Some(0), "{}: {}", path.display(), ended.stdout);
            count += 1;
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn the_commands_of_units_are_understood() {
    let mut count = 0;
    for path in files("systemd", "service") {
        let text = std::fs::read_to_string(&path).unwrap();
        for command in text.lines().filter_map(|line| Some(line.strip_prefix("Exec")?.split_once('=')?.1)) {
            let words: Vec<&str> = std::iter::once("wasmill").chain(command.split_whitespace().skip(1)).collect();
            assert_command(&words, &path);
            count += 1;
        }
    }
    assert_eq!(count, 5);
}
