//! What goes wrong on the way, and records that have gone.

use std::time::Instant;

use wasmill_engine::{Mode, Progress, SplitId};
use wasmill_kinesis::{Consumer, FanOut, KinesisConfig, LostRecords};

use super::run::{Run, batch, check_order, config, newest, numbers, sorted};
use crate::kinesis_server::proxy::{Fate, Proxy};
use crate::kinesis_server::{PATIENCE, Stream, connection_to, until};

#[test]
fn what_passes_is_tried_again_and_nothing_is_lost_or_doubled() {
    let stream = Stream::new(2);
    stream.put_ids(0..900);
    let proxy = Proxy::start();
    let config = KinesisConfig { connection: connection_to(&proxy.address), ..config(&stream) };
    let faults = [
        ("GetRecords", 2, Fate::Refuse(400, "ExpiredIteratorException")),
        ("GetRecords", 2, Fate::Refuse(400, "ProvisionedThroughputExceededException")),
        ("GetRecords", 2, Fate::Refuse(500, "InternalFailureException")),
        ("GetRecords", 2, Fate::Lose),
        ("GetRecords", 2, Fate::Cut(300)),
        ("GetShardIterator", 1, Fate::Refuse(400, "ProvisionedThroughputExceededException")),
        ("ListShards", 1, Fate::Refuse(400, "LimitExceededException")),
        ("DescribeStreamSummary", 1, Fate::Refuse(503, "ServiceUnavailable")),
    ];
    for (operation, n, fate) in faults {
        let before = proxy.touched();
        proxy.every(operation, n, 3, fate.clone());
        let (first, mut progress) = batch(&config, &Progress::new()).unwrap();
        assert_eq!(sorted(first), numbers(0..900), "{operation} {fate:?}");
        // How many requests a batch needs is not said: on until all faults have come.
        for _ in 0..10 {
            if proxy.touched() - before == 3 {
                break;
            }
            let (nothing, after) = batch(&config, &progress).unwrap();
            assert_eq!(nothing, Vec::<String>::new(), "{operation} {fate:?}");
            progress = after;
        }
        assert_eq!(proxy.touched() - before, 3, "{operation} {fate:?}");
    }
}

#[test]
fn what_does_not_pass_stops_the_run_with_what_to_do() {
    let stream = Stream::new(1);
    stream.put_ids(0..10);
    let proxy = Proxy::start();
    let config = KinesisConfig { connection: connection_to(&proxy.address), retry: wasmill_connect::Retry::of("1s"), ..config(&stream) };
    let failed = |operation, status, name| {
        proxy.every(operation, 1, usize::MAX, Fate::Refuse(status, name));
        batch(&config, &Progress::new()).unwrap_err()
    };
    let error = failed("GetRecords", 400, "ExpiredIteratorException");
    assert!(error.to_string().contains("it was tried for ") && error.hint_text().unwrap().contains("retry: { for"), "{error}");
    let error = failed("DescribeStreamSummary", 400, "UnrecognizedClientException");
    assert!(error.hint_text().unwrap().contains("credentials are wrong"), "{error}");
    let error = failed("GetRecords", 400, "AccessDeniedException");
    assert!(error.hint_text().unwrap().contains("kinesis:DescribeStreamSummary"), "{error}");
    assert!(!error.to_string().contains("test-secret"));
    let error = batch(&KinesisConfig { stream: "nowhere".into(), ..config.clone() }, &Progress::new()).unwrap_err();
    assert!(error.to_string().contains("cannot describe the stream nowhere: "), "{error}");
    let closed = KinesisConfig { connection: connection_to("http://127.0.0.1:1"), ..config };
    assert!(batch(&closed, &Progress::new()).unwrap_err().to_string().contains("it was tried for"));
}

