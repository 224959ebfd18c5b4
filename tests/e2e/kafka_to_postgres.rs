//! `pipelines/kafka-to-postgres.yaml`, killed in the middle: the same rows as another pipeline makes of the same records, each `ind` once.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::kafka_broker::{Producer, address, create, unique};
use crate::support::{Database, Running, Workshop, repository};

const TABLES: [(&str, &str); 3] = [("pin", "pinterest"), ("geo", "geolocation"), ("user", "users")];

#[test]
fn posts_places_and_users_from_topics_are_in_their_tables_once() {
    let (workshop, database) = (Workshop::new(), Database::new());
    workshop.run_well(&["emulate", "--out", "data", "--rows", "3000", "--seed", "11"]);
    let lines = fill(&workshop);
    let start = |failpoints: &str| {
        let mut command = workshop.wasmill(&["run", "kafka-to-postgres.yaml", "--mode", "batch", "--set", "epoch.rows=2000"]);
        command.env("PG_URL", database.url()).env("FAILPOINTS", failpoints);
        Running::spawn(command)
    };
    for point in ["postgres-commit-before-commit=1*off->return(kill)", "postgres-commit-after-commit=2*off->return(kill)"] {
        let mut running = start(point);
        assert!(running.ends_within(Duration::from_secs(60)));
        let ended = running.kill();
        assert!(ended.code.is_none() && ended.stderr.contains("failpoint postgres-commit"), "{}", ended.stderr);
    }
    let ended = start("").wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    // The judge: the same records from files into Delta, where what was sent twice is there twice.
    std::fs::copy(repository().join("pipelines/pinterest-to-delta.yaml"), workshop.path("judge.yaml")).unwrap();
    workshop.run_well(&["run", "judge.yaml"]);
    let mut clean = 0;
    for (table, name) in TABLES {
        let rows = workshop.delta_numbers(&format!("out/pinterest/{table}_table"));
        clean += rows.len();
        let distinct: BTreeSet<u64> = rows.iter().copied().collect();
        assert!(distinct.len() > 1_000 && distinct.len() < rows.len(), "{table}: the emulator sends rows twice");
        let stored = database.numbers(name, "ind");
        assert_eq!(stored.len(), distinct.len(), "{name}");
        assert!(stored.iter().eq(&distinct), "{name} holds other rows");
    }
    let dead: usize = database.run("SELECT count(*) FROM dead_letters").trim().parse().unwrap();
    assert_eq!(clean + dead, lines, "every record is a row or a dead letter");
    assert_eq!(dead, workshop.jsonl_rows("out/pinterest/dead_letters").len());
    let joined: usize =
        database.run("SELECT count(*) FROM pinterest JOIN geolocation USING (ind) JOIN users USING (ind)").trim().parse().unwrap();
    assert!(joined > 1_000, "{joined} posts have a place and a user");
}

/// Puts every line of the emulator's files into topics of their own, and the pipeline that reads them into the workshop. Answers how many lines there are.
fn fill(workshop: &Workshop) -> usize {
    let mut pipeline = std::fs::read_to_string(repository().join("pipelines/kafka-to-postgres.yaml")).unwrap();
    let (producer, mut lines) = (Producer::new(&[]), 0);
    for (table, _) in TABLES {
        let topic = unique(table);
        create(&topic, 2);
        for file in std::fs::read_dir(workshop.path(&format!("data/{table}"))).unwrap() {
            for line in std::fs::read(file.unwrap().path()).unwrap().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                producer.send(&topic, lines as i32 % 2, line);
                lines += 1;
            }
        }
        assert!(pipeline.contains(&format!("topics: [pinterest.{table}]")));
        pipeline = pipeline.replace(&format!("pinterest.{table}"), &topic);
    }
    producer.flush();
    workshop.write("kafka-to-postgres.yaml", &pipeline.replace("127.0.0.1:9092", &address()));
    lines
}
