//! Credentials from every place that they may come from: they work, and are found in nothing that a run prints, writes or lists.

use std::path::Path;

use crate::delta_diff;
use crate::kafka_broker::{committed, topic, variable};
use crate::support::{Database, Ended, Running, Store, Workshop};

/// Texts that occur in no row and no name: where one is found, a secret was written down.
const FROM_FILE: &str = "canary-of-a-file";
const FROM_ENVIRONMENT: &str = "canary-of-the-environment";
const WRONG: &str = "canary-that-is-wrong";

/// A folder with a pipeline into a bucket, a topic and two tables. Its credentials come from a Delta table, a file of `--env-file`, a file and the
/// environment.
struct Place {
    workshop: Workshop,
    store: Store,
    topic: String,
    database: Database,
}

impl Place {
    fn new() -> Self {
        let (workshop, store, topic, database) = (Workshop::new(), Store::new(), topic(1), Database::new());
        let (key, secret) = (variable("WASMILL_TEST_S3_ACCESS_KEY"), variable("WASMILL_TEST_S3_SECRET_KEY"));
        let row = serde_json::json!({ "Access key ID": key, "Secret access key": secret, "wrong": WRONG, "number": 1 });
        delta_diff::write(&workshop, "secrets/keys", "append", &format!("{row}\n"));
        workshop.write("secrets/password", &format!("{FROM_FILE}\n"));
        workshop.write("secrets/.env", &format!("# the broker's\nKAFKA_PASSWORD='{}'\n", variable("WASMILL_TEST_KAFKA_PASSWORD")));
        workshop.write("data/a.jsonl", "{\"index\": 1}\n{\"index\": 2}\n{\"index\": \"none\"}\n");
        let place = Self { workshop, store, topic, database };
        place.workshop.write("pipeline.yaml", &place.pipeline("Secret access key"));
        place
    }

    fn pipeline(&self, secret: &str) -> String {
        let security = format!(
            "{{ tls: {{ ca: \"{}/ca.pem\" }}, sasl: {{ mechanism: scram-sha-512, username: {}, password: \"${{secret:KAFKA_PASSWORD}}\" }} }}",
            variable("WASMILL_TEST_KAFKA_TLS"),
            variable("WASMILL_TEST_KAFKA_USER"),
        );
        let (server, prefix, topic) = (variable("WASMILL_TEST_KAFKA_SASL_SSL"), &self.store.prefix, &self.topic);
        let url = |secret: &str| self.database.url().replace("postgres@", &format!("postgres:${{{secret}}}@"));
        format!(
            r#"
name: canaries
sources:
  pins: {{ files: {{ path: "data/*.jsonl" }}, schema: {{ index: int64 }}, max_reject_share: 0.5 }}
sinks:
  objects:
    from: pins
    s3:
      uri: "{prefix}/objects"
      format: jsonl
      connection:
        endpoint: "{endpoint}"
        access_key_id: "${{table:delta:secrets/keys#Access key ID}}"
        secret_access_key: "${{table:delta:secrets/keys#{secret}}}"
  sent: {{ from: pins, kafka: {{ connection: {{ brokers: "{server}", security: {security} }}, topic: {topic}, key: index }} }}
  by_file: {{ from: pins, postgres: {{ connection: {{ url: "{by_file}" }}, table: by_file }} }}
  by_variable: {{ from: pins, postgres: {{ connection: {{ url: "{by_variable}" }}, table: by_variable }} }}
dead_letters:
  files: {{ path: dead, format: jsonl }}
"#,
            endpoint = variable("WASMILL_TEST_S3"),
            by_file = url("file:secrets/password"),
            by_variable = url("secret:CANARY"),
        )
    }

    /// Runs a command to its end, and looks through what it prints and what other programs see of it meanwhile.
    fn command(&self, arguments: &[&str]) -> Ended {
        let mut command = self.workshop.wasmill(&[&["--env-file", "secrets/.env"], arguments].concat());
        command.env("CANARY", FROM_ENVIRONMENT).env("RUST_LOG", "debug");
        let mut running = Running::spawn(command);
        while !running.ends_within(std::time::Duration::from_millis(5)) {
            listed_processes().iter().for_each(|line| self.look_through(line, "a command line"));
        }
        let ended = running.wait();
        let what = format!("what wasmill {arguments:?} printed");
        [&ended.stdout, &ended.stderr].into_iter().for_each(|text| self.look_through(text.as_bytes(), &what));
        ended
    }

