//! Checkpoints in a bucket have no lock: a process that slept while another one went on wakes up fenced, wherever it slept.

use rustix::process::Signal;

use crate::support::{Ended, Pins, Running, Store, Workshop, expected};

struct Takeover {
    workshop: Workshop,
    store: Store,
}

impl Takeover {
    fn new() -> Self {
        let (workshop, store) = (Workshop::new(), Store::new());
        let pipeline = format!(
            r#"
name: takeover
mode: batch
lanes: 2
batch_rows: 500
sources:
  pins: {{ files: {{ path: "data/*.jsonl" }} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: "{}/pin_table", s3: {} }} }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
epoch: {{ rows: 3000 }}
"#,
            store.prefix,
            Store::options()
        );
        workshop.write("takeover.yaml", &pipeline);
        for file in 0..6 {
            workshop.write(&format!("data/{file}.jsonl"), &Pins(file * 2000..(file + 1) * 2000).lines());
        }
        Self { workshop, store }
    }

    fn start(&self, failpoints: &str) -> Running {
        let state = format!("{}/state", self.store.prefix);
        let mut command = self.workshop.wasmill(&["run", "takeover.yaml", "--state", &state]);
        Store::environment(&mut command);
        command.env("FAILPOINTS", failpoints);
        Running::spawn(command)
    }

    fn run_well(&self) -> Ended {
        let ended = self.start("").wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    fn check(&self) {
        let expected = expected(0..12_000);
        assert!(self.store.delta_numbers("pin_table").iter().eq(&expected.table), "each row once in the table");
        assert!(self.workshop.dead_numbers("out/dead_letters").iter().eq(&expected.dead), "each reject once in the dead letters");
    }
}

/// The first process stops itself at the point; another one starts, takes over and finishes; then the first wakes up.
fn sleep_at(point: &str) {
    let takeover = Takeover::new();
    let sleeper = takeover.start(&format!("{point}=1*off->1*return(stop)->off"));
    sleeper.wait_until_stopped();

    takeover.run_well();
    takeover.check();

    sleeper.signal(Signal::CONT);
    let woken = sleeper.wait();
    assert_eq!(woken.code, Some(5), "{}", woken.stderr);
    assert!(woken.stderr.contains("another process has taken over") || woken.stderr.contains("fenced"), "{}", woken.stderr);
    takeover.check();
    takeover.run_well();
    takeover.check();
    assert_eq!(takeover.store.stray_files("pin_table"), Vec::<String>::new(), "objects beside the table's own");
}

#[test]
fn a_sleeper_before_its_checkpoint_in_s3_is_fenced() {
    sleep_at("engine-before-checkpoint");
}

#[test]
fn a_sleeper_after_its_checkpoint_in_s3_is_fenced() {
    sleep_at("engine-after-checkpoint");
}

#[test]
fn a_sleeper_in_the_middle_of_a_commit_in_s3_is_fenced() {
    sleep_at("delta-commit-before-log");
}

#[test]
fn a_sleeper_with_half_an_epoch_is_fenced() {
    sleep_at("lane-after-batch");
}

#[test]
fn state_in_s3_is_shown_reset_and_adopted() {
    let takeover = Takeover::new();
    takeover.run_well();
    let state = format!("{}/state", takeover.store.prefix);
    let command = |action: &str| {
        let mut command = takeover.workshop.wasmill(&["state", action, "takeover.yaml", "--state", &state]);
        Store::environment(&mut command);
        let ended = Running::spawn(command).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let shown = command("show");
    assert!(shown.contains("sink pin_table: epoch") && shown.contains("6 done"), "{shown}");
    command("adopt");
    takeover.run_well();
    takeover.check();
    command("reset");
    takeover.run_well();
    let twice = takeover.store.delta_numbers("pin_table");
    assert_eq!(twice.len(), 2 * expected(0..12_000).table.len(), "after a reset everything is read again");
}

#[test]
fn wrong_credentials_stop_with_what_to_do_and_lose_nothing() {
    let takeover = Takeover::new();
    let state = format!("{}/state", takeover.store.prefix);
    let mut command = takeover.workshop.wasmill(&["run", "takeover.yaml", "--state", &state]);
    Store::environment(&mut command);
    command.env("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    let refused = Running::spawn(command).wait();
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    assert!(refused.stderr.contains("check the credentials"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("not-the-secret") && !refused.stderr.contains('<'), "{}", refused.stderr);
    takeover.run_well();
    takeover.check();
}
