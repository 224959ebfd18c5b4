//! Servers that refuse connections for a while, or take them and say nothing: the sources wait, and nothing is lost. `WASMILL_OUTAGE_SECONDS` says how long (3; `make crash`: 120).

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Proxies;
use crate::matrix::destination::{DeltaOnDisk, DeltaOnS3, Destination, Postgres, S3};
use crate::matrix::mill::Mill;
use crate::matrix::origin::{Files, Objects, Origin, Topic};
use crate::proxy::Proxy;
use crate::support::{Running, expected, number_from_environment};

/// Whoever waits for a server looks again at least so often.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_for_rows<O: Origin, D: Destination>(mill: &Mill<O, D>) {
    let (deadline, wanted) = (Instant::now() + PATIENCE, expected(0..mill.posts()).table.len());
    while mill.destination.rows(&mill.workshop).0.len() < wanted {
        assert!(Instant::now() < deadline, "{wanted} rows did not arrive");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// An outage begins and ends by `set`. Answers what the process said.
fn outage<O: Origin, D: Destination>(of: impl Fn(&Proxies) -> &Proxy, set: impl Fn(&Proxy, bool)) -> String {
    let (mut mill, proxies) = (Mill::<O, D>::new(D::STATE), Proxies::new());
    let proxy = of(&proxies);
    mill.add(2_000);
    let mut running = Running::spawn(proxies.lead(mill.command("stream")));
    wait_for_rows(&mill);
    assert!(proxy.passed() > 10_000, "{} bytes went through the proxy", proxy.passed());
    set(proxy, true);
    mill.add(2_000);
    let ended = running.ends_within(Duration::from_secs(number_from_environment("WASMILL_OUTAGE_SECONDS", 3)));
    assert!(!ended, "{}", running.kill().stderr);
    set(proxy, false);
    wait_for_rows(&mill);
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    mill.finish();
    mill.check();
    ended.stderr
}

/// What goes on was told once, and once that it is over.
fn told_once(stderr: &str) {
    let told = |what: &str| stderr.lines().filter(|line| line.contains(what)).count();
    let (begins, ends) = (told("fails, retrying"), told("responds again, after"));
    // The table's client and the checkpoints' are two.
    assert!((1..=2).contains(&begins) && (1..=2).contains(&ends), "{begins}, {ends}:\n{stderr}");
}

#[test]
fn an_outage_of_the_brokers_is_waited_out() {
    outage::<Topic, DeltaOnDisk>(|proxies| &proxies.kafka, Proxy::refuse);
}

#[test]
fn an_outage_of_the_store_under_a_table_is_waited_out() {
    told_once(&outage::<Topic, DeltaOnS3>(|proxies| &proxies.s3, Proxy::refuse));
}

#[test]
fn an_outage_of_the_store_under_objects_is_waited_out() {
    outage::<Objects, S3>(|proxies| &proxies.s3, Proxy::refuse);
}

#[test]
fn an_outage_of_the_database_is_waited_out() {
    outage::<Files, Postgres>(|proxies| &proxies.postgres, Proxy::refuse);
}

#[test]
fn brokers_that_send_nothing_are_waited_for() {
    outage::<Topic, DeltaOnDisk>(|proxies| &proxies.kafka, Proxy::hold);
}

#[test]
fn a_store_that_sends_nothing_is_waited_for_and_what_arrives_late_changes_nothing() {
    outage::<Topic, DeltaOnS3>(|proxies| &proxies.s3, Proxy::hold);
}

#[test]
fn a_database_that_sends_nothing_is_waited_for() {
    outage::<Files, Postgres>(|proxies| &proxies.postgres, Proxy::hold);
}
