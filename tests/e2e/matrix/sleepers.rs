//! A process that sleeps in the middle of an epoch while another takes over its pipeline, and wakes up late: it is fenced, in every sink, with
//! checkpoints on disk and in a bucket.

use std::time::Duration;

use rustix::process::Signal;

use super::destination::Destination;
use super::mill::{Mill, State};
use super::origin::Files;
use super::stages::{Cleaned, Stages};
use super::{KEYED_POINTS, START_POINTS};
use crate::support::{Ended, number_from_environment};

/// The first process stops itself at the point; a lock is taken from it, as an operator would who believes it dead; another one finishes the pipeline; then
/// the first wakes up.
fn sleep_at<D: Destination, S: Stages>(state: State, point: &str) {
    println!("{}, {} asleep at {point}, state: {state:?}", S::NAME, D::NAME);
    let mut mill = Mill::<Files, D, S>::new(state);
    (0..3).for_each(|_| mill.add(S::POSTS.min(2_000)));
    let passes = if START_POINTS.contains(&point) { 0 } else { 1 };
    let sleeper = mill.start("batch", &format!("{point}={passes}*off->1*return(stop)"));
    sleeper.wait_until_stopped();

    if state == State::Disk {
        let refused = mill.start("batch", "").wait();
        assert_eq!(refused.code, Some(5), "{}", refused.stderr);
        assert!(refused.stderr.contains("is running pipeline `matrix`"), "{}", refused.stderr);
        std::fs::remove_file(mill.workshop.path(".wasmill/state/matrix/lock")).unwrap();
    }
    mill.take_over();
    mill.check_beside_a_sleeper();

    sleeper.signal(Signal::CONT);
    let woken = sleeper.wait();
    assert_fenced(&woken);
    // Files of states that no checkpoint names go some epochs later.
    mill.add(if S::ARE_KEYED { S::POSTS } else { 500 });
    mill.finish();
    mill.check();
}

/// A stream rests for a while, so that an epoch without rows passes, and falls asleep in its next epoch. Another process claims the pipeline, writes what the sleeper
/// was writing, and is about to note it when the sleeper wakes up: the claim decides, the sleeper is fenced, and the other process loses nothing.
fn rest_then_sleep_at<D: Destination>(state: State, point: &str) {
    println!("{} asleep at {point} after a rest, state: {state:?}", D::NAME);
    let mut mill = Mill::<Files, D>::new(state);
    // Of two slow batches the small one is done first and ends the epoch; the large one is counted when the next epoch is open, which then holds nothing.
    [1, 250].into_iter().for_each(|posts| mill.add(posts));
    let failpoints = match point {
        "lane-after-batch" => "lane-after-batch=2*sleep(500)->1*return(stop)".to_owned(),
        later => format!("lane-after-batch=2*sleep(500);{later}=1*off->1*return(stop)"),
    };
    let sleeper = mill.start("stream", &failpoints);
    mill.wait_for_rows();
    // A rest, and not a synchronisation: several epochs' time passes.
    std::thread::park_timeout(Duration::from_secs(1));
    mill.add(500);
    sleeper.wait_until_stopped();
    // Uploads begin when there is enough to send, or the epoch ends.
    let is_staged = point == "engine-before-checkpoint" || (state == State::Disk && !D::NAME.contains("s3"));
    assert!(!is_staged || !mill.left_over().is_empty(), "what is staged is not found");

    if state == State::Disk {
        std::fs::remove_file(mill.workshop.path(".wasmill/state/matrix/lock")).unwrap();
    }
    let newcomer = mill.start("batch", "engine-before-checkpoint=1*return(stop)");
    newcomer.wait_until_stopped();
    sleeper.signal(Signal::CONT);
    assert_fenced(&sleeper.wait());
    newcomer.signal(Signal::CONT);
    let ended = newcomer.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // What the sleeper staged when it was awake again is removed by the next start.
    mill.check_rows();
    mill.add(500);
    mill.finish();
    mill.check();
}

fn assert_fenced(woken: &Ended) {
    assert_eq!(woken.code, Some(5), "{}", woken.stderr);
    assert!(woken.stderr.contains("another process has taken over") || woken.stderr.contains("fenced"), "{}", woken.stderr);
}

/// A stream that rested falls asleep at each of the engine's points before its checkpoint, with checkpoints on disk and in a bucket.
pub fn sleep_after_a_rest<D: Destination>() {
    for state in [State::Disk, State::Bucket] {
        for point in ["lane-after-batch", "engine-before-prepare", "engine-before-checkpoint"] {
            rest_then_sleep_at::<D>(state, point);
        }
    }
}

/// At each of the destination's points, and at those of the engine around them; each with checkpoints here or there in turn.
pub fn sleep_everywhere<D: Destination>() {
    let of_engine = [
        "engine-before-checkpoint",
        "engine-after-sink-commit",
        "engine-after-checkpoint",
        "lane-after-batch",
        "engine-after-claim",
        "engine-in-clean-up",
    ];
    for (turn, point) in of_engine.iter().chain(D::POINTS).enumerate() {
        sleep_at::<D, Cleaned>(if turn % 2 == 0 { State::Bucket } else { State::Disk }, point);
    }
}

/// Between the exchange of keyed stages and the commit of what they have emitted; with `WASMILL_CRASH_KILLS` at all of their points, else at one.
pub fn sleep_behind_the_exchange<D: Destination, S: Stages>(turn: usize) {
    let points = if number_from_environment("WASMILL_CRASH_KILLS", 0) > 0 { KEYED_POINTS.len() } else { 1 };
    for (turn, point) in KEYED_POINTS.iter().cycle().enumerate().skip(turn).take(points) {
        sleep_at::<D, S>(if turn % 2 == 0 { State::Disk } else { State::Bucket }, point);
    }
}
