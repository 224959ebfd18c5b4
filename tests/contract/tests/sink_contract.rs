//! The contract of `wasmill_engine::Sink`, asked of every sink that can hold it.
//!
//! Each check runs against each implementation. A "process" here is a sink value: another value on the same place knows nothing but
//! what lies on disk, as after a crash.
//!
//! Two sinks stand aside. A console shows rows at their commit and knows nothing of earlier processes. The sink `kinesis` keeps no token, for a stream
//! can't hold one: it runs all checks but those that ask what a token is for, which are those of [`every_with_a_token`]. In its place
//! `kinesis_sink` shows that what it does instead is at least once, and in order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Each server of the tests brings the proxy along, and these tests use several.
#![allow(clippy::duplicate_mod)]

mod kafka_broker;
mod kinesis_server;
mod postgres;
mod sink_contract {
    pub mod readers;
    pub mod uploads;
    pub mod world;
}
mod store;

use std::sync::Barrier;

use sink_contract::uploads;
use sink_contract::world::{World, rows, rows_of_kinds, token, worlds};
use uuid::Uuid;
use wasmill_engine::{Class, CommitOutcome, Committed};

const NONE: [i64; 0] = [];

/// Runs a check against every sink, naming it where it fails.
fn every(check: impl Fn(&World)) {
    for world in worlds() {
        println!("-- {}", world.name);
        check(&world);
    }
}

/// The same for those that keep a token.
fn every_with_a_token(check: impl Fn(&World)) {
    every(|world| {
        if world.process().remembers() {
            check(world);
        }
    });
}

#[test]
fn the_only_sink_without_a_token_is_kinesis() {
    let without: Vec<&str> = worlds().iter().filter(|world| !world.process().remembers()).map(|world| world.name).collect();
    let is_asked = worlds().iter().any(|world| world.name == "kinesis");
    assert_eq!(without, if is_asked { vec!["kinesis"] } else { Vec::new() });
}

#[test]
fn rows_are_invisible_until_their_commit() {
    every(|world| {
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(0, 1), &[&[1, 2], &[3]]);
        assert_eq!(world.visible(), NONE, "{}", world.name);
        assert_eq!(sink.committed("p", "s").unwrap(), None);
        assert_eq!(sink.commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Done);
        assert_eq!(world.visible(), [1, 2, 3], "{}", world.name);
    });
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    every(|world| {
        let sink = world.process();
        let mut writer = sink.writer(world.context(1, 0)).unwrap();
        writer.write(&rows(&[1])).unwrap();
        drop(writer);
        assert_eq!(world.visible(), NONE);
        assert_eq!(world.staged(), 0, "{}", world.name);
    });
}

/// An error of writing back is reported once, to the descriptors that were open then: one that is opened later may never hear of it.
#[test]
fn a_file_stays_open_from_its_first_byte_until_it_is_durable() {
    every(|world| {
        if world.is_remote() {
            return;
        }
        let sink = world.process();
        let mut writer = sink.writer(world.context(1, 0)).unwrap();
        writer.write(&rows(&[1])).unwrap();
        let part = writer.prepare().unwrap();
        assert_eq!((world.staged(), world.open_files()), (1, 1), "{}", world.name);
        sink.prepare(&token(0, 1), vec![part]).unwrap();
        assert_eq!((world.staged(), world.open_files()), (1, 0), "{}", world.name);
    });
}

#[test]
fn another_process_commits_with_the_prepared_value_alone() {
    every(|world| {
        let prepared = world.prepare(&*world.process(), &token(0, 1), &[&[1, 2]]);
        // Through text, as a checkpoint keeps it.
        let prepared = serde_json::from_str(&prepared.to_string()).unwrap();
        assert_eq!(world.process().commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Done);
        assert_eq!(world.visible(), [1, 2]);
        world.assert_epoch(1);
    });
}

#[test]
fn a_commit_that_is_sent_again_changes_nothing() {
    every(|world| {
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(0, 1), &[&[1, 2]]);
        assert_eq!(sink.commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Done);
        assert_eq!(sink.commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Already);
        assert_eq!(world.process().commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Already);
        assert_eq!(world.visible(), [1, 2]);
    });
}

