//! Every file under `pipelines/` runs.

use crate::kafka_broker::{Producer, address, create};
use crate::s3_to_delta::put_topics;
use crate::support::{Database, Pins, Running, Store, Workshop, repository};

#[test]
fn every_shipped_pipeline_is_without_mistakes_and_runs() {
    let mut pipelines: Vec<_> = std::fs::read_dir(repository().join("pipelines")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pipelines.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(!pipelines.is_empty());
    for path in pipelines {
        let workshop = Workshop::new();
        // What the shipped pipelines read: the folders that `wasmill emulate` fills, here with rows of our own.
        workshop.run_well(&["emulate", "--out", "data", "--rows", "2000", "--seed", "7"]);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::copy(&path, workshop.path(&name)).unwrap();
        let store = Store::new();
        let servers = match name.split('-').next() {
            Some("kafka") => kafka_topics(&workshop),
            Some("s3") => put_topics(&workshop, &store),
            _ => Vec::new(),
        };
        workshop.write("data/pin/more.jsonl", &Pins(0..100).lines());
        let set = servers.iter().flat_map(|server| ["--set", server.as_str()]);
        let arguments: Vec<&str> = ["run", &name, "--mode", "batch"].into_iter().chain(set).collect();
        let database = Database::new();
        let mut command = workshop.wasmill(&arguments);
        command.env("PG_URL", database.url());
        Store::environment(&mut command);
        let ended = Running::spawn(command).wait();
        assert_eq!(ended.code, Some(0), "{name}:\n{}\n{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains("rows in"), "{name}: no closing table:\n{}", ended.stderr);
    }
}

/// Fills the topics of the shipped pipelines with the rows in the workshop. Answers what to set.
fn kafka_topics(workshop: &Workshop) -> Vec<String> {
    let producer = Producer::new(&[]);
    for table in ["pin", "geo", "user"] {
        let topic = format!("pinterest.{table}");
        create(&topic, 2);
        let rows = workshop.jsonl_rows(&format!("data/{table}"));
        assert!(!rows.is_empty(), "the emulator has made rows of {table}");
        rows.iter().enumerate().for_each(|(number, row)| producer.send(&topic, number as i32 % 2, row.to_string().as_bytes()));
    }
    producer.flush();
    ["pins", "geos", "users"].map(|source| format!("sources.{source}.kafka.brokers={}", address())).into()
}
