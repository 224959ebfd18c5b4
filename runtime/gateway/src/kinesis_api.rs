//! Kinesis behind an API gateway of AWS, as the tutorial of AWS sets it up and producers use it.
//!
//! The mapping templates of that tutorial are applied here: the data of a record is JSON on the wire, and becomes the bytes of the record.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/integrating-api-with-aws-services-kinesis.html>

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::{Answer, Problem};
use crate::destination::{Described, Destination, Placed, Record, Refusal, RefusalKind};
use crate::openapi::Operation;
use crate::protocol::status_of;
use crate::request::Request;

/// The type of answers.
const JSON: &str = "application/json";
/// The most records of a request, as Kinesis has it.
const MOST_RECORDS: usize = 500;
/// The longest partition key, in characters.
const KEY_CHARACTERS: usize = 256;

/// The paths of the API gateway over a destination.
pub struct KinesisApi {
    destination: Arc<dyn Destination>,
}

/// The body of `PUT /streams/{stream}/record`.
#[derive(Deserialize)]
struct PutRecord<'a> {
    #[serde(rename = "StreamName", default)]
    stream: Option<String>,
    #[serde(rename = "Data", alias = "data", borrow)]
    data: &'a RawValue,
    #[serde(rename = "PartitionKey", alias = "partition-key", alias = "partitionKey")]
    key: String,
}

/// The body of `PUT /streams/{stream}/records`.
#[derive(Deserialize)]
struct PutRecords<'a> {
    #[serde(rename = "StreamName", default)]
    stream: Option<String>,
    #[serde(alias = "Records", borrow)]
    records: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(alias = "Data", borrow)]
    data: &'a RawValue,
    #[serde(rename = "partition-key", alias = "PartitionKey", alias = "partitionKey")]
    key: String,
}

#[derive(Default, Deserialize)]
struct Create {
    #[serde(rename = "ShardCount", default)]
    shards: Option<u16>,
}

/// An error in the form of AWS: `{"__type": "ResourceNotFoundException", "message": "…"}`.
struct Failure {
    kind: &'static str,
    problem: Problem,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, problem: Problem::new(status, message) }
    }

    fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationException", message)
    }

    fn answer(&self) -> Answer {
        let body = json!({ "__type": self.kind, "message": self.problem.message });
        self.problem.complete(Answer::json(self.problem.status, JSON, &body))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let kind = match problem.status {
            StatusCode::UNAUTHORIZED => "MissingAuthenticationTokenException",
            StatusCode::NOT_FOUND => "UnknownOperationException",
            StatusCode::TOO_MANY_REQUESTS => "LimitExceededException",
            StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLargeException",
            StatusCode::BAD_REQUEST => "SerializationException",
            _ => "InvalidRequestException",
        };
        Self { kind, problem }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            // These are bad requests for AWS.
            RefusalKind::NoTopic | RefusalKind::Exists | RefusalKind::TooLarge => StatusCode::BAD_REQUEST,
            other => status_of(other),
        };
        let problem = Problem { retry_after: refusal.retry_after, ..Problem::new(status, refusal.message) };
        Self { kind: kind_of(refusal.kind), problem }
    }
}

fn kind_of(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::NoTopic => "ResourceNotFoundException",
        RefusalKind::Exists => "ResourceInUseException",
        RefusalKind::NoPartition | RefusalKind::Invalid | RefusalKind::TooLarge | RefusalKind::KeyReused => "InvalidArgumentException",
        RefusalKind::Unsupported => "InvalidRequestException",
        RefusalKind::Full => "ProvisionedThroughputExceededException",
        RefusalKind::Unavailable => "ServiceUnavailable",
        RefusalKind::Denied => "AccessDeniedException",
        RefusalKind::Failed => "InternalFailure",
    }
}

/// The answer to a request that is refused before it is looked into.
pub(crate) fn refuse(problem: &Problem) -> Answer {
    Failure::from(problem.clone()).answer()
}

impl KinesisApi {
    /// The API of a destination.
    pub fn new(destination: Arc<dyn Destination>) -> Self {
        Self { destination }
    }