#[test]
fn epochs_follow_each_other_with_gaps() {
    every(|world| {
        let sink = world.process();
        for (previous, epoch) in [(0, 2), (2, 3), (3, 7)] {
            let prepared = world.prepare(&*sink, &token(previous, epoch), &[&[epoch as i64]]);
            assert_eq!(sink.commit(&token(previous, epoch), &prepared).unwrap(), CommitOutcome::Done);
        }
        assert_eq!(world.visible(), [2, 3, 7]);
        world.assert_epoch(7);
    });
}

#[test]
fn a_process_that_was_overtaken_is_fenced() {
    every_with_a_token(|world| {
        let late = world.process();
        let first = world.prepare(&*late, &token(0, 1), &[&[1]]);
        late.commit(&token(0, 1), &first).unwrap();
        let overtaken = world.prepare(&*late, &token(1, 2), &[&[2]]);
        let newer = world.process();
        let third = world.prepare(&*newer, &token(1, 3), &[&[3]]);
        newer.commit(&token(1, 3), &third).unwrap();
        let error = late.commit(&token(1, 2), &overtaken).unwrap_err();
        assert!(error.message().contains("fenced"), "{}: {error}", world.name);
        assert_eq!(error.class(), Class::Environment);
        assert_eq!(world.visible(), [1, 3], "{}", world.name);
        assert_eq!(newer.committed("p", "s").unwrap().unwrap().epoch, 3);
    });
}

#[test]
fn a_wrong_previous_epoch_is_fenced() {
    every_with_a_token(|world| {
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(4, 5), &[&[1]]);
        let error = sink.commit(&token(4, 5), &prepared).unwrap_err();
        assert!(error.message().contains("fenced"), "{}: {error}", world.name);
        assert_eq!(world.visible(), NONE);
        assert_eq!(sink.committed("p", "s").unwrap(), None);
    });
}

#[test]
fn another_life_of_the_pipeline_is_noticed() {
    every_with_a_token(|world| {
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(0, 1), &[&[1]]);
        sink.commit(&token(0, 1), &prepared).unwrap();
        for previous in [0, 1] {
            let foreign = wasmill_engine::Token { incarnation: Uuid::from_u128(99), ..token(previous, 2) };
            let prepared = world.prepare(&*sink, &foreign, &[&[2]]);
            let error = world.process().commit(&foreign, &prepared).unwrap_err();
            assert!(error.message().contains("fenced"), "{}: {error}", world.name);
            assert!(error.message().contains(&token(0, 1).incarnation.to_string()), "{error}");
        }
        assert_eq!(world.visible(), [1]);
    });
}

#[test]
fn adopting_takes_over_and_shows_nothing() {
    every_with_a_token(|world| {
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(0, 1), &[&[1]]);
        sink.commit(&token(0, 1), &prepared).unwrap();
        let mine = |previous, epoch| wasmill_engine::Token { incarnation: Uuid::from_u128(7), ..token(previous, epoch) };
        let adopter = world.process();
        adopter.adopt(&mine(0, 4)).unwrap();
        adopter.adopt(&mine(0, 4)).unwrap();
        assert_eq!(adopter.committed("p", "s").unwrap(), Some(Committed { incarnation: Uuid::from_u128(7), epoch: 4 }));
        assert_eq!(world.visible(), [1]);
        let prepared = world.prepare(&*adopter, &mine(4, 5), &[&[5]]);
        assert_eq!(adopter.commit(&mine(4, 5), &prepared).unwrap(), CommitOutcome::Done);
        adopter.adopt(&mine(0, 0)).unwrap();
        let prepared = world.prepare(&*adopter, &mine(0, 6), &[&[6]]);
        assert_eq!(adopter.commit(&mine(0, 6), &prepared).unwrap(), CommitOutcome::Done);
        assert_eq!(world.visible(), [1, 5, 6]);
    });
}

