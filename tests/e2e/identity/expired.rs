//! Credentials that expire while their provider is out of order: an outage, which streams wait out, of S3 and of Kinesis alike.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::fake::Fake;
use super::{Mill, ROLE, unknown, wait_for_rows};
use crate::support::{KinesisStream, Pins, Running, Workshop, expected, kinesis_address};

/// They hold for so long.
const LIFE: Duration = Duration::from_secs(4);

/// Takes the role on with the key at hand.
fn with_role(command: &mut Command, fake: &Fake) {
    command.env("AWS_ENDPOINT_URL_STS", fake.url("")).env("AWS_ACCESS_KEY_ID", "base-key").env("AWS_SECRET_ACCESS_KEY", "base-secret");
}

/// Until the credentials that were given last have expired, and were asked for in vain: by `work`, which needs them.
fn out_of_order_for_a_while(fake: &Fake, work: impl FnOnce()) {
    fake.broken(true);
    let (expired, deadline) = (Instant::now() + LIFE + Duration::from_secs(1), Instant::now() + Duration::from_secs(60));
    while let Some(left) = expired.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
    let asked = fake.calls().len();
    work();
    while fake.calls().len() < asked + 3 {
        assert!(Instant::now() < deadline, "nobody asks for credentials: {}", fake.calls().len());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    fake.broken(false);
}

fn ends_well(running: Running) {
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("credentials have expired and can't be renewed"), "{}", ended.stderr);
}

#[test]
fn a_table_in_s3_waits_for_credentials_that_expired() {
    let (fake, mut mill) = (Fake::start(LIFE), Mill::new(&format!(r#", assume_role: {{ arn: "{ROLE}" }}"#)));
    let mut command = mill.command("stream");
    with_role(&mut command, &fake);
    let running = Running::spawn(command);
    wait_for_rows(&mill);
    out_of_order_for_a_while(&fake, || mill.add());
    mill.add();
    wait_for_rows(&mill);
    ends_well(running);
    mill.check();
}

#[test]
fn a_stream_of_kinesis_waits_for_credentials_that_expired() {
    let (fake, workshop, stream) = (Fake::start(LIFE), Workshop::new(), KinesisStream::new(1));
    let pipeline = format!(
        r#"
name: expired
sources:
  pins:
    kinesis: {{ stream: {}, connection: {{ endpoint: "{}", region: us-east-1, assume_role: {{ arn: "{ROLE}" }} }}, poll: 200ms, follow: 300ms }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: out/pin_table }} }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
epoch: {{ every: 200ms, rows: 1500 }}
"#,
        stream.name,
        kinesis_address()
    );
    workshop.write("expired.yaml", &pipeline);
    let put = |numbers: std::ops::Range<u64>| {
        let lines = Pins(numbers).lines();
        stream.put(&lines.lines().enumerate().map(|(number, line)| (format!("k{number}"), line.to_owned())).collect::<Vec<_>>());
    };
    let wait_for = |posts: u64| {
        let (deadline, wanted) = (Instant::now() + Duration::from_secs(60), expected(0..posts).table.len());
        let first = workshop.path("out/pin_table/_delta_log/00000000000000000000.json");
        while !first.exists() || workshop.delta_numbers("out/pin_table").len() < wanted {
            assert!(Instant::now() < deadline, "{wanted} rows did not arrive");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    };
    put(0..500);
    let mut command = unknown(workshop.wasmill(&["run", "expired.yaml", "--mode", "stream"]), &workshop);
    with_role(&mut command, &fake);
    let running = Running::spawn(command);
    wait_for(500);
    out_of_order_for_a_while(&fake, || put(500..1_000));
    put(1_000..1_500);
    wait_for(1_500);
    ends_well(running);
    workshop.check_posts(1_500);
}
