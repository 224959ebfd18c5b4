//! Kafka's REST proxy in front of a real broker.

use serde_json::{Value, json};

use super::client::{ask, get, post};
use super::{Listening, emulated, gateway, post_by_python};
use crate::kafka_broker::{address, committed, create, topic, unique, variable};
use crate::support::{Workshop, repository};

const JSON: &str = "application/vnd.kafka.json.v2+json";

fn proxy(workshop: &Workshop) -> Listening {
    let yaml = format!(
        "gateway: proxy\nserver: {{ listen: \"127.0.0.1:PORT\" }}\nroutes:\n  proxy:\n    protocol: kafka_rest\n    to: {{ kafka: {{ connection: {{ brokers: \"{}\" }} }} }}\n",
        address()
    );
    gateway(workshop, &yaml)
}

#[test]
fn the_emulator_of_the_pipelines_posts_unchanged() {
    let (workshop, id) = (Workshop::new(), unique("id"));
    ["pin", "geo", "user"].iter().for_each(|table| create(&format!("{id}.{table}"), 1));
    let proxy = proxy(&workshop);
    let rows = emulated(30);
    let answers = post_by_python(&["kafka", &format!("http://127.0.0.1:{}", proxy.port), &id], &rows, &[]);
    assert_eq!(answers.len(), rows.len());
    for (at, answer) in answers.iter().enumerate() {
        let offset = json!({ "partition": 0, "offset": at / 3, "error_code": null, "error": null });
        assert_eq!(answer["status"], 200);
        assert_eq!(answer["body"], json!({ "offsets": [offset], "key_schema_id": null, "value_schema_id": null }));
    }
    for table in ["pin", "geo", "user"] {
        let read: Vec<Value> = committed(&format!("{id}.{table}")).iter().map(|record| record.json()).collect();
        let posted: Vec<Value> = rows.iter().filter(|(of, _)| *of == table).map(|(_, row)| row.clone()).collect();
        assert_eq!(read, posted);
    }
    proxy.stop();
}