    fn look_through(&self, text: &[u8], what: &str) {
        let secrets = [variable("WASMILL_TEST_S3_SECRET_KEY"), variable("WASMILL_TEST_KAFKA_PASSWORD")];
        for secret in secrets.iter().map(String::as_str).chain([FROM_FILE, FROM_ENVIRONMENT, WRONG]) {
            let found = text.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "a secret is in {what}: {}", String::from_utf8_lossy(text));
        }
    }

    /// Looks through all files but those that hold the secrets; returns how many there were.
    fn look_through_files(&self, folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let looked_through = entries.filter(|path| path.file_name().unwrap() != "secrets").map(|path| match path.is_dir() {
            true => self.look_through_files(&path),
            false => {
                self.look_through(&std::fs::read(&path).unwrap(), &path.display().to_string());
                1
            }
        });
        looked_through.sum()
    }
}

/// The command lines of all processes.
fn listed_processes() -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    // One that ended meanwhile has none.
    entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok()).collect()
}

#[test]
fn credentials_from_tables_files_and_the_environment_work_and_are_found_nowhere() {
    let place = Place::new();
    let offline = place.command(&["check", "pipeline.yaml", "--offline"]);
    assert!(offline.code == Some(0) && offline.stdout.contains("secrets/keys is not read"), "{}\n{}", offline.stdout, offline.stderr);
    for arguments in [
        &["check", "pipeline.yaml"][..],
        &["check", "pipeline.yaml", "--json"],
        &["plan", "pipeline.yaml"],
        &["doctor", "pipeline.yaml"],
        &["run", "pipeline.yaml", "--state", "state", "--json"],
        &["doctor", "pipeline.yaml", "--state", "state"],
        &["state", "show", "pipeline.yaml", "--state", "state"],
    ] {
        let ended = place.command(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
    }
    let mut sent: Vec<u64> = committed(&place.topic).iter().map(|record| record.json()["index"].as_u64().unwrap()).collect();
    sent.sort_unstable();
    assert_eq!(sent, [1, 2]);
    for table in ["by_file", "by_variable"] {
        assert_eq!(place.database.numbers(table, "index"), [1, 2]);
    }
    assert_eq!(place.workshop.jsonl_rows("dead").len(), 1, "the dead letter is looked through, too");
    place.store.copy_all("objects", &place.workshop.path("copied"));
    assert!(place.look_through_files(&place.workshop.path("")) >= 6, "state, dead letter, objects, input, pipeline");
}

#[test]
fn credentials_that_are_refused_are_not_in_the_error() {
    let place = Place::new();
    place.workshop.write("pipeline.yaml", &place.pipeline("wrong"));
    for arguments in [&["doctor", "pipeline.yaml"][..], &["run", "pipeline.yaml", "--json"]] {
        let ended = place.command(arguments);
        assert_ne!(ended.code, Some(0), "{}", ended.stdout);
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains("check the credentials"), "{}\n{}", ended.stdout, ended.stderr);
    }
}

#[test]
fn a_reference_to_a_table_that_has_no_such_value_says_what_is_there() {
    let place = Place::new();
    let said = |secret: &str| {
        place.workshop.write("pipeline.yaml", &place.pipeline(secret));
        let ended = place.command(&["check", "pipeline.yaml"]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        ended.stdout
    };
    assert!(said("Secret").contains("has no column `Secret`; it has `Access key ID`"), "{}", said("Secret"));
    assert!(said("number").contains("`number` of secrets/keys does not hold texts"), "{}", said("number"));
    delta_diff::write(&place.workshop, "secrets/keys", "append", "{\"Access key ID\": \"a second one\"}\n");
    assert!(said("Secret access key").contains("secrets/keys has more than one row"), "{}", said("Secret access key"));
}

#[test]
fn a_file_of_variables_yields_to_the_environment_and_is_refused_where_a_value_would_change() {
    let workshop = Workshop::of(&[
        ("first.env", "FIRST=first\nexport BOTH='first $x'\n"),
        ("second.env", "BOTH=second\nOUTSIDE=second\n"),
        ("odd.env", "A=b\nPASSWORD=canary$word\n"),
        ("data/a.jsonl", "{\"index\": 1}\n"),
        (
            "pipeline.yaml",
            r#"
name: names
sources:
  pins: { files: { path: "data/*.jsonl" }, schema: { index: int64 } }
sinks:
  rows: { from: pins, files: { path: "out/${env:FIRST}/${env:BOTH}/${env:OUTSIDE}", format: jsonl } }
dead_letters:
  files: { path: dead, format: jsonl }
"#,
        ),
    ]);
    let run = |files: &[&str]| {
        let mut command = workshop.wasmill(&["run", "pipeline.yaml"]);
        for file in files {
            command.args(["--env-file", file]);
        }
        command.env("OUTSIDE", "outside");
        Running::spawn(command).wait()
    };
    let ended = run(&["first.env", "second.env"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(workshop.jsonl_rows("out/first/first $x/outside").len(), 1);
    let refused = run(&["odd.env"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("odd.env, line 2: ") && refused.stderr.contains("single quotes"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("canary"), "{}", refused.stderr);
    assert_eq!(run(&["none.env"]).code, Some(5));
}
