//! Kinesis behind an API gateway, in front of a server of Kinesis.

use serde_json::{Value, json};

use super::client::{ask, get};
use super::{Listening, emulated, gateway, post_by_python};
use crate::kafka_broker::unique;
use crate::support::{KinesisStream, Workshop, kinesis_address};

fn api(workshop: &Workshop) -> Listening {
    let yaml = format!(
        "gateway: streams\nserver: {{ listen: \"127.0.0.1:PORT\" }}\nroutes:\n  streams:\n    protocol: kinesis_api\n    prefix: /test\n    to: {{ kinesis: {{ connection: {{ endpoint: \"{}\", region: us-east-1 }} }} }}\n",
        kinesis_address()
    );
    gateway(workshop, &yaml)
}

#[test]
fn the_emulator_of_the_pipelines_puts_unchanged() {
    let (workshop, id) = (Workshop::new(), unique("id"));
    let api = api(&workshop);
    let name = |table: &str| format!("streaming-{id}-{table}");
    let streams = ["pin", "geo", "user"].map(|table| KinesisStream::named(&name(table), 1));
    let rows = emulated(10);
    let answers = post_by_python(&["kinesis", &format!("http://127.0.0.1:{}/test", api.port), &id], &rows, &[]);
    assert_eq!(answers.len(), rows.len());
    for answer in &answers {
        assert_eq!((&answer["status"], &answer["body"]["ShardId"]), (&json!(200), &json!("shardId-000000000000")), "{answer}");
        assert!(answer["body"]["SequenceNumber"].as_str().unwrap().len() > 20);
    }
    for stream in &streams {
        let read: Vec<Value> = stream.datas().concat().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
        let posted: Vec<Value> = rows.iter().filter(|(table, _)| name(table) == stream.name).map(|(_, row)| row.clone()).collect();
        assert_eq!(read, posted);
    }
    api.stop();
}

#[test]
fn streams_are_created_listed_described_and_deleted() {
    let (workshop, name) = (Workshop::new(), unique("streaming"));
    let api = api(&workshop);
    let port = api.port;
    let path = format!("/test/streams/{name}");
    let kind = |method: &str, path: &str, body: &str| {
        let answer = ask(port, method, path, &[("Content-Type", "application/json")], body.as_bytes());
        (answer.status, answer.json()["__type"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(kind("POST", &path, r#"{"ShardCount": 2}"#), (200, String::new()));
    let stream = KinesisStream::of(&name);
    assert!(get(port, "/test/streams").json()["StreamNames"].as_array().unwrap().contains(&json!(name)));
    let described = get(port, &path).json()["StreamDescription"].clone();
    assert_eq!((&described["StreamName"], &described["StreamStatus"]), (&json!(name), &json!("ACTIVE")));
    assert_eq!(described["Shards"].as_array().unwrap().len(), 2);

    let records = json!({ "records": [
        { "data": { "a": 1 }, "partition-key": "one" }, { "data": "{\"a\": 2}", "partition-key": "two" }, { "data": [3], "partition-key": "three" },
    ] });
    let answer = ask(port, "PUT", &format!("{path}/records"), &[], records.to_string().as_bytes());
    let body = answer.json();
    assert_eq!((answer.status, &body["FailedRecordCount"], body["Records"].as_array().unwrap().len()), (200, &json!(0), 3));
    let mut datas = stream.datas().concat();
    datas.sort();
    assert_eq!(datas, ["[3]", "{\"a\": 2}", "{\"a\":1}"]);

    assert_eq!(kind("GET", "/test/streams/no-such-stream", ""), (400, "ResourceNotFoundException".into()));
    let one = r#"{"Data":1,"PartitionKey":"p"}"#;
    assert_eq!(kind("PUT", "/test/streams/no-such-stream/record", one), (400, "ResourceNotFoundException".into()));
    assert_eq!(
        kind("PUT", &format!("{path}/record"), r#"{"StreamName":"other","Data":1,"PartitionKey":"p"}"#),
        (400, "ValidationException".into())
    );
    assert_eq!(kind("PUT", &format!("{path}/record"), "{"), (400, "SerializationException".into()));
    assert_eq!(kind("POST", &path, "{}"), (400, "ResourceInUseException".into()));
    let many: Vec<Value> = (0..501).map(|_| json!({ "data": 1, "partition-key": "p" })).collect();
    assert_eq!(kind("PUT", &format!("{path}/records"), &json!({ "records": many }).to_string()), (400, "ValidationException".into()));
    assert_eq!(get(port, &format!("/streams/{name}")).status, 404, "the stage is part of the path");
    assert_eq!(kind("DELETE", &path, ""), (200, String::new()));
    assert_eq!(get(port, &path).status, 400);
    api.stop();
}
