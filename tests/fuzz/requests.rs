//! Requests to a gateway: bodies of every protocol, compressed ones, and bytes that may be a request. What is refused puts nothing, and what is taken
//! is what another reader finds in the body.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytesize::ByteSize;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use wasmill_gateway::{
    Described, Destination, Ingest, KafkaRest, KinesisApi, Placed, Protocol, Record, Refusal, RequestKey, Route, RouteOptions, Server,
    ServerConfig,
};

use crate::campaign::Target;
use crate::random::Random;

pub struct Requests;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_BODY: usize = 64 << 10;

/// What the first byte of an input chooses: what the rest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A body of version 2 of the REST proxy.
    Json,
    Binary,
    /// Of version 3.
    Version3,
    /// Of a record of Kinesis, and of several.
    One,
    Many,
    /// Documents.
    Document,
    Lines,
    Csv,
    /// Compressed documents.
    Gzip,
    /// Everything, from the method on.
    Raw,
}

const KINDS: [(Kind, &str, &str); 10] = [
    (Kind::Json, "POST /topics/t", "application/vnd.kafka.json.v2+json"),
    (Kind::Binary, "POST /topics/t", "application/vnd.kafka.binary.v2+json"),
    (Kind::Version3, "POST /v3/clusters/wasmill/topics/t/records", "application/json"),
    (Kind::One, "PUT /streams/t/record", "application/json"),
    (Kind::Many, "PUT /streams/t/records", "application/json"),
    (Kind::Document, "POST /ingest/t", "application/json"),
    (Kind::Lines, "POST /ingest/t", "application/x-ndjson"),
    (Kind::Csv, "POST /ingest/t", "text/csv"),
    (Kind::Gzip, "POST /ingest/t", "application/json\r\nContent-Encoding: gzip"),
    (Kind::Raw, "", ""),
];

/// Holds in memory what was put.
#[derive(Default)]
struct Held(Mutex<Vec<Record>>);

#[async_trait::async_trait]
impl Destination for Held {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    async fn names(&self) -> Result<Vec<String>, Refusal> {
        Ok(vec!["t".to_owned()])
    }

    async fn describe(&self, name: &str) -> Result<Described, Refusal> {
        Ok(Described { name: name.to_owned(), ..Described::default() })
    }

    async fn put(&self, _: &str, records: Vec<Record>, _: Option<RequestKey>) -> Result<Vec<Result<Placed, Refusal>>, Refusal> {
        let placed = vec![Ok(Placed::default()); records.len()];
        self.0.lock().unwrap().extend(records);
        Ok(placed)
    }
}

struct Served {
    address: SocketAddr,
    held: Arc<Held>,
}

/// One server for all inputs: what one does to it, the next ones notice.
fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let held = Arc::<Held>::default();
        let to = || Arc::clone(&held) as Arc<dyn Destination>;
        let protocols = [
            ("topics", Protocol::KafkaRest(KafkaRest::new(to()))),
            ("streams", Protocol::KinesisApi(KinesisApi::new(to()))),
            ("documents", Protocol::Ingest(Ingest::of_all(to()))),
        ];
        let routes = protocols.map(|(name, protocol)| Route::new(name, protocol, &RouteOptions::default()).unwrap());
        let config = ServerConfig { max_body: Some(ByteSize(MAX_BODY as u64)), ..ServerConfig::at("127.0.0.1:0") };
        let server = Server::start("fuzz", &config, routes.into()).unwrap();
        let address = server.address();
        // It listens as long as the process lives.
        std::mem::forget(server);
        Served { address, held }
    })
}

/// The status and the body of an answer.
type Answer = (u16, String);

/// Sends bytes; the answer, if there is one.
fn ask(address: SocketAddr, bytes: &[u8], ends: bool) -> Result<Option<Answer>, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("nobody listens: {error}"))?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may have seen enough before the end.
    let _ = stream.write_all(bytes);
    if ends {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer)
        && error.kind() == std::io::ErrorKind::WouldBlock
    {
        return Err("it neither answers nor closes".to_owned());
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok(status.map(|status| (status, body)))
}

/// The answer to an input, and what was put for it.
fn answer(kind: usize, body: &[u8]) -> Result<(Option<Answer>, Vec<Record>), String> {
    let served = served();
    served.held.0.lock().unwrap().clear();
    let (kind, line, content_type) = KINDS[kind];
    let address = served.address;
    let answer = if kind == Kind::Raw {
        ask(address, body, true)?
    } else {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = ask(address, &[head.as_bytes(), body].concat(), false)?;
        Some(answer.ok_or("a whole request was not answered")?)
    };
    let taken = std::mem::take(&mut *served.held.0.lock().unwrap());
    Ok((answer, taken))
}

