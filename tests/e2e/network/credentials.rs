//! Credentials that are wrong, and ones that expire in the middle of a run: a clear stop, no secret shown, and a later start goes on.

use super::Proxies;
use crate::kafka_broker::{Producer, topic, variable};
use crate::matrix::destination::{DeltaOnS3, Destination, S3};
use crate::matrix::mill::Mill;
use crate::matrix::origin::{Files, Objects, Origin};
use crate::proxy::Action;
use crate::support::{Pins, Random, Running, Workshop, expected};

/// How often they expire: each time at another moment.
const STOPS: usize = 4;

fn expire<O: Origin, D: Destination>(name: &str) {
    let (mut mill, proxies, mut random) = (Mill::<O, D>::new(D::STATE), Proxies::new(), Random::of(name));
    for _ in 0..STOPS {
        mill.add(3_000);
        // A start takes some ten of the fifty requests of a run.
        let mut left = 5 + random.below(25);
        proxies.s3.rule(move |_| match left.checked_sub(1) {
            Some(fewer) => {
                left = fewer;
                Action::Pass
            }
            None => Action::Answer(403, "ExpiredToken"),
        });
        let ended = Running::spawn(proxies.lead(mill.command("batch"))).wait();
        assert_eq!(ended.code, Some(5), "{}", ended.stderr);
        // An answer to HEAD has no text.
        let told = ["ExpiredToken", "the store responded 403"].iter().any(|text| ended.stderr.contains(text));
        assert!(told && ended.stderr.contains("check the credentials"), "{}", ended.stderr);
        assert!(!ended.stderr.contains(&variable("WASMILL_TEST_S3_SECRET_KEY")), "{}", ended.stderr);
    }
    mill.finish();
    mill.check();
}

#[test]
fn credentials_that_expire_under_a_table_stop_the_run_and_a_later_one_resumes() {
    expire::<Objects, DeltaOnS3>("expired: s3 into delta_on_s3");
}

#[test]
fn credentials_that_expire_under_objects_stop_the_run_and_a_later_one_resumes() {
    expire::<Files, S3>("expired: files into s3");
}

#[test]
fn a_wrong_password_for_kafka_stops_with_what_to_do_and_nothing_is_lost() {
    let (workshop, topic) = (Workshop::new(), topic(1));
    let producer = Producer::new(&[]);
    Pins(0..2_000).lines().lines().for_each(|line| producer.send(&topic, 0, line.as_bytes()));
    producer.flush();
    let pipeline = format!(
        r#"
name: secured
sources:
  pins:
    kafka:
      topics: [{topic}]
      connection:
        brokers: "{}"
        security:
          tls: {{ ca: "{}/ca.pem" }}
          sasl: {{ mechanism: scram-sha-512, username: "{}", password: "${{env:KAFKA_PASSWORD}}" }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: out/pin_table }} }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
"#,
        variable("WASMILL_TEST_KAFKA_SASL_SSL"),
        variable("WASMILL_TEST_KAFKA_TLS"),
        variable("WASMILL_TEST_KAFKA_USER"),
    );
    workshop.write("secured.yaml", &pipeline);
    let run = |password: &str| {
        let mut command = workshop.wasmill(&["run", "secured.yaml"]);
        command.env("KAFKA_PASSWORD", password);
        Running::spawn(command).wait()
    };
    let refused = run("not-the-password");
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    assert!(refused.stderr.contains("refuse the connection") && refused.stderr.contains("security"), "{}", refused.stderr);
    let password = variable("WASMILL_TEST_KAFKA_PASSWORD");
    assert!(!refused.stderr.contains("not-the-password") && !refused.stderr.contains(&password), "{}", refused.stderr);
    let ended = run(&password);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    expected(0..2_000).check(&workshop.delta_rows("out/pin_table"), &workshop.jsonl_rows("out/dead_letters"));
}
