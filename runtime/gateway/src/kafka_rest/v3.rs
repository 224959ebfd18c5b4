//! Version 3, as far as producers need it: the cluster, and records one after the other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::KafkaRest;
use super::error::{Failure, code_of};
use crate::answer::Answer;
use crate::destination::{Placed, Record, Refusal, RefusalKind};
use crate::protocol::status_of;
use crate::request::Request;

/// The type of answers of version 3.
const V3: &str = "application/json";

/// One record of a request.
#[derive(Deserialize)]
struct ProduceRecord<'a> {
    #[serde(default)]
    partition_id: Option<i32>,
    #[serde(borrow, default)]
    key: Option<Data<'a>>,
    #[serde(borrow, default)]
    value: Option<Data<'a>>,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

/// A record, and how its key and its value are called in the answer.
#[derive(Debug)]
struct Read {
    record: Record,
    key_kind: Option<&'static str>,
    value_kind: Option<&'static str>,
}

impl KafkaRest {
    pub(super) async fn v3(&self, request: &Request, parts: &[&str]) -> Answer {
        let answered = match parts {
            ["clusters"] => self.get(request, self.clusters(request)).await,
            ["clusters", cluster] => self.get(request, self.one_cluster(request, cluster)).await,
            ["clusters", cluster, "topics"] => self.get(request, self.cluster_topics(request, cluster)).await,
            ["clusters", cluster, "topics", topic, "records"] if request.method == Method::POST => {
                self.produce_v3(request, cluster, topic).await
            }
            ["clusters", _, "topics", _, "records"] => Err(Failure::method("POST")),
            _ => Err(Failure::status(StatusCode::NOT_FOUND, "HTTP 404 Not Found")),
        };
        answered.unwrap_or_else(|failure| failure.answer_as(V3))
    }

    async fn clusters(&self, request: &Request) -> Result<Answer, Failure> {
        let cluster = self.destination.cluster().await?;
        let url = format!("{}/v3/clusters", request.base);
        let all = json!({ "kind": "KafkaClusterList", "metadata": { "self": url, "next": null }, "data": [described(request, &cluster)] });
        Ok(Answer::json(StatusCode::OK, V3, &all))
    }

    async fn one_cluster(&self, request: &Request, cluster: &str) -> Result<Answer, Failure> {
        self.check_cluster(cluster).await?;
        Ok(Answer::json(StatusCode::OK, V3, &described(request, cluster)))
    }

    async fn cluster_topics(&self, request: &Request, cluster: &str) -> Result<Answer, Failure> {
        self.check_cluster(cluster).await?;
        let url = format!("{}/v3/clusters/{cluster}/topics", request.base);
        let topic = |name: &String| json!({ "kind": "KafkaTopic", "metadata": { "self": format!("{url}/{name}") }, "cluster_id": cluster, "topic_name": name });
        let data: Vec<Value> = self.destination.names().await?.iter().map(topic).collect();
        let all = json!({ "kind": "KafkaTopicList", "metadata": { "self": url, "next": null }, "data": data });
        Ok(Answer::json(StatusCode::OK, V3, &all))
    }

    async fn check_cluster(&self, cluster: &str) -> Result<(), Failure> {
        match self.destination.cluster().await? == cluster {
            true => Ok(()),
            false => Err(Failure::status(StatusCode::NOT_FOUND, format!("Cluster {cluster} cannot be found."))),
        }
    }

    /// Records are read one after the other, as the original does in one stream. What is malformed ends the request: nothing of it is
    /// produced, because the whole body has been read before.
    async fn produce_v3(&self, request: &Request, cluster: &str, topic: &str) -> Result<Answer, Failure> {
        if !matches!(request.content_type().as_str(), "application/json" | "") {
            return Err(Failure::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "HTTP 415 Unsupported Media Type: send application/json"));
        }
        self.check_cluster(cluster).await?;
        let read = read(&request.body)?;
        let records = read.iter().map(|read| read.record.clone()).collect();
        let placed = self.destination.put(topic, records, request.key()?).await.map_err(v3_failure)?;
        if let ([placed], [read]) = (placed.as_slice(), read.as_slice()) {
            let status = placed.as_ref().map_or_else(|refusal| status_of(refusal.kind), |_| StatusCode::OK);
            return Ok(Answer::json(status, V3, &result(placed, read, cluster, topic)));
        }
        if let Some(failure) = super::v2::failure_of_all(&placed) {
            return Err(failure);
        }
        let mut body = Vec::new();
        for (placed, read) in placed.iter().zip(&read) {
            body.extend_from_slice(result(placed, read, cluster, topic).to_string().as_bytes());
            body.extend_from_slice(b"\r\n");
        }
        Ok(Answer { status: StatusCode::OK, content_type: V3, body: body.into(), headers: Vec::new() })
    }
}

/// In version 3 a missing topic has the status as its code.
fn v3_failure(refusal: Refusal) -> Failure {
    match refusal.kind {
        RefusalKind::NoTopic | RefusalKind::NoPartition => {
            Failure::status(StatusCode::NOT_FOUND, "This server does not host this topic-partition.")
        }
        _ => refusal.into(),
    }
}

