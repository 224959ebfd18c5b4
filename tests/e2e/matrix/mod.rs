//! The matrix: every source into every sink, with a plugin and dead letters in between, killed again and again; every post ends exactly once in the table
//! or in the dead letters, and nothing is left over. And stages with keys into every sink, with another number of lanes at each start: the table has
//! exactly the rows that a model computes from all posts.
//!
//! `make test` meets every point of every sink once, spread over the sources, and kills each pair at random, too; of the pairs with keys it takes some.
//! `make crash` does `WASMILL_CRASH_KILLS` kills a pair. Every test prints its `WASMILL_CRASH_SEED`, which repeats it.
//!
//! A new source is a type in [`origin`] and a line in `every_sink!`'s call, or in one of `some_sinks!`; a new sink is a type in [`destination`] and a line in its body. New stages are a type
//! in [`stages`] and a line in `keyed!`'s calls.

pub mod destination;
mod kills;
mod leftovers;
pub mod mill;
pub mod origin;
mod sleepers;
pub mod stages;
mod upserts;

use destination::{DeltaOnDisk, DeltaOnS3, Destination, FilesOnDisk, Kafka, Kinesis, Postgres, S3};
use origin::{Files, Origin, Topic};
use stages::{Aggregated, Chained, Deduplicated, Joined, Running};
use upserts::{Upserted, Upserts};

/// The points at which an epoch can be cut off, whatever the sink.
pub const ENGINE_POINTS: &[&str] = &[
    "lane-after-batch",
    "engine-before-prepare",
    "engine-before-checkpoint",
    "engine-after-checkpoint",
    "engine-after-sink-commit",
    "engine-after-commit",
    "engine-in-clean-up",
    "engine-after-claim",
];

/// Those of keyed stages.
pub const KEYED_POINTS: &[&str] = &["keyed-after-seal", "keyed-after-emit", "keyed-after-run", "keyed-in-compaction"];

/// Of these, the points that a start passes once.
pub const START_POINTS: &[&str] = &["engine-after-claim"];

/// The pairs of some origins with every destination.
macro_rules! every_sink {
    ($($name:ident: $origin:ty;)*) => {
        /// The names of all origins.
        const ORIGINS: &[&str] = &[$(<$origin as Origin>::NAME),*];

        $(mod $name {
            use super::kills::{Everyday, kill_again_and_again};
            use super::stages::Cleaned;
            use super::{DeltaOnDisk, DeltaOnS3, Destination, FilesOnDisk, Kafka, ORIGINS, Origin, Postgres, S3, origin};

            fn kill<D: Destination>() {
                let turn = ORIGINS.iter().position(|name| *name == <$origin>::NAME).expect("an origin of the matrix");
                kill_again_and_again::<$origin, D, Cleaned>(Everyday::Share { turn, of: ORIGINS.len() });
            }

            #[test]
            fn into_delta_on_disk() {
                kill::<DeltaOnDisk>();
            }

            #[test]
            fn into_delta_on_s3() {
                kill::<DeltaOnS3>();
            }

            #[test]
            fn into_files_on_disk() {
                kill::<FilesOnDisk>();
            }

            #[test]
            fn into_s3() {
                kill::<S3>();
            }

            #[test]
            fn into_postgres() {
                kill::<Postgres>();
            }

            #[test]
            fn into_kafka() {
                kill::<Kafka>();
            }
        })*
    };
}

every_sink! {
    files: origin::Files;
    kafka: origin::Topic;
    s3: origin::Objects;
    kinesis: origin::Stream;
}

/// Pairs of an origin that is killed every day with some destinations alone, which share its points.
macro_rules! some_sinks {
    ($name:ident: $origin:ty; everyday: $($turn:literal $test:ident: $destination:ty),*; others: $($other:ident: $rest:ty),*;) => {
        mod $name {
            use super::kills::{Everyday, kill_again_and_again};
            use super::stages::Cleaned;
            use super::{DeltaOnDisk, DeltaOnS3, FilesOnDisk, Kafka, Postgres, S3, origin};

            const SHARES: usize = [$($turn),*].len();

            $(#[test]
            fn $test() {
                kill_again_and_again::<$origin, $destination, Cleaned>(Everyday::Share { turn: $turn, of: SHARES });
            })*

            $(#[test]
            fn $other() {
                kill_again_and_again::<$origin, $rest, Cleaned>(Everyday::Nothing);
            })*
        }
    };
}

