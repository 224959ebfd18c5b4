//! Records within the bodies of requests and answers, in the formats `json` and `binary`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::Failure;
use crate::destination::Record;

/// How keys and values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Any JSON, which is the record as it is.
    Json,
    /// Base64 of the record.
    Binary,
}

impl Format {
    /// The format of a body by its type.
    pub(super) fn of_content_type(content_type: &str) -> Result<Self, Failure> {
        match content_type {
            "application/vnd.kafka.json.v2+json" => Ok(Self::Json),
            // The default of the proxy.
            "application/vnd.kafka.binary.v2+json"
            | "application/vnd.kafka.v2+json"
            | "application/json"
            | "application/octet-stream"
            | "" => Ok(Self::Binary),
            "application/vnd.kafka.avro.v2+json"
            | "application/vnd.kafka.protobuf.v2+json"
            | "application/vnd.kafka.jsonschema.v2+json" => Err(Failure::status(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("HTTP 415 Unsupported Media Type: {content_type} needs a schema registry; send json or binary"),
            )),
            other => Err(Failure::status(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("HTTP 415 Unsupported Media Type: {other}; send application/vnd.kafka.json.v2+json"),
            )),
        }
    }

    /// The format of an instance by its name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "binary" => Some(Self::Binary),
            _ => None,
        }
    }

    /// The type of an answer with records of this format.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/vnd.kafka.json.v2+json",
            Self::Binary => "application/vnd.kafka.binary.v2+json",
        }
    }
}

/// The body of a request that produces. Keys of schemas are accepted and ignored, as in the original.
#[derive(Deserialize)]
struct ProduceRequest<'a> {
    #[serde(borrow, default)]
    records: Option<Vec<ProduceRecord<'a>>>,
}

#[derive(Deserialize)]
struct ProduceRecord<'a> {
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(default)]
    partition: Option<i32>,
}

/// The records of a body.
pub(super) fn records(body: &Bytes, format: Format, partition: Option<i32>) -> Result<Vec<Record>, Failure> {
    let request: ProduceRequest<'_> = serde_json::from_slice(body).map_err(|error| Failure::json(&error))?;
    let records = request.records.ok_or_else(|| Failure::unprocessable("records may not be null"))?;
    if records.is_empty() {
        return Err(Failure::unprocessable("records may not be empty"));
    }
    let record = |(at, record): (usize, ProduceRecord<'_>)| {
        let part = |value: Option<&RawValue>, name: &str| value.map(|value| content(body, value, format, (at, name))).transpose();
        Ok(Record {
            partition: record.partition.or(partition),
            key: part(record.key, "key")?,
            value: part(record.value, "value")?,
            ..Record::default()
        })
    };
    records.into_iter().enumerate().map(record).collect()
}

fn content(body: &Bytes, value: &RawValue, format: Format, (at, name): (usize, &str)) -> Result<Bytes, Failure> {
    match format {
        // No copy: it lies in the body.
        Format::Json => Ok(body.slice_ref(value.get().as_bytes())),
        Format::Binary => {
            let text: String = serde_json::from_str(value.get()).map_err(|_| {
                Failure::payload(format!("records[{at}].{name} is not a text of base64; JSON needs application/vnd.kafka.json.v2+json"))
            })?;
            let bytes = STANDARD.decode(&text).map_err(|error| Failure::payload(format!("records[{at}].{name} is not base64: {error}")))?;
            Ok(bytes.into())
        }
    }
}

/// A key or a value in an answer.
pub(super) fn shown(content: Option<&Bytes>, format: Format) -> Result<serde_json::Value, String> {
    match (content, format) {
        (None, _) => Ok(serde_json::Value::Null),
        (Some(bytes), Format::Binary) => Ok(STANDARD.encode(bytes).into()),
        (Some(bytes), Format::Json) => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str, format: Format) -> Result<Vec<Record>, Failure> {
        records(&Bytes::from(body.to_owned()), format, None)
    }

    #[test]
    fn values_are_kept_byte_by_byte() {
        let body = r#"{"records":[{"value":{"a": 1.10,  "b":"é\n"}},{"key":"k","value":[null],"partition":3},{"value":null}]}"#;
        let read = read(body, Format::Json).unwrap();
        assert_eq!(read[0].value.as_deref(), Some(r#"{"a": 1.10,  "b":"é\n"}"#.as_bytes()));
        assert_eq!((read[1].key.as_deref(), read[1].partition), (Some(&b"\"k\""[..]), Some(3)));
        assert_eq!((read[2].key.as_ref(), read[2].value.as_ref()), (None, None));
    }

    #[test]
    fn binary_is_base64() {
        let read_binary = |body: &str| read(body, Format::Binary);
        assert_eq!(read_binary(r#"{"records":[{"key":"aw==","value":"AAH/"}]}"#).unwrap()[0].value.as_deref(), Some(&[0, 1, 255][..]));
        for bad in [r#"{"records":[{"value":{"a":1}}]}"#, r#"{"records":[{"value":"?"}]}"#] {
            let failure = read_binary(bad).unwrap_err();
            assert_eq!((failure.status.as_u16(), failure.code), (422, 42206), "{}", failure.message);
            assert!(failure.message.contains("records[0].value"));
        }
    }

    #[test]
    fn mistakes_have_the_codes_of_the_proxy_and_a_place() {
        let failed = |body: &str| {
            let failure = read(body, Format::Json).unwrap_err();
            (failure.code, failure.message)
        };
        assert_eq!(failed("{}"), (422, "records may not be null".into()));
        assert_eq!(failed(r#"{"records":[]}"#), (422, "records may not be empty".into()));
        let (code, message) = failed("{\"records\":[\n{\"value\":}]}");
        assert_eq!(code, 400);
        assert!(message.contains("line 2 column 10"), "{message}");
        assert_eq!(failed(r#"{"records":{}}"#).0, 422);
        assert_eq!(failed("{\"records\":[{\"value\":\"\u{1}\"}]}").0, 400);
        assert_eq!(Format::of_content_type("application/vnd.kafka.avro.v2+json").unwrap_err().code, 415);
        assert_eq!(Format::of_content_type("text/plain").unwrap_err().code, 415);
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = records(&Bytes::from(body.clone()), Format::Json, None);
            let _ = records(&Bytes::from(body), Format::Binary, None);
        }

        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec(any::<Option<String>>(), 1..20)) {
            let all: Vec<_> = values.iter().map(|value| serde_json::json!({ "value": value })).collect();
            let body = Bytes::from(serde_json::json!({ "records": all }).to_string());
            let read = records(&body, Format::Json, Some(1)).unwrap();
            prop_assert_eq!(read.len(), values.len());
            for (record, value) in read.iter().zip(&values) {
                let read: Option<String> = record.value.as_ref().map(|value| serde_json::from_slice(value).unwrap());
                prop_assert_eq!(&read, value);
            }
        }
    }
}
