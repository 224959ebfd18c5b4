//! What the matrix takes for left over is found: while a run is stopped between its rows and its checkpoint, and where a test leaves something behind.

use super::destination::{DeltaOnDisk, DeltaOnS3, Destination};
use super::mill::{Mill, State};
use super::origin::Files;
use crate::support::Store;

/// What a stopped run has staged is found, for the table and for the dead letters; it stays when the process dies, and is gone when the next run has ended.
pub fn is_found_while_stopped<D: Destination>() {
    for state in [State::Disk, State::Bucket] {
        let mut mill = Mill::<Files, D>::new(state);
        mill.add(1_000);
        let stopped = mill.start("batch", "engine-before-checkpoint=1*return(stop)");
        stopped.wait_until_stopped();
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let found = sorted(mill.left_over());
        for place in D::PLACES {
            assert!(found.iter().any(|name| name.contains(place)), "{}, state {state:?}: nothing of {place} in {found:?}", D::NAME);
        }
        stopped.kill();
        assert_eq!(sorted(mill.left_over()), found);
        mill.finish();
        mill.check();
    }
}

#[test]
fn files_that_nobody_knows_are_found() {
    let mut mill = Mill::<Files, DeltaOnDisk>::new(State::Disk);
    mill.add(500);
    mill.finish();
    mill.check();
    let strange = [
        "out/pin_table/stray.parquet",
        "out/pin_table/_delta_log/.tmp",
        "out/pin_table/_delta_log/00000000000000000001.json.tmp",
        "out/pin_table/_wasmill/matrix.pin_table/part-0.parquet",
        "out/dead_letters/.half.jsonl",
        "out/dead_letters/.wasmill/.json",
        "out/dead_letters/.wasmill/matrix.dead_letters/part-0.jsonl",
        ".wasmill/state/matrix/.epoch-abcdef",
        ".wasmill/state/matrix/committed-0000009999",
        ".wasmill/state/spool/matrix.pin_table/0000000001-0-x.rows",
    ];
    for name in strange {
        mill.workshop.write(name, "");
        let found = mill.left_over();
        assert!(found.len() == 1 && found[0].ends_with(name.trim_start_matches(".wasmill/")), "{name} was left, {found:?} was found");
        std::fs::remove_file(mill.workshop.path(name)).unwrap();
    }
    mill.check();
}

#[test]
fn objects_that_nobody_knows_are_found() {
    let mut mill = Mill::<Files, DeltaOnS3>::new(State::Bucket);
    mill.add(500);
    mill.finish();
    mill.check();
    let strange = [
        "dead_letters/_wasmill/deep/x.json",
        "dead_letters/half.jsonl.tmp",
        "elsewhere.jsonl",
        "pin_table/_delta_log/.tmp",
        "pin_table/stray.parquet",
    ];
    let file = mill.workshop.write("incoming", "x");
    mill.destination.0.put(&strange.map(|name| (file.clone(), name.to_owned())));
    assert_eq!(mill.left_over(), strange);
    // A checkpoint's neighbours, too.
    let checkpoints: &Store = mill.state.as_ref().unwrap();
    checkpoints.put(&[(file, "state/matrix/committed-0000009999".to_owned())]);
    assert_eq!(mill.left_over().len(), strange.len() + 1);
}