#[test]
fn fan_out_reads_the_same_and_resumes_after_its_connections_break() {
    let stream = Stream::new(2);
    stream.put_ids(0..600);
    let proxy = Proxy::start();
    let consumer = Consumer::FanOut(FanOut { name: "mill".into() });
    let config = KinesisConfig { connection: connection_to(&proxy.address), consumer, ..config(&stream) };
    let (first, progress) = batch(&config, &Progress::new()).unwrap();
    check_order(&first);
    assert_eq!(sorted(first), numbers(0..600));
    // The same consumer again, cut in the middle of what it gets.
    let mut cut = 0;
    proxy.rule(move |operation, _| {
        cut += usize::from(operation == "SubscribeToShard");
        match operation {
            "SubscribeToShard" if cut == 1 => Fate::Refuse(400, "ResourceInUseException"),
            "SubscribeToShard" if cut <= 6 => Fate::Cut(10_000 * cut),
            _ => Fate::Pass,
        }
    });
    let mut run = Run::start(&config, Mode::Stream, &progress).unwrap();
    for round in 0..8 {
        stream.put_ids(600 + round * 200..800 + round * 200);
        run.until(|run| run.read.len() as u64 >= (round + 1) * 200).unwrap();
    }
    check_order(&run.read);
    assert_eq!(sorted(run.read), numbers(600..2200));
    assert!(proxy.touched() >= 4, "{}", proxy.touched());
}

/// The state of a checkpoint whose records have gone: it stands behind a record that is not there, and had read nothing since.
fn overtaken(stream: &Stream, progress: &Progress) -> Progress {
    let begin = stream.shards()[0].sequence_number_range.clone().unwrap().starting_sequence_number;
    let mut overtaken = progress.clone();
    for state in overtaken.values_mut() {
        state.position["at"] = serde_json::json!({ "behind": begin });
        state.position["until"] = serde_json::json!(1_000);
    }
    overtaken
}

#[test]
fn records_that_went_by_retention_stop_the_run_unless_the_file_says_otherwise() {
    let stream = Stream::new(1);
    stream.put_ids(0..30);
    let (_, progress) = batch(&config(&stream), &Progress::new()).unwrap();
    let lost = overtaken(&stream, &progress);
    let error = batch(&config(&stream), &lost).unwrap_err();
    assert!(error.to_string().contains("was removed by retention (24 h)"), "{error}");
    assert!(error.hint_text().unwrap().contains("on_lost_records"));
    let go_on = |on_lost_records| KinesisConfig { on_lost_records, ..config(&stream) };
    assert_eq!(sorted(batch(&go_on(LostRecords::TrimHorizon), &lost).unwrap().0), numbers(0..30));
    until(|| std::time::SystemTime::now() > newest(&stream));
    let mut run = Run::start(&go_on(LostRecords::Latest), Mode::Stream, &lost).unwrap();
    run.until(|run| run.progress.values().all(|state| state.position["until"] != 1_000)).unwrap();
    stream.put_ids(30..40);
    run.until(|run| run.read.len() >= 10).unwrap();
    assert_eq!(sorted(run.read), numbers(30..40));
    // Where everything was read that can have gone, nothing is lost.
    let mut quiet = lost;
    quiet.values_mut().for_each(|state| state.position["until"] = progress.values().next().unwrap().position["until"].clone());
    assert_eq!(sorted(batch(&config(&stream), &quiet).unwrap().0), numbers(0..40));
}

#[test]
fn a_shard_that_went_in_the_middle_stops_the_run() {
    let stream = Stream::new(1);
    stream.put_ids(0..10);
    let (_, progress) = batch(&config(&stream), &Progress::new()).unwrap();
    let (_, state) = progress.into_iter().next().unwrap();
    let gone = Progress::from([(SplitId::from(format!("{}/shardId-000000000777", stream.name)), state)]);
    let error = batch(&config(&stream), &gone).unwrap_err();
    assert!(error.to_string().contains("the shard shardId-000000000777 was read up to what arrived at 20"), "{error}");
    let config = KinesisConfig { on_lost_records: LostRecords::TrimHorizon, ..config(&stream) };
    assert_eq!(sorted(batch(&config, &gone).unwrap().0), numbers(0..10), "others are new to the checkpoint");
}

#[test]
fn a_stream_that_was_made_again_stops_the_run() {
    let stream = Stream::new(1);
    stream.put_ids(0..10);
    let (_, progress) = batch(&config(&stream), &Progress::new()).unwrap();
    let mut run = Run::start(&config(&stream), Mode::Stream, &progress).unwrap();
    stream.delete();
    stream.create(1);
    stream.put_ids(10..20);
    let error = batch(&config(&stream), &progress).unwrap_err();
    assert!(error.to_string().contains("was deleted and created again"), "{error}");
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < deadline, "the run notices");
        if let Err(error) = run.step() {
            break error;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    };
    assert!(error.to_string().contains("was deleted and created again") || error.to_string().contains("shardId-000000000000"), "{error}");
}