#[test]
fn topics_are_described_and_mistakes_have_the_codes_of_the_proxy() {
    let (workshop, name) = (Workshop::new(), topic(2));
    let proxy = proxy(&workshop);
    let port = proxy.port;
    assert!(get(port, "/topics").json().as_array().unwrap().contains(&json!(name)));
    let replica = json!([{ "broker": 1, "leader": true, "in_sync": true }]);
    let partition = |number: u32| json!({ "partition": number, "leader": 1, "replicas": replica });
    let described = get(port, &format!("/topics/{name}")).json();
    assert_eq!((&described["name"], &described["partitions"]), (&json!(name), &json!([partition(0), partition(1)])));
    assert_eq!(described["configs"]["max.message.bytes"], "16777216");
    assert_eq!(get(port, &format!("/topics/{name}/partitions")).json(), described["partitions"]);
    assert_eq!(get(port, &format!("/topics/{name}/partitions/1")).json(), partition(1));

    let code = |method: &str, path: &str, content_type: &str, body: &str| {
        let answer = ask(port, method, path, &[("Content-Type", content_type)], body.as_bytes());
        (u64::from(answer.status), answer.code())
    };
    let (path, one) = (format!("/topics/{name}"), r#"{"records":[{"value":{"a":1}}]}"#);
    assert_eq!(code("GET", "/topics/no-such-topic", "", ""), (404, 40401));
    assert_eq!(code("POST", "/topics/no-such-topic", JSON, one), (404, 40401));
    assert_eq!(code("GET", &format!("{path}/partitions/7"), "", ""), (404, 40402));
    assert_eq!(code("POST", &format!("{path}/partitions/7"), JSON, one), (404, 40402));
    assert_eq!(code("POST", &path, "application/vnd.kafka.avro.v2+json", one), (415, 415));
    assert_eq!(code("POST", &path, JSON, r#"{"records":[]}"#), (422, 422));
    assert_eq!(code("POST", &path, JSON, "{"), (400, 400));
    assert_eq!(code("POST", &path, "application/vnd.kafka.binary.v2+json", one), (422, 42206));
    assert_eq!(code("PUT", &path, JSON, one), (405, 405));
    assert_eq!(code("GET", "/consumers/g/instances/i/records", "", ""), (404, 40403));
    assert_eq!(code("GET", "/elsewhere", "", ""), (404, 404));
    let answer = ask(port, "POST", &path, &[("Content-Type", JSON), ("Idempotency-Key", "k")], one.as_bytes());
    assert_eq!(answer.status, 400, "what can't be promised is refused: {}", answer.message());
    assert!(committed(&name).is_empty());

    let mixed = r#"{"records":[{"key":"k","value":1,"partition":1},{"value":2,"partition":9},{"value":null,"partition":1}]}"#;
    let offsets = post(port, &path, JSON, mixed).json()["offsets"].clone();
    let placed = |offset: u32| json!({ "partition": 1, "offset": offset, "error_code": null, "error": null });
    assert_eq!((&offsets[0], &offsets[1]["error_code"], &offsets[2]), (&placed(0), &json!(40402), &placed(1)));
    let read = committed(&name);
    assert_eq!((read[0].key.as_deref(), read[0].value.as_deref(), read[1].value.as_deref()), (Some(&b"\"k\""[..]), Some(&b"1"[..]), None));
    assert_eq!(get(port, &format!("{path}/partitions/1/offsets")).json(), json!({ "beginning_offset": 0, "end_offset": 2 }));
    proxy.stop();
}

#[test]
fn version_3_produces_records_one_after_the_other() {
    let (workshop, name) = (Workshop::new(), topic(1));
    let proxy = proxy(&workshop);
    let port = proxy.port;
    let clusters = get(port, "/v3/clusters").json();
    let cluster = clusters["data"][0]["cluster_id"].as_str().unwrap().to_owned();
    let path = format!("/v3/clusters/{cluster}/topics/{name}/records");
    let one = post(port, &path, "application/json", r#"{"key":{"type":"STRING","data":"k"},"value":{"type":"JSON","data":{"a": 1}}}"#);
    let answer = one.json();
    assert_eq!(
        (one.status, &answer["error_code"], &answer["cluster_id"], &answer["offset"]),
        (200, &json!(200), &json!(cluster), &json!(0))
    );
    assert_eq!((&answer["key"], &answer["value"]), (&json!({ "type": "STRING", "size": 1 }), &json!({ "type": "JSON", "size": 8 })));
    let many = post(port, &path, "application/json", r#"{"value":{"type":"BINARY","data":"AAE="}}{"value":{"type":"STRING","data":"x"}}"#);
    let lines: Vec<Value> = String::from_utf8(many.body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["offset"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    let read = committed(&name);
    let values: Vec<&[u8]> = read.iter().map(|record| record.value.as_deref().unwrap()).collect();
    assert_eq!(values, [&b"{\"a\": 1}"[..], &[0, 1], b"x"]);
    assert_eq!(post(port, "/v3/clusters/x/topics/t/records", "application/json", "{}").status, 404);
    let missing = post(port, &format!("/v3/clusters/{cluster}/topics/no-such-topic/records"), "application/json", r#"{"value":null}"#);
    assert_eq!((missing.status, missing.message().as_str()), (404, "This server does not host this topic-partition."));
    proxy.stop();
}

#[test]
fn a_consumer_instance_reads_commits_and_goes() {
    let (workshop, name) = (Workshop::new(), topic(1));
    let proxy = proxy(&workshop);
    let records: Vec<Value> = (0..50).map(|number| json!({ "key": { "k": number }, "value": { "n": number } })).collect();
    assert_eq!(post(proxy.port, &format!("/topics/{name}"), JSON, &json!({ "records": records }).to_string()).status, 200);
    let mut command = std::process::Command::new(variable("WASMILL_PYTHON"));
    command.arg(repository().join("tests/foreign/rest_consumer.py"));
    command.arg(format!("http://127.0.0.1:{}", proxy.port)).arg(unique("group")).args([name.as_str(), "50"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let record = |number: u32| json!({ "topic": name, "key": { "k": number }, "value": { "n": number }, "partition": 0, "offset": number });
    assert_eq!(seen["records"], json!((0..50).map(record).collect::<Vec<_>>()));
    assert_eq!(seen["again"], json!([record(0)]));
    assert_eq!(seen["committed"], json!([{ "topic": name, "partition": 0, "offset": 50, "metadata": "" }]));
    let statuses = json!({
        "create": 200, "create again": 40902, "before": 40903, "subscribe": 204, "topics": [name], "assign": 40903,
        "wrong format": 40601, "commit": 204, "rewind": 204, "delete": 204, "gone": 40403,
    });
    assert_eq!(seen["statuses"], statuses);
    proxy.stop();
}
