//! Reads the body of a request: within bounds of bytes and time, and decompressed.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use crate::answer::Problem;

/// Of a body that is too large, so much is still read, so that its sender gets to the answer.
const DRAINED_BYTES: usize = 64 << 20;
/// And so long.
const DRAINED_FOR: Duration = Duration::from_secs(5);

/// The bytes of all bodies that are in memory.
#[derive(Debug)]
pub(crate) struct Buffered {
    used: AtomicUsize,
    most: usize,
}

/// Bytes that count until they are dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    buffered: Arc<Buffered>,
    bytes: usize,
}

impl Buffered {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most })
    }

    fn lease(self: &Arc<Self>) -> Lease {
        Lease { buffered: Arc::clone(self), bytes: 0 }
    }
}

impl Lease {
    fn add(&mut self, bytes: usize) -> Result<(), Problem> {
        let fits = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.buffered.most);
        if self.buffered.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            let message = "the server holds as many bytes of requests as it may; retry later";
            return Err(Problem { retry_after: Some(Duration::from_secs(1)), ..Problem::new(StatusCode::TOO_MANY_REQUESTS, message) });
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.buffered.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads a body whole, and decompresses it. The lease is to be kept as long as its bytes.
pub(crate) async fn read(
    mut body: Incoming,
    headers: &HeaderMap,
    max_body: usize,
    within: Duration,
    buffered: &Arc<Buffered>,
) -> Result<(Bytes, Lease), Problem> {
    let is_gzip = encoding(headers)?;
    let mut lease = buffered.lease();
    let read = timeout(within, whole(&mut body, headers, max_body, &mut lease)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(problem)) => {
            drop(lease);
            let _ = timeout(DRAINED_FOR.min(within), drain(&mut body)).await;
            return Err(Problem { closes: true, ..problem });
        }
        Err(_) => {
            let message = format!("the body did not arrive within {}", humantime::format_duration(within));
            return Err(Problem { closes: true, ..Problem::new(StatusCode::REQUEST_TIMEOUT, message) });
        }
    };
    if !is_gzip {
        return Ok((bytes, lease));
    }
    let plain = gunzip(&bytes, max_body, &mut lease)?;
    Ok((plain, lease))
}

/// Whether a body is compressed with gzip.
fn encoding(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        other => {
            let message = format!("Content-Encoding {other:?} is not supported: send gzip or nothing");
            Err(Problem { closes: true, ..Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message) })
        }
    }
}

async fn whole(body: &mut Incoming, headers: &HeaderMap, max_body: usize, lease: &mut Lease) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > max_body as u64) {
        return Err(too_large(max_body));
    }
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem { closes: true, ..Problem::bad_request(format!("the body ended early: {error}")) })?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > max_body {
            return Err(too_large(max_body));
        }
        lease.add(data.len())?;
        if all.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

async fn drain(body: &mut Incoming) {
    let mut left = DRAINED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}

fn too_large(max_body: usize) -> Problem {
    let message = format!("the body is larger than {max_body} bytes; send it in parts");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn gunzip(bytes: &[u8], max_body: usize, lease: &mut Lease) -> Result<Bytes, Problem> {
    let mut plain = Vec::new();
    let mut part = vec![0; 64 << 10];
    let mut decoder = MultiGzDecoder::new(bytes);
    loop {
        let read = decoder.read(&mut part).map_err(|error| Problem::bad_request(format!("the body is not gzip: {error}")))?;
        if read == 0 {
            return Ok(plain.into());
        }
        if plain.len() + read > max_body {
            return Err(too_large(max_body));
        }
        lease.add(read)?;
        plain.extend_from_slice(&part[..read]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_too_large_and_leaves_nothing_behind() {
        let buffered = Buffered::new(1 << 20);
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 128 << 10);
        let mut lease = buffered.lease();
        assert_eq!(gunzip(&bomb, 1 << 19, &mut lease).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(gunzip(&bomb, 1 << 30, &mut lease).unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        drop(lease);
        assert_eq!(buffered.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn members_are_joined_and_damage_is_noticed() {
        let buffered = Buffered::new(1 << 20);
        let joined = [gzip(b"a\n"), gzip(b"b\n")].concat();
        assert_eq!(gunzip(&joined, 100, &mut buffered.lease()).unwrap(), "a\nb\n");
        assert_eq!(gunzip(&joined[..joined.len() - 3], 100, &mut buffered.lease()).unwrap_err().status, StatusCode::BAD_REQUEST);
        assert_eq!(gunzip(b"plain", 100, &mut buffered.lease()).unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn other_encodings_are_refused() {
        let of = |text: &str| encoding(&HeaderMap::from_iter([(CONTENT_ENCODING, text.parse().unwrap())]));
        assert_eq!((of("gzip"), of("identity"), encoding(&HeaderMap::new())), (Ok(true), Ok(false), Ok(false)));
        assert_eq!(of("br").unwrap_err().status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
