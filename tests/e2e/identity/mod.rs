//! Who to be for AWS: every link of its chain of credentials, roles, and renewal. The key that is given is the only one that the store takes, and the process
//! has no other way to know it.

mod expired;
mod fake;

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kafka_broker::{topic, variable};
use crate::support::{Ended, Pins, Running, Store, Workshop, expected};
use fake::{CONTAINER_TOKEN, Fake};

const HOUR: Duration = Duration::from_secs(3600);
const ROLE: &str = "arn:aws:iam::123456789012:role/lake";

/// A pipeline into a table of the store, and a process that knows nothing of its key.
struct Mill {
    workshop: Workshop,
    store: Store,
    files: u64,
}

impl Mill {
    /// `more` is what the sink's connection says besides the endpoint; checkpoints go into the bucket only where it says nothing.
    fn new(more: &str) -> Self {
        let (workshop, store) = (Workshop::new(), Store::new());
        let state = if more.is_empty() { format!("state: \"{}/state\"", store.prefix) } else { String::new() };
        let pipeline = format!(
            r#"
name: identity
sources:
  pins: {{ files: {{ path: "data/*.jsonl", follow: 100ms }} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: "{}/pin_table", connection: {{ endpoint: "${{env:WASMILL_TEST_S3}}"{more} }} }} }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
epoch: {{ every: 200ms, rows: 1500 }}
{state}
"#,
            store.prefix
        );
        workshop.write("identity.yaml", &pipeline);
        let mut mill = Self { workshop, store, files: 0 };
        mill.add();
        mill
    }

    fn add(&mut self) {
        let start = self.files * 1_000;
        let incoming = self.workshop.write("incoming", &Pins(start..start + 1_000).lines());
        let path = self.workshop.path(&format!("data/{:04}.jsonl", self.files));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(incoming, path).unwrap();
        self.files += 1;
    }

    fn command(&self, mode: &str) -> Command {
        unknown(self.workshop.wasmill(&["run", "identity.yaml", "--mode", mode]), &self.workshop)
    }

    fn check(&self) {
        expected(0..self.files * 1_000).check(&self.store.delta_rows("pin_table"), &self.workshop.jsonl_rows("out/dead_letters"));
    }

    /// Runs it with some variables, and answers how it went.
    fn run(&self, variables: &[(&str, String)]) -> Ended {
        let mut command = self.command("batch");
        command.envs(variables.iter().cloned());
        Running::spawn(command).wait()
    }

    /// Runs it well with some variables.
    fn run_well(&self, variables: &[(&str, String)]) {
        let ended = self.run(variables);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains(&variable("WASMILL_TEST_S3_SECRET_KEY")), "{}", ended.stderr);
        self.check();
    }
}

/// A process that has no credentials from anywhere.
fn unknown(mut command: Command, workshop: &Workshop) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.env_remove("WASMILL_TEST_S3_ACCESS_KEY").env_remove("WASMILL_TEST_S3_SECRET_KEY");
    command.env("AWS_CONFIG_FILE", workshop.path("aws-config")).env("AWS_SHARED_CREDENTIALS_FILE", workshop.path("aws-credentials"));
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ENDPOINT_URL_S3", variable("WASMILL_TEST_S3")).env("AWS_REGION", "us-east-1");
    command
}

#[test]
fn a_container_gives_credentials() {
    let (fake, mill) = (Fake::start(HOUR), Mill::new(""));
    let variables =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", fake.url("/container")), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_TOKEN.to_owned())];
    mill.run_well(&variables);
    // Each client asks for its own, and keeps them: the check's, the table's and the state's.
    assert!((1..=3).contains(&fake.calls().len()), "{:?}", fake.calls());
}

#[test]
fn an_instance_gives_credentials() {
    let (fake, mill) = (Fake::start(HOUR), Mill::new(""));
    mill.run_well(&[("AWS_EC2_METADATA_DISABLED", "false".to_owned()), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake.url(""))]);
    let calls = fake.calls();
    assert!((1..=3).contains(&calls.len()) && calls.iter().all(|call| call.contains("token-of-the-instance")), "{calls:?}");
}

#[test]
fn a_web_identity_becomes_a_role() {
    let (fake, mill) = (Fake::start(HOUR), Mill::new(""));
    let token = mill.workshop.write("web-identity", "token-of-the-cluster");
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap().to_owned()),
        ("AWS_ROLE_ARN", ROLE.to_owned()),
        ("AWS_ENDPOINT_URL_STS", fake.url("")),
    ];
    mill.run_well(&variables);
    let calls = fake.calls();
    assert!((1..=3).contains(&calls.len()), "{calls:?}");
    let wanted = ["Action=AssumeRoleWithWebIdentity", "token-of-the-cluster", "role%2Flake"];
    assert!(calls.iter().all(|call| wanted.iter().all(|wanted| call.contains(wanted))), "{calls:?}");
}

#[test]
fn a_profile_is_found_by_its_name() {
    let mill = Mill::new(", profile: lake");
    let (key, secret) = (variable("WASMILL_TEST_S3_ACCESS_KEY"), variable("WASMILL_TEST_S3_SECRET_KEY"));
    let profiles = format!(
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n\n[lake]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    );
    mill.workshop.write("aws-credentials", &profiles);
    mill.run_well(&[]);
}