    pub(crate) async fn answer(&self, request: Request) -> Answer {
        let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let answered = match (parts.as_slice(), request.method.as_str()) {
            (["streams"], "GET") => self.list().await,
            (["streams"], _) => Err(Problem::method("GET").into()),
            (["streams", stream], "GET") => self.describe(stream).await,
            (["streams", stream], "POST") => self.create(&request, stream).await,
            (["streams", stream], "DELETE") => self.delete(stream).await,
            (["streams", _], _) => Err(Problem::method("DELETE, GET, POST").into()),
            // Producers of the source documents use either method.
            (["streams", stream, "record"], "PUT" | "POST") => self.put_record(&request, stream).await,
            (["streams", stream, "records"], "PUT" | "POST") => self.put_records(&request, stream).await,
            (["streams", _, "record" | "records"], _) => Err(Problem::method("PUT").into()),
            _ => Err(Problem::not_found(&format!("/{}", parts.join("/"))).into()),
        };
        answered.unwrap_or_else(|failure| failure.answer())
    }

    async fn list(&self) -> Result<Answer, Failure> {
        let names = self.destination.names().await?;
        Ok(ok(&json!({ "HasMoreStreams": false, "StreamNames": names })))
    }

    async fn describe(&self, stream: &str) -> Result<Answer, Failure> {
        Ok(ok(&description(&self.destination.describe(stream).await?)))
    }

    async fn create(&self, request: &Request, stream: &str) -> Result<Answer, Failure> {
        let wanted = if request.body.trim_ascii().is_empty() { Create::default() } else { read(&request.body)? };
        let shards = wanted.shards.unwrap_or(1);
        if shards == 0 {
            return Err(Failure::validation("ShardCount must be 1 or more"));
        }
        self.destination.create(stream, shards).await?;
        Ok(ok(&json!({})))
    }

    async fn delete(&self, stream: &str) -> Result<Answer, Failure> {
        self.destination.delete(stream).await?;
        Ok(ok(&json!({})))
    }

    async fn put_record(&self, request: &Request, stream: &str) -> Result<Answer, Failure> {
        let wanted: PutRecord<'_> = read(&request.body)?;
        check_stream(wanted.stream.as_deref(), stream)?;
        let record = record(&request.body, wanted.data, wanted.key)?;
        let placed = self.destination.put(stream, vec![record], request.key()?).await?;
        match placed.into_iter().next() {
            Some(Ok(placed)) => Ok(ok(&place(&placed))),
            Some(Err(refusal)) => Err(refusal.into()),
            None => Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", "the record got no place")),
        }
    }

    async fn put_records(&self, request: &Request, stream: &str) -> Result<Answer, Failure> {
        let wanted: PutRecords<'_> = read(&request.body)?;
        check_stream(wanted.stream.as_deref(), stream)?;
        if wanted.records.is_empty() || wanted.records.len() > MOST_RECORDS {
            return Err(Failure::validation(format!("there are {} records: a request has 1 to {MOST_RECORDS}", wanted.records.len())));
        }
        let records = wanted.records.into_iter().map(|entry| record(&request.body, entry.data, entry.key)).collect::<Result<_, _>>()?;
        let placed = self.destination.put(stream, records, request.key()?).await?;
        let failed = placed.iter().filter(|placed| placed.is_err()).count();
        if failed == placed.len()
            && let Some(Err(refusal)) = placed.iter().find(|placed| placed.is_err())
        {
            return Err(refusal.clone().into());
        }
        let shown = |placed: &Result<Placed, Refusal>| match placed {
            Ok(placed) => place(placed),
            Err(refusal) => json!({ "ErrorCode": kind_of(refusal.kind), "ErrorMessage": refusal.message }),
        };
        Ok(ok(&json!({ "FailedRecordCount": failed, "Records": placed.iter().map(shown).collect::<Vec<_>>() })))
    }
}

fn ok(value: &Value) -> Answer {
    Answer::json(StatusCode::OK, JSON, value)
}

fn place(placed: &Placed) -> Value {
    json!({ "SequenceNumber": placed.sequence, "ShardId": placed.shard })
}

fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Problem::malformed(&error).into())
}

/// The name in the body, where there is one, is that of the path: else one of the two is a mistake.
fn check_stream(named: Option<&str>, stream: &str) -> Result<(), Failure> {
    match named {
        Some(named) if named != stream => {
            Err(Failure::validation(format!("the body is for the stream {named:?}, and the path for {stream:?}")))
        }
        _ => Ok(()),
    }
}