#[test]
fn cleaning_up_removes_what_was_never_committed_and_nothing_else() {
    every(|world| {
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(0, 1), &[&[1]]);
        sink.commit(&token(0, 1), &prepared).unwrap();
        let _lost = world.prepare(&*sink, &token(1, 2), &[&[2], &[3]]);
        let others = wasmill_engine::Token { pipeline: "other.p".into(), ..token(0, 1) };
        let other = world.prepare(&*sink, &others, &[&[9]]);
        assert_eq!(world.staged(), 3, "{}", world.name);
        world.process().clean_up(&token(1, 2)).unwrap();
        world.process().clean_up(&token(1, 2)).unwrap();
        assert_eq!(world.staged(), 1, "{}: the other pipeline's file must stay", world.name);
        assert_eq!(world.visible(), [1]);
        assert_eq!(sink.commit(&others, &other).unwrap(), CommitOutcome::Done);
        assert_eq!(world.visible(), [1, 9]);
        let nobody = wasmill_engine::Token { pipeline: "nobody".into(), sink: "ever".into(), ..token(0, 1) };
        world.process().clean_up(&nobody).unwrap();
    });
}

/// Runs a check against every sink whose files wait where the rows will be.
fn every_that_stages_files(check: impl Fn(&World)) {
    every(|world| {
        if world.stages_files() {
            check(world);
        }
    });
}

#[test]
fn two_processes_that_write_one_epoch_never_touch_each_others_files() {
    every_that_stages_files(|world| {
        let (one, other) = (world.process(), world.process());
        let first = world.prepare(&*one, &token(0, 1), &[&[1]]);
        one.commit(&token(0, 1), &first).unwrap();
        // Both have files of one lane of one epoch open at a time, under one pipeline's name and life.
        let (mut mine, mut theirs) = (one.writer(world.context(2, 0)).unwrap(), other.writer(world.context(2, 0)).unwrap());
        mine.write(&rows(&[2])).unwrap();
        theirs.write(&rows(&[20, 21])).unwrap();
        mine.write(&rows(&[3])).unwrap();
        theirs.write(&rows(&[22])).unwrap();
        let theirs = other.prepare(&token(1, 2), vec![theirs.prepare().unwrap()]).unwrap();
        let mine = one.prepare(&token(1, 2), vec![mine.prepare().unwrap()]).unwrap();
        assert_eq!(world.staged(), 2, "{}", world.name);
        assert_eq!(one.commit(&token(1, 2), &mine).unwrap(), CommitOutcome::Done);
        assert_eq!(world.visible(), [1, 2, 3], "{}", world.name);
        // The other one was fenced at its checkpoint; were it to come here, it would change nothing.
        assert_eq!(other.commit(&token(1, 2), &theirs).unwrap(), CommitOutcome::Already);
        assert_eq!(world.visible(), [1, 2, 3], "{}", world.name);
    });
}

#[test]
fn a_process_that_slept_before_its_clean_up_leaves_its_successors_files_alone() {
    every_that_stages_files(|world| {
        let late = world.process();
        let first = world.prepare(&*late, &token(0, 1), &[&[1]]);
        late.commit(&token(0, 1), &first).unwrap();
        let abandoned = world.process();
        abandoned.clean_up(&token(0, 1)).unwrap();
        let _abandoned = world.prepare(&*abandoned, &token(1, 2), &[&[2]]);
        // The late one has claimed epoch 2 and sleeps; another one claims epoch 3 and goes on.
        let newer = world.process();
        newer.clean_up(&token(1, 3)).unwrap();
        assert_eq!(world.staged(), 0, "{}", world.name);
        let prepared = world.prepare(&*newer, &token(1, 4), &[&[4], &[5]]);
        let other_life = wasmill_engine::Token { incarnation: Uuid::from_u128(77), ..token(0, 1) };
        let _other = world.prepare(&*newer, &other_life, &[&[9]]);
        assert_eq!(world.staged(), 3, "{}", world.name);
        late.clean_up(&token(1, 2)).unwrap();
        assert_eq!(world.staged(), 3, "{}: files of a later epoch and of another life stay", world.name);
        assert_eq!(newer.commit(&token(1, 4), &prepared).unwrap(), CommitOutcome::Done);
        assert_eq!(world.visible(), [1, 4, 5], "{}", world.name);
    });
}

