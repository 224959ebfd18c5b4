//! Networks that are slow, far, and cut.

use std::time::Duration;

use super::Proxies;
use crate::matrix::destination::{DeltaOnS3, Destination, Postgres, S3};
use crate::matrix::mill::Mill;
use crate::matrix::origin::{Objects, Origin, Topic};
use crate::proxy::Proxy;
use crate::support::{Random, Running};

/// A post is some 40 bytes at least, however it is compressed: this takes seconds.
const POSTS: u64 = 6_000;
const BYTES_A_SECOND: u64 = 400 << 10;
const UNBOUNDED: u64 = 1 << 40;

fn slow<O: Origin, D: Destination>(used: impl Fn(&Proxies) -> [u64; 2]) {
    let (mut mill, proxies) = (Mill::<O, D>::new(D::STATE), Proxies::new());
    mill.add(POSTS);
    for proxy in proxies.all() {
        proxy.delay(Duration::from_millis(10));
        proxy.throttle(BYTES_A_SECOND);
    }
    let ended = Running::spawn(proxies.lead(mill.command("batch"))).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let [read, written] = used(&proxies);
    assert!(read > POSTS * 40 && written > POSTS * 40, "{read} and {written} bytes went through the proxies");
    mill.check();
}

#[test]
fn a_slow_broker_and_a_slow_store_cost_nothing_but_time() {
    slow::<Topic, DeltaOnS3>(|proxies| [proxies.kafka.passed(), proxies.s3.passed()]);
}

#[test]
fn a_slow_store_and_a_slow_database_cost_nothing_but_time() {
    slow::<Objects, Postgres>(|proxies| [proxies.s3.passed(), proxies.postgres.passed()]);
}

/// All connections are cut at once, rarer and rarer, so that everything is cut off somewhere and gets through in the end. Until it was cut often enough the
/// network is slow, so that even a fast machine is not done before.
fn cut<O: Origin, D: Destination>(name: &str, used: impl Fn(&Proxies) -> [u64; 2]) {
    let (mut mill, proxies, mut random) = (Mill::<O, D>::new(D::STATE), Proxies::new(), Random::of(name));
    mill.add(POSTS);
    proxies.all().into_iter().for_each(|proxy| proxy.throttle(BYTES_A_SECOND));
    let mut running = Running::spawn(proxies.lead(mill.command("batch")));
    let mut cuts = 0;
    while !running.ends_within(Duration::from_millis(20 * (cuts + 1) + random.below(50))) {
        proxies.all().into_iter().for_each(Proxy::cut);
        cuts += 1;
        if cuts == 6 {
            proxies.all().into_iter().for_each(|proxy| proxy.throttle(UNBOUNDED));
        }
        assert!(cuts < 100, "it never ends");
    }
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "after {cuts} cuts: {}", ended.stderr);
    assert!(cuts > 3 && used(&proxies).iter().all(|passed| *passed > POSTS * 40), "{cuts} cuts");
    // What was cut off while it began may lie around until the next start.
    mill.add(100);
    mill.finish();
    mill.check();
}

#[test]
fn cut_connections_to_a_broker_and_a_store_cost_nothing_but_time() {
    cut::<Topic, S3>("cut: kafka into s3", |proxies| [proxies.kafka.passed(), proxies.s3.passed()]);
}

#[test]
fn cut_connections_to_a_store_and_a_database_cost_nothing_but_time() {
    cut::<Objects, Postgres>("cut: s3 into postgres", |proxies| [proxies.s3.passed(), proxies.postgres.passed()]);
}

#[test]
fn cut_connections_under_a_table_in_a_store_cost_nothing_but_time() {
    cut::<Objects, DeltaOnS3>("cut: s3 into delta_on_s3", |proxies| [proxies.s3.passed(); 2]);
}
