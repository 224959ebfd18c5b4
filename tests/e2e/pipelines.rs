//! Every file under `pipelines/` runs.

use crate::support::{Database, Pins, Running, Workshop, repository};

#[test]
fn every_shipped_pipeline_is_without_mistakes_and_runs() {
    let mut pipelines: Vec<_> = std::fs::read_dir(repository().join("pipelines")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pipelines.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(!pipelines.is_empty());
    for path in pipelines {
        let workshop = Workshop::new();
        // What the shipped pipelines read: the folders that `wasmill emulate` fills, here with rows of our own.
        workshop.run_well(&["emulate", "--out", "data", "--rows", "2000", "--seed", "7"]);
        workshop.write("data/pin/more.jsonl", &Pins(0..100).lines());
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::copy(&path, workshop.path(&name)).unwrap();
        let database = Database::new();
        let mut command = workshop.wasmill(&["run", &name, "--mode", "batch"]);
        command.env("PG_URL", database.url());
        let ended = Running::spawn(command).wait();
        assert_eq!(ended.code, Some(0), "{name}:\n{}\n{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains("rows in"), "{name}: no closing table:\n{}", ended.stderr);
    }
}