#[test]
fn what_lanes_had_written_ahead_is_removed_too() {
    every_that_stages_files(|world| {
        let killed = world.process();
        killed.clean_up(&token(0, 1)).unwrap();
        // Lanes are one epoch ahead of the one whose commit is prepared.
        for epoch in [2, 3] {
            let _prepared = world.prepare(&*killed, &token(0, epoch), &[&[epoch as i64]]);
        }
        assert_eq!(world.staged(), 2);
        world.process().clean_up(&token(0, 2)).unwrap();
        assert_eq!(world.staged(), 0, "{}", world.name);
    });
}

#[test]
fn a_staged_file_that_was_cut_off_never_becomes_visible() {
    every_that_stages_files(|world| {
        if world.is_in_a_bucket() {
            // Parts of an upload are named by digests of their bytes.
            return;
        }
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(0, 1), &[&[1, 2, 3]]);
        world.cut_one_staged();
        let error = world.process().commit(&token(0, 1), &prepared).unwrap_err();
        assert!(error.message().contains("bytes, and"), "{}: {error}", world.name);
        assert_eq!(world.visible(), NONE, "{}", world.name);
        assert_eq!(world.process().committed("p", "s").unwrap(), None, "{}", world.name);
    });
}

#[test]
fn a_value_that_is_too_long_for_its_folder_costs_its_row_only() {
    every(|world| {
        if !world.is_partitioned() {
            return;
        }
        // 255 bytes of a name on disk, 1,024 of a key in S3.
        let (fits, too_long) = match world.is_in_a_bucket() {
            true => ("x".repeat(200), "x".repeat(1000)),
            false => ("x".repeat(250), "x".repeat(251)),
        };
        let escaped = "/".repeat(if world.is_in_a_bucket() { 340 } else { 84 });
        let sink = world.process();
        let mut writer = sink.writer(world.context(1, 0)).unwrap();
        let batch =
            rows_of_kinds([(1, "a"), (2, too_long.as_str()), (3, fits.as_str()), (4, escaped.as_str()), (5, too_long.as_str()), (6, "a")]);
        let rejects = writer.write(&batch).unwrap();
        let told: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str(), reject.column.as_deref())).collect();
        let reject = |row: u32| (row, "partition-value-too-long", Some("kind"));
        assert_eq!(told, [reject(1), reject(3), reject(4)], "{}", world.name);
        let prepared = sink.prepare(&token(0, 1), vec![writer.prepare().unwrap()]).unwrap();
        assert_eq!(sink.commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Done);
        assert_eq!(world.visible(), [1, 3, 6], "{}", world.name);
    });
}

#[test]
fn a_partition_has_one_file_per_lane_and_epoch() {
    every(|world| {
        if !world.is_partitioned() {
            return;
        }
        const KINDS: i64 = 45;
        let sink = world.process();
        let mut writer = sink.writer(world.context(1, 0)).unwrap();
        let kinds: Vec<String> = (0..KINDS).map(|kind| format!("kind {kind}")).collect();
        for batch in 0..20 {
            let numbers = batch * 100..(batch + 1) * 100;
            let rows = numbers.map(|number| (number, kinds[(number * 7 % KINDS) as usize].as_str()));
            assert_eq!(writer.write(&rows_of_kinds(rows)).unwrap(), []);
        }
        let prepared = sink.prepare(&token(0, 1), vec![writer.prepare().unwrap()]).unwrap();
        assert_eq!(prepared["files"].as_array().unwrap().len() as i64, KINDS, "{}", world.name);
        sink.commit(&token(0, 1), &prepared).unwrap();
        assert!(world.visible().into_iter().eq(0..2000), "{}", world.name);
    });
}