some_sinks! {
    mysql: origin::Table;
    everyday: 0 into_delta_on_s3: DeltaOnS3, 1 into_files_on_disk: FilesOnDisk, 2 into_postgres: Postgres;
    others: into_delta_on_disk: DeltaOnDisk, into_s3: S3, into_kafka: Kafka;
}

some_sinks! {
    http: origin::Posted;
    everyday: 0 into_delta_on_disk: DeltaOnDisk, 1 into_s3: S3, 2 into_kafka: Kafka;
    others: into_delta_on_s3: DeltaOnS3, into_files_on_disk: FilesOnDisk, into_postgres: Postgres;
}

/// Stages with keys, what feeds them, and the destinations that they are killed with.
macro_rules! keyed {
    ($name:ident: $stages:ty, from $origin:ty; $($test:ident: $destination:ty, $everyday:ident;)*) => {
        mod $name {
            use super::kills::{Everyday, kill_again_and_again};
            use super::*;

            $(#[test]
            fn $test() {
                kill_again_and_again::<$origin, $destination, $stages>(Everyday::$everyday);
            })*
        }
    };
}

keyed! {
    aggregate: Aggregated, from Topic;
    into_delta_on_disk: DeltaOnDisk, Nothing;
    into_delta_on_s3: DeltaOnS3, One;
    into_files_on_disk: FilesOnDisk, One;
    into_s3: S3, Nothing;
    into_postgres: Postgres, Nothing;
    into_kafka: Kafka, One;
    into_kinesis: Kinesis, Nothing;
}

keyed! {
    join: Joined, from Files;
    into_delta_on_disk: DeltaOnDisk, One;
    into_delta_on_s3: DeltaOnS3, Nothing;
    into_files_on_disk: FilesOnDisk, Nothing;
    into_s3: S3, One;
    into_postgres: Postgres, One;
    into_kafka: Kafka, Nothing;
    into_kinesis: Kinesis, Nothing;
    upserts_into_delta_on_disk: Upserted<DeltaOnDisk>, Nothing;
    upserts_into_delta_on_s3: Upserted<DeltaOnS3>, Nothing;
    upserts_into_postgres: Upserted<Postgres>, Nothing;
}

keyed! {
    dedup: Deduplicated, from Topic;
    into_delta_on_disk: DeltaOnDisk, One;
    into_delta_on_s3: DeltaOnS3, Nothing;
    into_files_on_disk: FilesOnDisk, Nothing;
    into_s3: S3, Nothing;
    into_postgres: Postgres, Nothing;
    into_kafka: Kafka, Nothing;
    into_kinesis: Kinesis, One;
    upserts_into_delta_on_disk: Upserted<DeltaOnDisk>, Nothing;
    upserts_into_delta_on_s3: Upserted<DeltaOnS3>, Nothing;
    upserts_into_postgres: Upserted<Postgres>, One;
}

keyed! {
    running: Running, from Topic;
    upserts_into_delta_on_disk: Upserted<DeltaOnDisk>, All;
    upserts_into_delta_on_s3: Upserted<DeltaOnS3>, Nothing;
    upserts_into_postgres: Upserted<Postgres>, One;
}

keyed! {
    chain: Chained, from Topic;
    into_delta_on_disk: DeltaOnDisk, One;
    upserts_into_postgres: Upserted<Postgres>, Nothing;
}

#[test]
fn a_process_that_slept_behind_the_exchange_is_fenced() {
    sleepers::sleep_behind_the_exchange::<DeltaOnDisk, Chained>(0);
    sleepers::sleep_behind_the_exchange::<Upserted<DeltaOnS3>, Running>(1);
    sleepers::sleep_behind_the_exchange::<Kafka, Joined>(2);
    sleepers::sleep_behind_the_exchange::<Postgres, Deduplicated>(4);
}

#[test]
fn a_process_that_slept_is_fenced_in_delta_on_disk() {
    sleepers::sleep_everywhere::<DeltaOnDisk>();
}

