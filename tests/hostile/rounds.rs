//! Ten rounds of all attacks in one process, beside a plugin that does its work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use wasmill_host::Limits;

use crate::attacks::{self, Shared};
use crate::components;
use crate::support::{echo_with, guest, input, input_schema, opened, policy};

const ROUNDS: usize = 10;

/// How far memory may be from where it was.
const SLACK_BYTES: u64 = 16 << 20;

/// A line of `/proc/self/status` in bytes.
fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The most memory that this process has had so far.
pub fn peak_resident_bytes() -> u64 {
    status("VmHWM:")
}

fn resident_bytes() -> u64 {
    status("VmRSS:")
}

#[test]
fn ten_rounds_leave_nothing_behind() {
    let shared = Shared::new();
    let attacks = attacks::all();
    let stop = AtomicBool::new(false);
    let batches = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| work_beside(&shared, &stop, &batches));
        // The first round pays for what every process pays once: code pages, the allocator's arenas, compiled plugins.
        for attack in &attacks {
            attack.run(&shared);
        }
        let before = resident_bytes();
        let mut answers: Option<Vec<String>> = None;
        for round in 0..ROUNDS {
            let done = batches.load(Ordering::Relaxed);
            let now: Vec<String> = attacks.iter().map(|attack| attack.run(&shared)).collect();
            assert!(batches.load(Ordering::Relaxed) > done, "the neighbour stood still in round {round}");
            match &answers {
                None => answers = Some(now),
                Some(first) => assert_eq!(first, &now, "round {round} was answered differently"),
            }
        }
        let after = resident_bytes();
        println!("resident before {} MB, after {} MB, peak {} MB", before >> 20, after >> 20, peak_resident_bytes() >> 20);
        stop.store(true, Ordering::Relaxed);
        neighbour.join().expect("the neighbour never noticed");
        assert!(after < before + SLACK_BYTES, "{} MB before, {} MB after", before >> 20, after >> 20);
    });
}

/// A well-behaved plugin of two kinds in the same host: every batch comes back as it should, and nothing ever faults.
fn work_beside(shared: &Shared, stop: &AtomicBool, batches: &AtomicU64) {
    let echo = shared.host.load_bytes("neighbour.wasm", guest()).unwrap();
    let transform = opened(&echo, &echo_with(json!({})), input_schema(), Limits::default(), policy()).unwrap();
    let mut echo = transform.instance().unwrap();
    let pass_on = shared.host.load_bytes("pass_on.wat", &components::changed(&[])).unwrap();
    let transform = opened(&pass_on, &json!({}), input_schema(), Limits::default(), policy()).unwrap();
    let mut pass_on = transform.instance().unwrap();
    while !stop.load(Ordering::Relaxed) {
        let batch = input(500);
        assert_eq!(echo.process(&batch).unwrap().outputs[0].records, batch);
        assert_eq!(pass_on.process(&batch).unwrap().outputs[0].records.column(0), batch.column(0));
        batches.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!((echo.stats().faults, pass_on.stats().faults), (0, 0));
}
