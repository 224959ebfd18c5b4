//! `wasmill streams` against a server.

use crate::support::{KinesisStream, Running, Workshop, kinesis_address};

fn streams(workshop: &Workshop, arguments: &[&str]) -> crate::support::Ended {
    let mut command = workshop.wasmill(&["streams"]);
    command.args(arguments).args(["--endpoint", &kinesis_address(), "--region", "us-east-1"]);
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test-secret");
    Running::spawn(command).wait()
}

#[test]
fn streams_are_made_shown_and_removed() {
    let (workshop, name) = (Workshop::new(), format!("c-{}", uuid::Uuid::new_v4().simple()));
    let well = |arguments: &[&str]| {
        let ended = streams(&workshop, arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
        assert!(!ended.stderr.contains("warning") && !ended.stderr.contains("WARN"), "{}", ended.stderr);
        ended.stdout
    };
    assert_eq!(well(&["create", &name, "--shards", "2", "--retention", "48h"]), format!("the stream {name} is ready\n"));
    let stream = std::mem::ManuallyDrop::new(KinesisStream::of(&name));
    stream.split(&stream.open_shards()[1]);
    let described = well(&["describe", &name]);
    assert!(described.starts_with(&format!("{name}: ACTIVE, PROVISIONED, created 20")), "{described}");
    assert!(described.contains("records stay for 48 h; 3 open shards; 0 consumers"), "{described}");
    assert_eq!(described.matches("shardId-000000000001").count(), 3, "the closed one, and the parent of two:\n{described}");
    assert_eq!((described.matches(" open ").count(), described.matches(" closed ").count()), (3 + 1, 1), "{described}");
    // The server of the tests lists names only.
    assert!(well(&["list"]).lines().any(|line| line.contains(&name)));

    let again = streams(&workshop, &["create", &name]);
    assert_eq!(again.code, Some(5));
    assert!(again.stderr.contains(&format!("the stream {name} is there already")), "{}", again.stderr);
    let careless = streams(&workshop, &["delete", &name]);
    assert_eq!(careless.code, Some(2));
    assert!(careless.stderr.contains("--yes"), "{}", careless.stderr);
    assert_eq!(well(&["delete", &name, "--yes"]), format!("the stream {name} is gone\n"));
    let gone = streams(&workshop, &["describe", &name]);
    assert_eq!(gone.code, Some(5));
    assert!(gone.stderr.contains(&format!("cannot describe the stream {name}: ResourceNotFoundException")), "{}", gone.stderr);
    assert_eq!(streams(&workshop, &["create", "a b"]).code, Some(2));
    assert_eq!(streams(&workshop, &["create", &name, "--retention", "90m"]).code, Some(2));
}