#[test]
fn lanes_without_rows_are_fine() {
    every(|world| {
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(0, 1), &[&[], &[1], &[]]);
        assert_eq!(sink.commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Done);
        let nothing = world.prepare(&*sink, &token(1, 2), &[&[]]);
        assert_eq!(sink.commit(&token(1, 2), &nothing).unwrap(), CommitOutcome::Done);
        assert_eq!(sink.commit(&token(1, 2), &nothing).unwrap(), CommitOutcome::Already);
        assert_eq!(world.visible(), [1]);
        world.assert_epoch(2);
    });
}

#[test]
fn of_two_that_commit_at_once_one_has_done_it() {
    every_with_a_token(|world| {
        for round in 0..8 {
            let token = token(round, round + 1);
            let prepared = world.prepare(&*world.process(), &token, &[&[round as i64], &[100 + round as i64]]);
            let (one, other, start) = (world.process(), world.process(), Barrier::new(2));
            let commit = |sink: &dyn wasmill_engine::Sink| {
                start.wait();
                sink.commit(&token, &prepared).unwrap()
            };
            let outcomes = std::thread::scope(|scope| {
                let (first, second) = (scope.spawn(|| commit(&*one)), scope.spawn(|| commit(&*other)));
                [first.join().unwrap(), second.join().unwrap()]
            });
            let done = outcomes.iter().filter(|&&outcome| outcome == CommitOutcome::Done).count();
            assert_eq!(done, 1, "{}, round {round}: {outcomes:?}", world.name);
            assert_eq!(world.visible().len() as u64, 2 * (round + 1), "{}", world.name);
        }
    });
}

#[test]
fn a_crash_between_names_and_token_is_finished_by_the_next_process() {
    every(|world| {
        // Every state that a crash can leave: any of the files moved already, the token unset.
        for moved in 0..=2 {
            let token = token(moved, moved + 1);
            let prepared = world.prepare(&*world.process(), &token, &[&[10 * moved as i64], &[10 * moved as i64 + 1]]);
            world.move_some(&prepared, moved as usize);
            assert_eq!(world.process().commit(&token, &prepared).unwrap(), CommitOutcome::Done, "{}: {moved} moved", world.name);
            assert_eq!(world.process().commit(&token, &prepared).unwrap(), CommitOutcome::Already);
        }
        assert_eq!(world.visible(), [0, 1, 10, 11, 20, 21], "{}", world.name);
        assert_eq!(world.staged(), 0);
    });
}

#[test]
fn a_prepared_file_that_is_lost_is_an_error_and_nothing_moves() {
    every(|world| {
        let sink = world.process();
        let prepared = world.prepare(&*sink, &token(0, 1), &[&[1], &[2]]);
        world.lose_one_staged();
        let error = sink.commit(&token(0, 1), &prepared).unwrap_err();
        assert!(error.message().contains("is gone"), "{}: {error}", world.name);
        assert_eq!(world.process().committed("p", "s").unwrap(), None);
    });
}

#[test]
fn two_pipelines_share_a_place() {
    every(|world| {
        let sink = world.process();
        let theirs = wasmill_engine::Token { pipeline: "q".into(), incarnation: Uuid::from_u128(5), ..token(0, 1) };
        let (mine, others) = (world.prepare(&*sink, &token(0, 1), &[&[1]]), world.prepare(&*sink, &theirs, &[&[2]]));
        assert_eq!(sink.commit(&theirs, &others).unwrap(), CommitOutcome::Done);
        assert_eq!(sink.commit(&token(0, 1), &mine).unwrap(), CommitOutcome::Done);
        assert_eq!(world.visible(), [1, 2]);
        if sink.remembers() {
            assert_eq!(sink.committed("q", "s").unwrap().unwrap().incarnation, Uuid::from_u128(5));
        }
    });
}

#[test]
fn a_prepared_commit_of_an_unknown_format_is_refused() {
    every(|world| {
        let sink = world.process();
        let mut prepared = world.prepare(&*sink, &token(0, 1), &[&[1]]);
        prepared["format"] = 99.into();
        assert!(sink.commit(&token(0, 1), &prepared).unwrap_err().message().contains("format 99"));
        assert!(sink.commit(&token(0, 1), &serde_json::json!({})).is_err());
        assert_eq!(world.visible(), NONE);
    });
}
