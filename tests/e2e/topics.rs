//! `wasmill topics`: against the broker, with and without passwords.

use crate::kafka_broker::{Producer, address, unique, variable};
use crate::support::{Ended, Workshop};

fn topics(workshop: &Workshop, arguments: &[&str]) -> Ended {
    workshop.run(&[&["topics"], arguments, &["--brokers", &address()]].concat())
}

fn well(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    &ended.stdout
}

#[test]
fn a_topic_is_made_listed_described_and_removed() {
    let (workshop, name) = (Workshop::new(), unique("topics"));
    let made = topics(&workshop, &["create", &name, "--partitions", "3", "--replicas", "1", "--config", "cleanup.policy=compact"]);
    assert_eq!(well(&made), format!("the topic {name} is created\n"));
    let again = topics(&workshop, &["create", &name]);
    assert_eq!(again.code, Some(5));
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);

    let producer = Producer::new(&[]);
    (0..5).for_each(|_| producer.send_all_of(&name, 2, Some(b"key"), Some(b"x"), &[], None));
    producer.flush();
    let listed = topics(&workshop, &["list"]);
    let row = well(&listed).lines().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("{}", listed.stdout)).to_owned();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), [&name, "3", "1"]);
    assert!(!listed.stdout.contains("__transaction_state"));
    let described = topics(&workshop, &["describe", &name]);
    let text = well(&described);
    assert!(text.starts_with(&format!("{name}: 3 partitions, id ")) && text.contains("  cleanup.policy=compact\n"), "{text}");
    let last = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|row| row.first() == Some(&"2"));
    assert_eq!(last.unwrap(), ["2", "1", "1", "1", "0", "5"], "{text}");

    let unsure = topics(&workshop, &["delete", &name]);
    assert_eq!(unsure.code, Some(2));
    assert!(unsure.stderr.contains("--yes"), "{}", unsure.stderr);
    assert_eq!(well(&topics(&workshop, &["delete", &name, "--yes"])), format!("the topic {name} is removed\n"));
    for arguments in [["describe", &name, "", ""], ["delete", &name, "--yes", ""]] {
        let arguments: Vec<&str> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
        let gone = topics(&workshop, &arguments);
        assert_eq!(gone.code, Some(5));
        assert!(gone.stderr.contains("there is no topic"), "{}", gone.stderr);
    }
}

#[test]
fn what_the_brokers_refuse_is_reported() {
    let workshop = Workshop::new();
    let refused = |arguments: &[&str], code: i32, told: &str| {
        let ended = topics(&workshop, arguments);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    };
    refused(&["create", "a b"], 2, "can't be the name of a topic");
    refused(&["create", &unique("topics"), "--config", "cleanup.policy=burn"], 2, "cleanup.policy");
    refused(&["create", &unique("topics"), "--replicas", "7"], 5, "fewer brokers");
    let nobody = workshop.run(&["topics", "list", "--brokers", "127.0.0.1:1"]);
    assert_eq!(nobody.code, Some(5));
    assert!(nobody.stderr.contains("no Kafka broker of 127.0.0.1:1 responded"), "{}", nobody.stderr);
    assert_eq!(workshop.run(&["topics", "list"]).code, Some(2), "neither brokers nor a pipeline");
}

#[test]
fn brokers_and_security_come_from_a_pipeline() {
    let (workshop, name) = (Workshop::new(), unique("topics"));
    let ca = format!("{}/ca.pem", variable("WASMILL_TEST_KAFKA_TLS"));
    let (secure, user) = (variable("WASMILL_TEST_KAFKA_SASL_SSL"), variable("WASMILL_TEST_KAFKA_USER"));
    let security =
        format!("{{ tls: {{ ca: \"{ca}\" }}, sasl: {{ mechanism: scram-sha-512, username: {user}, password: \"${{env:SASL}}\" }} }}");
    workshop.write(
        "pipeline.yaml",
        &format!(
            r#"
name: secure
sources:
  pins: {{ files: {{ path: "data/*.jsonl" }}, schema: {{ index: int64 }} }}
sinks:
  table: {{ from: pins, files: {{ path: out, format: jsonl }} }}
  pin_topic: {{ from: pins, kafka: {{ connection: {{ brokers: "{secure}", security: {security} }}, topic: {name}, key: index }} }}
dead_letters:
  files: {{ path: dead, format: jsonl }}
"#
        ),
    );
    let run = |arguments: &[&str], password: &str| {
        let mut command = workshop.wasmill(&[&["topics"], arguments, &["--pipeline", "pipeline.yaml"]].concat());
        command.env("SASL", password);
        crate::support::Running::spawn(command).wait()
    };
    let password = variable("WASMILL_TEST_KAFKA_PASSWORD");
    assert_eq!(well(&run(&["create", &name, "--partitions", "2"], &password)), format!("the topic {name} is created\n"));
    assert!(well(&run(&["describe", &name, "--node", "pin_topic"], &password)).contains("2 partitions"));
    let unknown = run(&["list", "--node", "table"], &password);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("there are: pin_topic"), "{}", unknown.stderr);
    let wrong = run(&["list"], "hunter22");
    assert_eq!(wrong.code, Some(5));
    assert!(wrong.stderr.contains("refuse the connection") && !wrong.stderr.contains("hunter22"), "{}", wrong.stderr);

    // The same sink writes through TLS and passwords.
    workshop.write("data/a.jsonl", "{\"index\": 1}\n{\"index\": 2}\n");
    let mut command = workshop.wasmill(&["run", "pipeline.yaml"]);
    command.env("SASL", &password);
    let ended = crate::support::Running::spawn(command).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut numbers: Vec<u64> =
        crate::kafka_broker::committed(&name).iter().map(|record| record.json()["index"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(well(&run(&["delete", &name, "--yes"], &password)), format!("the topic {name} is removed\n"));
}