/// The data of a record: a text is its content, anything else its JSON.
fn record(body: &Bytes, data: &RawValue, key: String) -> Result<Record, Failure> {
    if key.is_empty() || key.chars().count() > KEY_CHARACTERS {
        return Err(Failure::validation(format!("a partition key must have 1 to {KEY_CHARACTERS} characters")));
    }
    let raw = data.get();
    let value = match raw.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(raw).map_err(|error| Failure::from(Problem::malformed(&error)))?;
            Bytes::from(text)
        }
        _ => body.slice_ref(raw.as_bytes()),
    };
    Ok(Record { key: Some(key.into_bytes().into()), ..Record::of_value(value) })
}

fn description(stream: &Described) -> Value {
    let shard = |partition: &crate::destination::Partition| {
        let (first, last) = partition.hash_keys;
        json!({
            "ShardId": partition.shard,
            "HashKeyRange": { "StartingHashKey": first.to_string(), "EndingHashKey": last.to_string() },
            "SequenceNumberRange": { "StartingSequenceNumber": "0" },
        })
    };
    json!({ "StreamDescription": {
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "StreamStatus": stream.status,
        "RetentionPeriodHours": stream.retention_hours,
        "StreamCreationTimestamp": stream.created,
        "EnhancedMonitoring": [],
        "HasMoreShards": false,
        "Shards": stream.partitions.iter().map(shard).collect::<Vec<_>>(),
    } })
}

/// What can be asked.
pub(crate) fn operations() -> Vec<Operation> {
    let record = json!({
        "type": "object",
        "required": ["Data", "PartitionKey"],
        "properties": { "StreamName": { "type": "string" }, "Data": {}, "PartitionKey": { "type": "string" } }
    });
    let records = json!({
        "type": "object",
        "required": ["records"],
        "properties": { "records": { "type": "array", "maxItems": MOST_RECORDS, "items": {
            "type": "object",
            "required": ["data", "partition-key"],
            "properties": { "data": {}, "partition-key": { "type": "string" } }
        } } }
    });
    vec![
        Operation::new("GET", "/streams", "Lists the streams"),
        Operation::new("GET", "/streams/{stream}", "Describes a stream"),
        Operation::new("POST", "/streams/{stream}", "Creates a stream"),
        Operation::new("DELETE", "/streams/{stream}", "Deletes a stream"),
        Operation::new("PUT", "/streams/{stream}/record", "Puts a record").with_body(JSON, record),
        Operation::new("PUT", "/streams/{stream}/records", "Puts records").with_body(JSON, records),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(body: &str) -> Result<Record, Failure> {
        let body = Bytes::from(body.to_owned());
        let wanted: PutRecord<'_> = read(&body)?;
        record(&body, wanted.data, wanted.key)
    }

    #[test]
    fn data_is_what_was_meant() {
        let value = |data: &str| {
            let record = one(&format!(r#"{{"StreamName":"s","Data":{data},"PartitionKey":"partition-1"}}"#)).ok().unwrap();
            assert_eq!(record.key.as_deref(), Some(&b"partition-1"[..]));
            String::from_utf8(record.value.unwrap().to_vec()).unwrap()
        };
        assert_eq!(value(r#"{"index": 1, "t": "é"}"#), r#"{"index": 1, "t": "é"}"#);
        assert_eq!(value(r#""{\"index\": 1}""#), r#"{"index": 1}"#);
        assert_eq!(value("[1]"), "[1]");
    }

    #[test]
    fn mistakes_are_those_of_aws() {
        let failed = |body: &str| one(body).err().map(|failure| (failure.kind, failure.problem.message)).unwrap();
        let (kind, message) = failed("{\"Data\":\n x}");
        assert_eq!(kind, "SerializationException");
        assert!(message.contains("line 2 column 2"), "{message}");
        assert_eq!(failed(r#"{"Data":1,"PartitionKey":""}"#).0, "ValidationException");
        assert!(failed(r#"{"Data":1}"#).1.contains("PartitionKey"));
        assert!(check_stream(Some("a"), "b").is_err() && check_stream(None, "b").is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = one(&String::from_utf8_lossy(&body));
        }
    }
}
