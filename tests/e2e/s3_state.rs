//! Checkpoints in a bucket: shown, adopted, reset, out of reach, and taken up by another machine.

use std::time::Duration;

use crate::matrix::destination::{Destination, Kafka, Kinesis, Postgres};
use crate::matrix::mill::{Mill, State};
use crate::matrix::origin::Files;
use crate::support::{Ended, Pins, Running, Store, Workshop, expected};

struct Kept {
    workshop: Workshop,
    store: Store,
}

impl Kept {
    fn new() -> Self {
        let (workshop, store) = (Workshop::new(), Store::new());
        let pipeline = format!(
            r#"
name: kept
mode: batch
lanes: 2
batch_rows: 500
sources:
  pins: {{ files: {{ path: "data/*.jsonl" }} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: "{}/pin_table", connection: {} }} }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
epoch: {{ rows: 3000 }}
"#,
            store.prefix,
            Store::options()
        );
        workshop.write("kept.yaml", &pipeline);
        for file in 0..6 {
            workshop.write(&format!("data/{file}.jsonl"), &Pins(file * 2000..(file + 1) * 2000).lines());
        }
        Self { workshop, store }
    }

    fn run_well(&self) -> Ended {
        let state = format!("{}/state", self.store.prefix);
        let mut command = self.workshop.wasmill(&["run", "kept.yaml", "--state", &state]);
        Store::environment(&mut command);
        let ended = Running::spawn(command).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    fn check(&self) {
        expected(0..12_000).check(&self.store.delta_rows("pin_table"), &self.workshop.jsonl_rows("out/dead_letters"));
    }
}

#[test]
fn state_in_s3_is_shown_reset_and_adopted() {
    let kept = Kept::new();
    kept.run_well();
    let state = format!("{}/state", kept.store.prefix);
    let command = |action: &str| {
        let mut command = kept.workshop.wasmill(&["state", action, "kept.yaml", "--state", &state]);
        Store::environment(&mut command);
        let ended = Running::spawn(command).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let shown = command("show");
    assert!(shown.contains("sink pin_table: epoch") && shown.contains("6 done"), "{shown}");
    command("adopt");
    kept.run_well();
    kept.check();
    command("reset");
    kept.run_well();
    let twice = kept.store.delta_numbers("pin_table");
    assert_eq!(twice.len(), 2 * expected(0..12_000).table.len(), "after a reset everything is read again");
}

#[test]
fn wrong_credentials_stop_with_what_to_do_and_lose_nothing() {
    let kept = Kept::new();
    let state = format!("{}/state", kept.store.prefix);
    let mut command = kept.workshop.wasmill(&["run", "kept.yaml", "--state", &state]);
    Store::environment(&mut command);
    command.env("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    let refused = Running::spawn(command).wait();
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    assert!(refused.stderr.contains("check the credentials"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("not-the-secret") && !refused.stderr.contains('<'), "{}", refused.stderr);
    kept.run_well();
    kept.check();
}

/// Killed with an epoch noted and not committed, and taken up where there is neither the old working directory nor its disk.
fn another_machine_finishes<D: Destination>() {
    let mut mill = Mill::<Files, D>::new(State::Bucket);
    // After the commit of the last sink: what was put into a stream is noted by then.
    for point in ["engine-after-checkpoint", "engine-before-checkpoint", "engine-after-sink-commit"] {
        mill.add(2_000);
        let mut running = mill.start("batch", &format!("{point}=1*off->return(kill)"));
        assert!(running.ends_within(Duration::from_secs(60)), "{point} was never passed twice");
        let ended = running.kill();
        assert!(ended.code.is_none() && ended.stderr.contains(&format!("failpoint {point}")), "{}", ended.stderr);
        mill.move_to_another_machine();
    }
    mill.finish();
    mill.check();
}

#[test]
fn another_machine_finishes_a_noted_epoch_into_postgres() {
    another_machine_finishes::<Postgres>();
}

#[test]
fn another_machine_finishes_a_noted_epoch_into_kafka() {
    another_machine_finishes::<Kafka>();
}

#[test]
fn another_machine_finishes_a_noted_epoch_into_kinesis() {
    another_machine_finishes::<Kinesis>();
}
