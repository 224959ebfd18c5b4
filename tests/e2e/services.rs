//! What `make services` starts, what `compose.yaml` starts where containers run, and what the files under `pipelines/` look for: the same places, names and keys.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use wasmill_cli::diagnostics::Diagnostics;
use wasmill_cli::document::{SourceFiles, parse};

use crate::kafka_broker::variable;
use crate::support::repository;

/// What `make services` says, without starting anything.
fn services() -> Value {
    let mut command = Command::new(variable("WASMILL_PYTHON"));
    let output = command.arg(repository().join("tests/servers/servers.py")).arg("usual").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn compose() -> (String, Value) {
    let text = std::fs::read_to_string(repository().join("compose.yaml")).unwrap();
    let (mut files, mut diagnostics) = (SourceFiles::default(), Diagnostics::default());
    let file = files.add("compose.yaml", &text);
    let tree = parse(&files, file, &mut diagnostics).unwrap_or_else(|| panic!("compose.yaml is no YAML: {diagnostics:?}"));
    (text, tree.to_json())
}

/// Texts that stand between a mark and the first character that can't belong to them.
fn behind<'a>(text: &'a str, mark: &str) -> BTreeSet<&'a str> {
    let ends = |character: char| !(character.is_ascii_alphanumeric() || ".:-_".contains(character));
    text.split(mark).skip(1).map(|rest| rest.split(ends).next().unwrap()).collect()
}

#[test]
fn containers_and_services_are_at_the_same_places_with_the_same_keys() {
    let (services, (text, compose)) = (services(), compose());
    let mut published = BTreeMap::new();
    for (name, service) in compose["services"].as_object().unwrap() {
        let (image, version) = service["image"].as_str().unwrap().rsplit_once(':').unwrap();
        assert!(!image.is_empty() && version != "latest", "{name}: the same every day");
        let ports: Vec<u64> =
            service["ports"].as_array().unwrap().iter().map(|port| published_port(name, port.as_str().unwrap())).collect();
        published.insert(name.clone(), ports[0]);
    }
    let usual: BTreeMap<String, u64> =
        services["ports"].as_object().unwrap().iter().map(|(name, ports)| (name.clone(), first_port(name, ports))).collect();
    assert_eq!(published, usual);

    let told: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   export "))
        .flat_map(|line| line.split(' '))
        .map(|pair| pair.split_once('=').unwrap())
        .collect();
    let printed: BTreeMap<&str, &str> =
        services["environment"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    assert_eq!(told, printed);

    let keys: Value = serde_json::from_str(compose["configs"]["keys"]["content"].as_str().unwrap()).unwrap();
    let pair = &keys["identities"][0]["credentials"][0];
    assert_eq!(
        (pair["accessKey"].as_str(), pair["secretKey"].as_str()),
        (Some(printed["AWS_ACCESS_KEY_ID"]), Some(printed["AWS_SECRET_ACCESS_KEY"]))
    );
    let start = compose["services"]["s3"]["command"].as_str().unwrap();
    assert!(start.contains(&format!("-bucket={} ", services["bucket"].as_str().unwrap())), "{start}");
    let streams = compose["services"]["kinesis"]["environment"]["INITIALIZE_STREAMS"].as_str().unwrap();
    let streams: Vec<&str> = streams.split(',').map(|stream| stream.split(':').next().unwrap()).collect();
    assert_eq!(serde_json::json!(streams), services["streams"]);
    let advertised = compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str().unwrap();
    assert!(advertised.contains(&format!("//{},", services["kafka"].as_str().unwrap())), "{advertised}");
}

/// The port on this machine of `127.0.0.1:9092:9092`.
fn published_port(name: &str, port: &str) -> u64 {
    let parts: Vec<&str> = port.split(':').collect();
    assert_eq!((parts.len(), parts[0]), (3, "127.0.0.1"), "{name}: {port} can be reached from elsewhere");
    parts[1].parse().unwrap()
}

/// The port that clients use. SeaweedFS has two for each of its roles, and the fourth one speaks S3.
fn first_port(name: &str, ports: &Value) -> u64 {
    ports[if name == "s3" { 6 } else { 0 }].as_u64().unwrap()
}

#[test]
fn shipped_pipelines_find_the_services_without_a_change() {
    let services = services();
    let (mut brokers, mut buckets, mut streams, mut variables) = (0, 0, 0, 0);
    for path in std::fs::read_dir(repository().join("pipelines")).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // Comments show other addresses.
        let text: String = text.lines().map(|line| line.split_once('#').map_or(line, |(before, _)| before).to_owned() + "\n").collect();
        let name = path.display();
        for address in behind(&text, "brokers: \"") {
            assert_eq!(address, services["kafka"], "{name}");
            brokers += 1;
        }
        for bucket in behind(&text, "s3://") {
            assert_eq!(bucket, services["bucket"], "{name}");
            buckets += 1;
        }
        for stream in behind(&text, "kinesis: { stream: ") {
            assert!(services["streams"].as_array().unwrap().iter().any(|known| known == stream), "{name}: {stream}");
            streams += 1;
        }
        for variable in behind(&text, "${env:") {
            assert!(services["environment"].get(variable).is_some(), "{name}: {variable}");
            variables += 1;
        }
        assert!(!text.contains("endpoint:"), "{name}: an endpoint comes from the environment");
    }
    println!("{brokers} brokers, {buckets} buckets, {streams} streams, {variables} variables");
    assert!(brokers > 0 && variables > 0);
}
