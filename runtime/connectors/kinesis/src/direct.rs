//! Puts records that come one by one: each is in the stream, or refused, when the call returns.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use bytes::Bytes;
use tokio::sync::OnceCell;
use wasmill_engine::{Error, Result};

use super::clock::Clock;
use super::connection::KinesisConnection;
use super::failure::{Failure, Kind, judge, of_service};

/// The most records of a call, and their bytes, keys included.
const CALL: (usize, usize) = (500, 5 << 20);
/// The pauses before refused records are put again.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

/// A record to put.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The partition key.
    pub key: String,
    /// The data.
    pub data: Bytes,
}

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The shard.
    pub shard: String,
    /// The sequence number.
    pub sequence: String,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind of reason.
    pub kind: RefusedKind,
    /// The reason, without secrets.
    pub message: String,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKind {
    /// There is no such stream.
    NoStream,
    /// There is one already, or it is not ready.
    InUse,
    /// A value of the request does not fit.
    Invalid,
    /// The service is busy, or can't be reached.
    Unavailable,
    /// The credentials do not allow it.
    Denied,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            Kind::NotFound => RefusedKind::NoStream,
            Kind::InUse => RefusedKind::InUse,
            Kind::Invalid => RefusedKind::Invalid,
            Kind::Passing | Kind::Expired => RefusedKind::Unavailable,
            Kind::Final => RefusedKind::Denied,
        };
        Self { kind, message: failure.error.message().to_owned() }
    }
}

impl Refused {
    /// The reason behind an error of [`crate::admin::Streams`].
    pub fn of_admin(error: &Error) -> Self {
        use crate::codes::{ACCESS_DENIED, NAME, STREAM_EXISTS, STREAM_MISSING};
        let kind = match error.kind() {
            Some(code) if code == STREAM_MISSING => RefusedKind::NoStream,
            Some(code) if code == STREAM_EXISTS => RefusedKind::InUse,
            Some(code) if code == NAME => RefusedKind::Invalid,
            Some(code) if code == ACCESS_DENIED => RefusedKind::Denied,
            _ => RefusedKind::Unavailable,
        };
        Self { kind, message: error.message().to_owned() }
    }
}

/// Puts records into the streams of an account and region.
pub struct Putter {
    connection: KinesisConnection,
    client: OnceCell<Client>,
}

impl Putter {
    /// Sends no request yet.
    ///
    /// # Errors
    /// Configuration: the connection.
    pub fn new(connection: &KinesisConnection) -> Result<Self> {
        connection.check().map_err(|error| error.below("connection"))?;
        Ok(Self { connection: connection.clone(), client: OnceCell::new() })
    }

    /// Puts records; one result for each. Records that are refused because the stream is busy are put again for some seconds.
    ///
    /// # Errors
    /// Nothing was put, or it is unknown whether something was.
    pub async fn put(&self, stream: &str, records: &[Outgoing]) -> Result<Vec<Result<Place, Refused>>, Refused> {
        let unavailable = |error: Error| Refused { kind: RefusedKind::Unavailable, message: error.message().to_owned() };
        let create = || self.connection.client(&CLOCK);
        let client = self.client.get_or_try_init(create).await.map_err(unavailable)?;
        let mut placed: Vec<Result<Place, Refused>> = Vec::with_capacity(records.len());
        for call in calls(records) {
            match put_all(client, stream, call).await {
                Ok(all) => placed.extend(all),
                // Earlier calls have put theirs: only these records failed.
                Err(refused) if !placed.is_empty() => placed.extend(call.iter().map(|_| Err(refused.clone()))),
                Err(refused) => return Err(refused),
            }
        }
        Ok(placed)
    }
}

/// What the service says of the time, for all clients of this kind.
static CLOCK: std::sync::LazyLock<Arc<Clock>> = std::sync::LazyLock::new(Arc::default);

/// Records in calls that the service takes.
fn calls(records: &[Outgoing]) -> Vec<&[Outgoing]> {
    let (mut all, mut rest) = (Vec::new(), records);
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |record: &&Outgoing| {
            bytes += record.key.len() + record.data.len();
            bytes <= CALL.1
        };
        let count = rest.iter().take(CALL.0).take_while(fits).count().max(1);
        let (call, behind) = rest.split_at(count);
        all.push(call);
        rest = behind;
    }
    all
}

async fn put_all(client: &Client, stream: &str, records: &[Outgoing]) -> Result<Vec<Result<Place, Refused>>, Refused> {
    let mut placed: Vec<Option<Result<Place, Refused>>> = vec![None; records.len()];
    let mut pauses = PAUSES.iter();
    loop {
        let open: Vec<usize> = (0..records.len()).filter(|at| !matches!(&placed[*at], Some(Ok(_)))).collect();
        let put = put_once(client, stream, open.iter().map(|at| &records[*at])).await;
        let is_passing = match put {
            Ok(results) => {
                open.iter().zip(results).for_each(|(at, result)| placed[*at] = Some(result));
                placed.iter().flatten().any(|result| matches!(result, Err(Refused { kind: RefusedKind::Unavailable, .. })))
            }
            Err(refused) if placed.iter().all(Option::is_none) => return Err(refused),
            Err(refused) => {
                open.iter().for_each(|at| placed[*at] = Some(Err(refused.clone())));
                refused.kind == RefusedKind::Unavailable
            }
        };
        let Some(pause) = pauses.next().filter(|_| is_passing) else { break };
        tokio::time::sleep(*pause).await;
    }
    let missing = || Refused { kind: RefusedKind::Unavailable, message: format!("the stream {stream} gave no result for a record") };
    Ok(placed.into_iter().map(|result| result.unwrap_or_else(|| Err(missing()))).collect())
}

async fn put_once<'a>(
    client: &Client,
    stream: &str,
    records: impl Iterator<Item = &'a Outgoing>,
) -> Result<Vec<Result<Place, Refused>>, Refused> {
    let what = format!("put records into the stream {stream}");
    let entry = |record: &Outgoing| {
        let entry = PutRecordsRequestEntry::builder().data(Blob::new(record.data.to_vec())).partition_key(&record.key);
        entry.build().map_err(|error| Refused { kind: RefusedKind::Invalid, message: error.to_string() })
    };
    let entries = records.map(entry).collect::<Result<Vec<_>, _>>()?;
    let sent = client.put_records().stream_name(stream).set_records(Some(entries)).send().await;
    let answer = sent.map_err(|error| Refused::from(judge(&what, &error)))?;
    let result = |record: aws_sdk_kinesis::types::PutRecordsResultEntry| match (record.shard_id, record.sequence_number) {
        (Some(shard), Some(sequence)) => Ok(Place { shard, sequence }),
        _ => Err(of_service(&what, &record.error_code.unwrap_or_default(), &record.error_message.unwrap_or_default()).into()),
    };
    Ok(answer.records.into_iter().map(result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_as_large_as_the_service_allows() {
        let record = |bytes: usize| Outgoing { key: "k".into(), data: vec![0; bytes].into() };
        let counts = |records: &[Outgoing]| calls(records).iter().map(|call| call.len()).collect::<Vec<_>>();
        assert_eq!(counts(&vec![record(1); 1001]), [500, 500, 1]);
        assert_eq!(counts(&vec![record(1 << 20); 6]), [4, 2]);
        assert_eq!(counts(&[record(6 << 20), record(1)]), [1, 1]);
        assert!(calls(&[]).is_empty());
    }
}