fn described(request: &Request, cluster: &str) -> Value {
    let url = format!("{}/v3/clusters/{cluster}", request.base);
    json!({
        "kind": "KafkaCluster",
        "metadata": { "self": url, "resource_name": format!("crn:///kafka={cluster}") },
        "cluster_id": cluster,
        "topics": { "related": format!("{url}/topics") },
    })
}

fn result(placed: &Result<Placed, Refusal>, read: &Read, cluster: &str, topic: &str) -> Value {
    let placed = match placed {
        Ok(placed) => placed,
        Err(refusal) => return json!({ "error_code": code_of(refusal.kind), "message": refusal.message }),
    };
    let part = |kind: Option<&str>, content: &Option<Bytes>| {
        kind.map(|kind| json!({ "type": kind, "size": content.as_ref().map_or(0, Bytes::len) }))
    };
    json!({
        "error_code": 200,
        "cluster_id": cluster,
        "topic_name": topic,
        "partition_id": placed.partition,
        "offset": placed.offset,
        "timestamp": humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
        "key": part(read.key_kind, &read.record.key),
        "value": part(read.value_kind, &read.record.value),
    })
}

/// The records of a body: JSON objects, one after the other.
fn read(body: &Bytes) -> Result<Vec<Read>, Failure> {
    let records = serde_json::Deserializer::from_slice(body).into_iter::<ProduceRecord<'_>>();
    let mut all = Vec::new();
    for record in records {
        let record = record.map_err(|error| Failure::json(&error))?;
        let (key, key_kind) = content(body, record.key.as_ref(), "key")?;
        let (value, value_kind) = content(body, record.value.as_ref(), "value")?;
        let header = |header: Header| {
            let value = header.value.map(|value| STANDARD.decode(value).map(Bytes::from)).transpose();
            value.map(|value| (header.name, value)).map_err(|error| Failure::payload(format!("a header is not base64: {error}")))
        };
        let headers = record.headers.into_iter().map(header).collect::<Result<_, _>>()?;
        let timestamp = record.timestamp.as_deref().map(millis).transpose()?;
        all.push(Read { record: Record { partition: record.partition_id, key, value, timestamp, headers }, key_kind, value_kind });
    }
    if all.is_empty() {
        return Err(Failure::status(StatusCode::BAD_REQUEST, "Bad Request: the request has no record"));
    }
    Ok(all)
}

fn millis(text: &str) -> Result<i64, Failure> {
    let wrong = || Failure::status(StatusCode::BAD_REQUEST, format!("`timestamp`: {text:?} is not a time such as 2026-01-31T00:00:00Z"));
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| wrong())?;
    let since = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| wrong())?;
    i64::try_from(since.as_millis()).map_err(|_| wrong())
}

type Content = (Option<Bytes>, Option<&'static str>);

fn content(body: &Bytes, data: Option<&Data<'_>>, name: &str) -> Result<Content, Failure> {
    let Some(data) = data else { return Ok((None, None)) };
    let Some(raw) = data.data else { return Ok((None, None)) };
    let text = || serde_json::from_str::<String>(raw.get()).map_err(|_| Failure::payload(format!("the data of the {name} is not a text")));
    match data.kind.as_deref() {
        Some("JSON") => Ok((Some(body.slice_ref(raw.get().as_bytes())), Some("JSON"))),
        Some("STRING") => Ok((Some(text()?.into_bytes().into()), Some("STRING"))),
        Some("BINARY") | None => {
            let bytes =
                STANDARD.decode(text()?).map_err(|error| Failure::payload(format!("the data of the {name} is not base64: {error}")))?;
            Ok((Some(bytes.into()), Some("BINARY")))
        }
        Some(other) => Err(Failure::status(
            StatusCode::BAD_REQUEST,
            format!("the {name} is of type {other:?}, which needs a schema registry; send JSON, STRING or BINARY"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_follow_one_another() {
        let body = concat!(
            r#"{"partition_id":1,"key":{"type":"STRING","data":"k"},"value":{"type":"JSON","data":{"a": 1}},"timestamp":"1970-01-01T00:00:01Z"}"#,
            "\n",
            r#"{"value":{"type":"BINARY","data":"AAE="},"headers":[{"name":"h","value":"aA=="}]} {"value":null}"#
        );
        let all = read(&Bytes::from(body)).unwrap();
        let first = &all[0].record;
        assert_eq!((first.partition, first.key.as_deref(), first.timestamp), (Some(1), Some(&b"k"[..]), Some(1000)));
        assert_eq!((first.value.as_deref(), all[0].value_kind), (Some(&br#"{"a": 1}"#[..]), Some("JSON")));
        assert_eq!(all[1].record.headers, [("h".to_owned(), Some(Bytes::from("h")))]);
        assert_eq!((all[2].record.value.as_ref(), all.len()), (None, 3));
    }

    #[test]
    fn one_bad_record_refuses_all() {
        let code = |body: &str| read(&Bytes::from(body.to_owned())).unwrap_err().code;
        assert_eq!(code(r#"{"value":{"type":"JSON","data":1}} {"value":"#), 400);
        assert_eq!(code(r#"{"value":{"type":"AVRO","data":1}}"#), 400);
        assert_eq!(code(r#"{"value":{"type":"BINARY","data":"?"}}"#), 42206);
        assert_eq!(code(r#"{"timestamp":"yesterday"}"#), 400);
        assert_eq!(code(""), 400);
    }
}
