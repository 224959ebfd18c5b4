//! A process that sleeps in the middle of an epoch while another takes over its pipeline, and wakes up late: it is fenced, in every sink, with
//! checkpoints on disk and in a bucket.

use rustix::process::Signal;

use super::START_POINTS;
use super::destination::Destination;
use super::mill::{Mill, State};
use super::origin::Files;

/// The first process stops itself at the point; a lock is taken from it, as an operator would who believes it dead; another one finishes the pipeline; then
/// the first wakes up.
fn sleep_at<D: Destination>(state: State, point: &str) {
    println!("{} asleep at {point}, state: {state:?}", D::NAME);
    let mut mill = Mill::<Files, D>::new(state);
    (0..3).for_each(|_| mill.add(2_000));
    let passes = if START_POINTS.contains(&point) { 0 } else { 1 };
    let sleeper = mill.start("batch", &format!("{point}={passes}*off->1*return(stop)"));
    sleeper.wait_until_stopped();

    if state == State::Disk {
        let refused = mill.start("batch", "").wait();
        assert_eq!(refused.code, Some(5), "{}", refused.stderr);
        assert!(refused.stderr.contains("is running pipeline `matrix`"), "{}", refused.stderr);
        std::fs::remove_file(mill.workshop.path(".wasmill/state/matrix/lock")).unwrap();
    }
    mill.finish();
    mill.check();

    sleeper.signal(Signal::CONT);
    let woken = sleeper.wait();
    assert_eq!(woken.code, Some(5), "{}", woken.stderr);
    assert!(woken.stderr.contains("another process has taken over") || woken.stderr.contains("fenced"), "{}", woken.stderr);
    mill.add(500);
    mill.finish();
    mill.check();
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
        sleep_at::<D>(if turn % 2 == 0 { State::Bucket } else { State::Disk }, point);
    }
}
