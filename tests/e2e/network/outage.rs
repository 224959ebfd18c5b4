//! Servers that refuse connections for a while: the sources wait, and nothing is lost. `WASMILL_OUTAGE_SECONDS` says how long (3; `make crash`: 120).

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
    while mill.destination.posts(&mill.workshop).0.len() < wanted {
        assert!(Instant::now() < deadline, "{wanted} rows did not arrive");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn outage<O: Origin, D: Destination>(refusing: impl Fn(&Proxies) -> &Proxy) {
    let (mut mill, proxies) = (Mill::<O, D>::new(D::STATE), Proxies::new());
    let proxy = refusing(&proxies);
    mill.add(2_000);
    let mut running = Running::spawn(proxies.lead(mill.command("stream")));
    wait_for_rows(&mill);
    assert!(proxy.passed() > 10_000, "{} bytes went through the proxy", proxy.passed());
    proxy.refuse(true);
    mill.add(2_000);
    let ended = running.ends_within(Duration::from_secs(number_from_environment("WASMILL_OUTAGE_SECONDS", 3)));
    assert!(!ended, "{}", running.kill().stderr);
    proxy.refuse(false);
    wait_for_rows(&mill);
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    mill.finish();
    mill.check();
}

#[test]
fn an_outage_of_the_brokers_is_waited_out() {
    outage::<Topic, DeltaOnDisk>(|proxies| &proxies.kafka);
}

#[test]
fn an_outage_of_the_store_under_a_table_is_waited_out() {
    outage::<Topic, DeltaOnS3>(|proxies| &proxies.s3);
}

#[test]
fn an_outage_of_the_store_under_objects_is_waited_out() {
    outage::<Objects, S3>(|proxies| &proxies.s3);
}

#[test]
fn an_outage_of_the_database_is_waited_out() {
    outage::<Files, Postgres>(|proxies| &proxies.postgres);
}
