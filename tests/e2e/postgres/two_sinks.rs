//! Several sinks in one pipeline, killed between their commits.

use std::time::Duration;

use super::{add_file, check, workshop};
use crate::support::{Database, Running, Store, Workshop, expected};

const DEAD_LETTERS: &str = "dead_letters:\n  postgres: { connection: { url: \"${env:PG_URL}\" }, table: dead_letters }";

fn start(workshop: &Workshop, database: &Database, failpoints: &str) -> Running {
    let mut command = workshop.wasmill(&["run", "pipeline.yaml"]);
    command.env("PG_URL", database.url()).env("FAILPOINTS", failpoints);
    Running::spawn(command)
}

#[test]
fn sinks_killed_between_their_commits_agree_in_the_end() {
    let (workshop, database, store) = (workshop(4), Database::new(), Store::new());
    let lakes = format!(
        "  a_lake: {{ from: clean_pins, delta: {{ uri: \"{}/lake\", connection: {} }} }}\n  the_lake: {{ from: clean_pins, delta: {{ uri: out/lake }} }}\n",
        store.prefix,
        Store::options()
    );
    let all = super::PIPELINE.replace(DEAD_LETTERS, &(lakes + DEAD_LETTERS));
    assert!(all.contains("out/lake"));
    workshop.write("pipeline.yaml", &all);
    // Sinks commit in the order of their names: a kill falls behind each of them in turn.
    for passed in 0..4 {
        let mut running = start(&workshop, &database, &format!("engine-after-sink-commit={passed}*off->return(kill)"));
        assert!(running.ends_within(Duration::from_secs(60)));
        let ended = running.kill();
        assert!(ended.code.is_none() && ended.stderr.contains("failpoint engine-after-sink-commit"), "{}", ended.stderr);
        add_file(&workshop, 4 + passed);
    }
    let ended = start(&workshop, &database, "").wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    check(&database, 8);
    let dead = database.rows("dead_letters");
    for table in [store.delta_rows("lake"), workshop.delta_rows("out/lake")] {
        expected(0..16_000).check(&table, &dead);
    }
    assert_eq!(store.pending_uploads(), Vec::<String>::new());
}