#[test]
fn a_process_that_slept_is_fenced_in_delta_on_s3() {
    sleepers::sleep_everywhere::<DeltaOnS3>();
}

#[test]
fn a_process_that_slept_is_fenced_in_files_on_disk() {
    sleepers::sleep_everywhere::<FilesOnDisk>();
}

#[test]
fn a_process_that_slept_is_fenced_in_s3() {
    sleepers::sleep_everywhere::<S3>();
}

#[test]
fn a_process_that_slept_is_fenced_in_postgres() {
    sleepers::sleep_everywhere::<Postgres>();
}

#[test]
fn a_process_that_slept_is_fenced_in_kafka() {
    sleepers::sleep_everywhere::<Kafka>();
}

#[test]
fn a_stream_that_slept_after_a_rest_is_fenced_in_delta_on_disk() {
    sleepers::sleep_after_a_rest::<DeltaOnDisk>();
}

#[test]
fn a_stream_that_slept_after_a_rest_is_fenced_in_delta_on_s3() {
    sleepers::sleep_after_a_rest::<DeltaOnS3>();
}

#[test]
fn a_stream_that_slept_after_a_rest_is_fenced_in_files_on_disk() {
    sleepers::sleep_after_a_rest::<FilesOnDisk>();
}

#[test]
fn a_stream_that_slept_after_a_rest_is_fenced_in_s3() {
    sleepers::sleep_after_a_rest::<S3>();
}

#[test]
fn a_stream_that_slept_after_a_rest_is_fenced_in_postgres() {
    sleepers::sleep_after_a_rest::<Postgres>();
}

#[test]
fn a_stream_that_slept_after_a_rest_is_fenced_in_kafka() {
    sleepers::sleep_after_a_rest::<Kafka>();
}

#[test]
fn what_is_staged_is_found_while_a_run_is_stopped_in_delta_on_disk() {
    leftovers::is_found_while_stopped::<DeltaOnDisk>();
}

#[test]
fn what_is_staged_is_found_while_a_run_is_stopped_in_delta_on_s3() {
    leftovers::is_found_while_stopped::<DeltaOnS3>();
}

#[test]
fn what_is_staged_is_found_while_a_run_is_stopped_in_files_on_disk() {
    leftovers::is_found_while_stopped::<FilesOnDisk>();
}

#[test]
fn what_is_staged_is_found_while_a_run_is_stopped_in_s3() {
    leftovers::is_found_while_stopped::<S3>();
}

#[test]
fn what_is_staged_is_found_while_a_run_is_stopped_in_postgres() {
    leftovers::is_found_while_stopped::<Postgres>();
}

#[test]
fn what_is_staged_is_found_while_a_run_is_stopped_in_kafka() {
    leftovers::is_found_while_stopped::<Kafka>();
}

/// A point that somebody adds to the code is killed at, or this fails.
#[test]
fn every_point_in_the_code_is_met() {
    // Of a command, and not of a pipeline: `delta_tables` stops and kills it there.
    const OF_OPTIMIZE: &[&str] = &["delta-optimize-written", "delta-optimize-before-log"];
    // The sinks of the matrix append: `files_overwritten` kills it there.
    const OF_OVERWRITE: &[&str] = &["files-commit-after-removal"];
    let points = [
        ENGINE_POINTS,
        KEYED_POINTS,
        DeltaOnDisk::POINTS,
        DeltaOnS3::POINTS,
        FilesOnDisk::POINTS,
        S3::POINTS,
        Postgres::POINTS,
        Kafka::POINTS,
        Kinesis::POINTS,
        DeltaOnDisk::UPSERT_POINTS,
        DeltaOnDisk::REWRITE_POINTS,
        origin::Posted::POINTS,
        OF_OPTIMIZE,
        OF_OVERWRITE,
    ];
    let met: Vec<&str> = points.into_iter().flatten().copied().collect();
    let mut folders = vec![crate::support::repository().join("runtime")];
    let mut points = std::collections::BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                points.extend(text.split("failpoint::hit(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
    }
    assert!(points.len() >= 12, "{points:?}");
    let missing: Vec<_> = points.iter().filter(|point| !met.contains(&point.as_str())).collect();
    assert!(missing.is_empty(), "the matrix never kills at {missing:?}");
}