impl Target for Requests {
    const NAME: &'static str = "requests";
    const DICTIONARY: &'static [&'static str] = &[
        "\"records\"",
        "\"value\"",
        "\"key\"",
        "\"partition\"",
        "null",
        "{\"value\":",
        "\"Data\"",
        "\"data\"",
        "\"PartitionKey\"",
        "\"partition-key\"",
        "\"StreamName\"",
        "\"type\"",
        "\"JSON\"",
        "\"STRING\"",
        "\"BINARY\"",
        "AAE=",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "\\u0000",
        "\\ud800",
        "\n",
        "\r\n",
        "a,b",
        "\"\"",
        "1e999",
        "-0",
        "HTTP/1.1",
        "POST ",
        "/ingest/t",
        "/topics/t",
        "%00",
        "..",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Idempotency-Key: k",
        "Authorization: Basic !",
        "\u{feff}",
        "é",
    ];

    fn check(input: &[u8]) -> Result<String, String> {
        let Some((first, body)) = input.split_first() else { return Ok("empty".to_owned()) };
        let kind = usize::from(*first) % KINDS.len();
        let (answer, taken) = answer(kind, body)?;
        let bytes: usize = taken.iter().flat_map(|record| [&record.key, &record.value]).flatten().map(|part| part.len()).sum();
        if bytes > 8 * MAX_BODY {
            return Err(format!("{bytes} bytes of records were put, and a body has at most {MAX_BODY}"));
        }
        let kind = KINDS[kind].0;
        let Some((status, said)) = answer else {
            return if taken.is_empty() { Ok("no answer".to_owned()) } else { Err("something was put, and nothing answered".to_owned()) };
        };
        if status >= 500 {
            return Err(format!("status {status}: {said}"));
        }
        if kind != Kind::Raw {
            match status {
                200 => same(kind, body, &taken)?,
                _ if taken.is_empty() => {}
                _ => return Err(format!("status {status}, and {} records were put", taken.len())),
            }
        }
        let words: String = said.chars().filter(|letter| letter.is_alphabetic()).take(40).collect();
        Ok(format!("{kind:?} {status} {} {}", taken.len().min(9), if status == 200 { "" } else { &words }))
    }

    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        let kind = random.below(KINDS.len() as u64 - 1) as u8;
        let rows: Vec<Value> = (0..1 + random.below(5)).map(|_| object(random)).collect();
        let (body, status) = match KINDS[usize::from(kind)].0 {
            Kind::Json => {
                (json!({ "records": rows.iter().map(|row| json!({ "value": row })).collect::<Vec<_>>() }).to_string().into_bytes(), 200)
            }
            Kind::Binary => {
                let record = |row: &Value| json!({ "key": STANDARD.encode("k"), "value": STANDARD.encode(row.to_string()) });
                (json!({ "records": rows.iter().map(record).collect::<Vec<_>>() }).to_string().into_bytes(), 200)
            }
            Kind::Version3 => {
                let record =
                    |row: &Value| json!({ "value": { "type": "JSON", "data": row }, "key": { "type": "STRING", "data": "k" } }).to_string();
                (rows.iter().map(record).collect::<Vec<_>>().join("\n").into_bytes(), 200)
            }
            Kind::One => (json!({ "StreamName": "t", "Data": rows[0], "PartitionKey": "p" }).to_string().into_bytes(), 200),
            Kind::Many => {
                let record = |row: &Value| json!({ "data": row.to_string(), "partition-key": "p" });
                (json!({ "records": rows.iter().map(record).collect::<Vec<_>>() }).to_string().into_bytes(), 200)
            }
            Kind::Document => (json!(rows).to_string().into_bytes(), 200),
            Kind::Lines | Kind::Raw => (rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n").into_bytes(), 200),
            Kind::Csv => (format!("a,b\n{}", "1,\"x, y\"\n,\"\"\n".repeat(rows.len())).into_bytes(), 200),
            Kind::Gzip if random.below(3) == 0 => (gzip(&vec![b' '; 4 * MAX_BODY]), 413),
            Kind::Gzip => (gzip(json!(rows).to_string().as_bytes()), 200),
        };
        let input = [&[kind][..], &body].concat();
        let outcome = Self::check(&input)?;
        match outcome.contains(&format!(" {status} ")) {
            true => Ok(input),
            false => Err(format!("{outcome}: {}", String::from_utf8_lossy(&body))),
        }
    }

    fn memory(bytes: usize) -> usize {
        (2 << 20) + 200 * bytes
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn object(random: &mut Random) -> Value {
    let texts = ["", "a", "é😀", "\"\\\n", "0", "null"];
    let text = texts[random.below(texts.len() as u64) as usize];
    json!({ "a": random.below(1 << 40), "b": text, "c": [null, { "d": -1.5e-7 }], "e": random.below(2) == 0 })
}

/// Whether what was put is what the body says to another reader.
fn same(kind: Kind, body: &[u8], taken: &[Record]) -> Result<(), String> {
    let found: Vec<Option<Vec<u8>>> = taken.iter().map(|record| record.value.as_ref().map(|value| value.to_vec())).collect();
    let wrong = |expected: &dyn std::fmt::Debug| {
        let found: Vec<_> = found.iter().map(|value| value.as_deref().map(String::from_utf8_lossy)).collect();
        Err(format!("{found:?} was put of {:?}, and not {expected:?}", String::from_utf8_lossy(body)))
    };
    match kind {
        Kind::Csv => {
            let rows: Vec<Value> = found.iter().flatten().map(|row| serde_json::from_slice(row).unwrap_or_default()).collect();
            let is_row = |row: &Value| row.as_object().is_some_and(|row| row.values().all(|value| value.is_string() || value.is_null()));
            let names = |row: &Value| row.as_object().map(|row| row.keys().cloned().collect::<Vec<_>>());
            let is_fine =
                rows.len() == found.len() && rows.iter().all(is_row) && rows.windows(2).all(|pair| names(&pair[0]) == names(&pair[1]));
            if is_fine { Ok(()) } else { wrong(&"rows of one header") }
        }
        Kind::Gzip => {
            let mut plain = Vec::new();
            let whole = MultiGzDecoder::new(body).take(2 * MAX_BODY as u64).read_to_end(&mut plain).is_ok() && plain.len() <= MAX_BODY;
            if whole { same(Kind::Document, &plain, taken) } else { wrong(&"a refusal") }
        }
        _ => {
            // Numbers that no float holds, and deep nesting, are JSON all the same.
            let Some(expected) = expected(kind, body)? else { return Ok(()) };
            let read =
                |value: &Option<Vec<u8>>| value.as_ref().map(|value| serde_json::from_slice::<Value>(value).map_err(|_| value.clone()));
            let is_same = expected.len() == found.len()
                && expected.iter().zip(&found).all(|(expected, found)| match expected {
                    Expected::Nothing => found.is_none(),
                    Expected::Bytes(bytes) => found.as_ref() == Some(bytes),
                    Expected::Value(value) => read(found).is_some_and(|read| read.as_ref() == Ok(value)),
                });
            if is_same { Ok(()) } else { wrong(&expected) }
        }
    }
}

#[derive(Debug)]
enum Expected {
    Nothing,
    Bytes(Vec<u8>),
    Value(Value),
}

/// What a body of JSON holds; `None` if the other reader can't say, though it is JSON.
fn expected(kind: Kind, body: &[u8]) -> Result<Option<Vec<Expected>>, String> {
    let mut all = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
    if all.any(|value| value.is_err()) {
        return Err(format!("{:?} is no JSON, and was taken", String::from_utf8_lossy(body)));
    }
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(body).into_iter::<Value>().collect();
    let Ok(values) = values else { return Ok(None) };
    let first = values.first().cloned().unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let either = |record: &Value, names: [&str; 2]| names.iter().find_map(|name| record.get(*name)).cloned().unwrap_or_default();
    let base64 =
        |value: &Value| value.as_str().and_then(|text| STANDARD.decode(text).ok()).map_or(Expected::Value(value.clone()), Expected::Bytes);
    let plain = |value: Value| if value.is_null() { Expected::Nothing } else { Expected::Value(value) };
    let data = |value: Value| match value.as_str() {
        Some(text) => Expected::Bytes(text.as_bytes().to_vec()),
        None => Expected::Value(value),
    };
    Ok(Some(match kind {
        Kind::Json => list(&first["records"]).iter().map(|record| plain(record["value"].clone())).collect(),
        Kind::Binary => list(&first["records"])
            .iter()
            .map(|record| if record["value"].is_null() { Expected::Nothing } else { base64(&record["value"]) })
            .collect(),
        Kind::Version3 => values
            .iter()
            .map(|record| match (record["value"]["type"].as_str(), &record["value"]["data"]) {
                (_, Value::Null) => Expected::Nothing,
                (Some("JSON"), data) => Expected::Value(data.clone()),
                (Some("STRING"), text) => data(text.clone()),
                (_, text) => base64(text),
            })
            .collect(),
        Kind::One => vec![data(either(&first, ["Data", "data"]))],
        Kind::Many => list(&either(&first, ["records", "Records"])).iter().map(|record| data(either(record, ["data", "Data"]))).collect(),
        Kind::Document if first.is_array() => list(&first).into_iter().map(Expected::Value).collect(),
        _ => values.into_iter().map(Expected::Value).collect(),
    }))
}