#[test]
fn a_role_is_assumed_with_the_key_at_hand() {
    let fake = Fake::start(HOUR);
    let role = format!(
        r#", access_key_id: base-key, secret_access_key: "${{env:BASE_SECRET}}", assume_role: {{ arn: "{ROLE}", external_id: agreement, session_name: mill }}"#
    );
    let mill = Mill::new(&role);
    mill.run_well(&[("AWS_ENDPOINT_URL_STS", fake.url("")), ("BASE_SECRET", "base-secret".to_owned())]);
    let calls = fake.calls();
    assert!((1..=2).contains(&calls.len()), "{calls:?}");
    for wanted in ["Action=AssumeRole&", "role%2Flake", "ExternalId=agreement", "RoleSessionName=mill", "Credential=base-key/"] {
        assert!(calls[0].contains(wanted), "no {wanted} in {}", calls[0]);
    }
}

#[test]
fn a_role_that_is_refused_stops_with_what_to_do() {
    let fake = Fake::start(HOUR);
    let mill = Mill::new(r#", assume_role: { arn: "arn:aws:iam::123456789012:role/forbidden" }"#);
    let sts = ("AWS_ENDPOINT_URL_STS", fake.url(""));
    let base = [sts.clone(), ("AWS_ACCESS_KEY_ID", "base-key".to_owned()), ("AWS_SECRET_ACCESS_KEY", "base-secret".to_owned())];
    let ended = mill.run(&base);
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("no AssumeRole for you") && ended.stderr.contains("check the credentials"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("base-secret"), "{}", ended.stderr);

    let ended = mill.run(&[sts]);
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("no AWS credentials"), "{}", ended.stderr);
}

/// Waits until all rows that have come are in the table.
fn wait_for_rows(mill: &Mill) {
    let (deadline, wanted) = (Instant::now() + Duration::from_secs(60), expected(0..mill.files * 1_000).table.len());
    while mill.store.delta_numbers("pin_table").len() < wanted {
        assert!(Instant::now() < deadline, "{wanted} rows did not arrive");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn credentials_are_renewed_while_a_stream_runs() {
    // They hold for four seconds, and are renewed after two.
    let (fake, mut mill) = (Fake::start(Duration::from_secs(4)), Mill::new(&format!(r#", assume_role: {{ arn: "{ROLE}" }}"#)));
    let mut command = mill.command("stream");
    command.env("AWS_ENDPOINT_URL_STS", fake.url("")).env("AWS_ACCESS_KEY_ID", "base-key").env("AWS_SECRET_ACCESS_KEY", "base-secret");
    let running = Running::spawn(command);
    let deadline = Instant::now() + Duration::from_secs(60);
    while fake.calls().len() < 4 {
        assert!(Instant::now() < deadline, "they are not renewed: {:?}", fake.calls());
        mill.add();
        wait_for_rows(&mill);
    }
    let rounds = mill.files;
    assert!(fake.calls().len() as u64 <= 4 + rounds * 20, "not asked for every request: {}", fake.calls().len());
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    mill.check();
}

#[test]
fn a_giver_that_is_out_of_order_is_not_needed_while_credentials_hold() {
    let (fake, mut mill) = (Fake::start(HOUR), Mill::new(&format!(r#", assume_role: {{ arn: "{ROLE}" }}"#)));
    let variables = [
        ("AWS_ENDPOINT_URL_STS", fake.url("")),
        ("AWS_ACCESS_KEY_ID", "base-key".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "base-secret".to_owned()),
    ];
    let mut command = mill.command("stream");
    command.envs(variables.iter().cloned());
    let running = Running::spawn(command);
    wait_for_rows(&mill);
    fake.broken(true);
    mill.add();
    wait_for_rows(&mill);
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    mill.check();

    // A start has none, and says so after some attempts.
    mill.add();
    let ended = mill.run(&variables);
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("no AWS credentials"), "{}", ended.stderr);
    fake.broken(false);
    mill.run_well(&variables);
}

/// No broker here can judge such a token: it refuses ours, which it gets with the role's signature.
#[test]
fn a_token_for_msk_is_signed_with_the_role() {
    let (fake, workshop, topic) = (Fake::start(HOUR), Workshop::new(), topic(1));
    let pipeline = format!(
        r#"
name: msk
sources:
  pins:
    kafka:
      topics: [{topic}]
      connection:
        brokers: "{}"
        security: {{ tls: {{ ca: "{}/ca.pem" }}, auth: msk_iam, aws: {{ region: eu-west-1, role: "{ROLE}" }} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: out/pin_table }} }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
"#,
        variable("WASMILL_TEST_KAFKA_SASL_SSL"),
        variable("WASMILL_TEST_KAFKA_TLS"),
    );
    workshop.write("msk.yaml", &pipeline);
    let mut command = unknown(workshop.wasmill(&["run", "msk.yaml"]), &workshop);
    command.env("AWS_ENDPOINT_URL_STS", fake.url("")).env("AWS_ACCESS_KEY_ID", "base-key").env("AWS_SECRET_ACCESS_KEY", "base-secret");
    let ended = Running::spawn(command).wait();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("refuse the connection"), "{}", ended.stderr);
    let calls = fake.calls();
    assert!(!calls.is_empty() && calls.len() < 10, "{}", calls.len());
    for wanted in ["Action=AssumeRole&", "role%2Flake", "RoleSessionName=wasmill", "Credential=base-key/", "eu-west-1/sts"] {
        assert!(calls[0].contains(wanted), "no {wanted} in {}", calls[0]);
    }
    assert!(!ended.stderr.contains("base-secret") && !ended.stderr.contains(&variable("WASMILL_TEST_S3_SECRET_KEY")), "{}", ended.stderr);
}
