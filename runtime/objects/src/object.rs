//! One object: its metadata, its bytes or some of them, and puts, optionally on a condition.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::failure::{Failure, Kind};
use super::{Bucket, Object};

/// At most this much memory is allocated before any byte has arrived, because only the store
/// declares the length.
const MAX_ROOM: u64 = 16 << 20;

impl Object {
    /// One in a list. `None` for the mark of an empty folder, which some programs put.
    pub fn listed(found: types::Object) -> Option<Self> {
        let key = found.key.filter(|key| !key.ends_with('/'))?;
        Some(Self { key, size: size(found.size), modified: time(found.last_modified), etag: found.e_tag })
    }

    fn got(key: &str, answer: &GetObjectOutput) -> Self {
        // `bytes 5-9/443`
        let whole = answer.content_range.as_deref().and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        let size = whole.unwrap_or_else(|| size(answer.content_length));
        Self { key: key.to_owned(), size, modified: time(answer.last_modified), etag: answer.e_tag.clone() }
    }
}

fn size(reported: Option<i64>) -> u64 {
    reported.and_then(|size| size.try_into().ok()).unwrap_or_default()
}

fn time(reported: Option<DateTime>) -> SystemTime {
    reported.and_then(|time| time.try_into().ok()).unwrap_or(UNIX_EPOCH)
}

/// When to put an object.
#[derive(Debug, Clone, Copy)]
pub enum When<'a> {
    /// Unconditionally.
    Always,
    /// If there is none.
    Absent,
    /// If the one that is there has this ETag.
    Is(&'a str),
}

/// The part of an object that has been received.
#[derive(Default)]
struct Received {
    object: Option<Object>,
    bytes: BytesMut,
}

impl Bucket {
    /// The metadata of an object; none if there is no such object.
    pub async fn head(&self, key: &str) -> Result<Option<Object>, Failure> {
        let request = self.client.head_object().bucket(&self.name).key(key);
        match self.ask(|| request.clone().send()).await {
            Ok(found) => {
                let (size, modified) = (size(found.content_length), time(found.last_modified));
                Ok(Some(Object { key: key.to_owned(), size, modified, etag: found.e_tag }))
            }
            Err(failure) if failure.kind == Kind::NoObject => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// An object and its bytes, or those of a range; with an ETag only if the object still has it.
    pub async fn get(&self, key: &str, range: Option<Range<u64>>, etag: Option<&str>) -> Result<(Object, Bytes), Failure> {
        let received = Mutex::new(Received::default());
        self.ask(|| self.get_rest(key, range.clone(), etag, &received)).await?;
        let Received { object, bytes } = received.into_inner();
        let object = object.ok_or_else(|| Failure::of_nonsense("the store gave nothing"))?;
        let wanted = range.map_or(object.size, |range| range.end.min(object.size).saturating_sub(range.start));
        if bytes.len() as u64 != wanted {
            return Err(Failure::of_nonsense(format!("the store gave {} bytes instead of {wanted}", bytes.len())));
        }
        Ok((object, bytes.freeze()))
    }

    /// Resumes where a response was cut off, or begins.
    async fn get_rest(&self, key: &str, range: Option<Range<u64>>, etag: Option<&str>, received: &Mutex<Received>) -> Result<(), Failure> {
        let lock = || received.lock();
        let (have, known) = {
            let received = lock();
            (received.bytes.len() as u64, received.object.as_ref().and_then(|object| object.etag.clone()))
        };
        let (from, end) = range.map_or((have, None), |range| (range.start + have, Some(range.end)));
        let rest = match end {
            Some(end) if from >= end => return Ok(()),
            Some(end) => Some(format!("bytes={from}-{}", end - 1)),
            None => (from > 0).then(|| format!("bytes={from}-")),
        };
        let request = self.client.get_object().bucket(&self.name).key(key);
        let answer = request.set_range(rest).set_if_match(etag.map(str::to_owned).or(known)).send().await?;
        let object = Object::got(key, &answer);
        lock().bytes.reserve(size(answer.content_length).min(MAX_ROOM) as usize);
        lock().object.get_or_insert(object);
        let mut body = answer.body;
        while let Some(piece) = body.try_next().await? {
            lock().bytes.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// Puts an object. Where a response is lost, a condition that was met may be reported as unmet:
    /// read the object.
    pub async fn put(&self, key: &str, bytes: &Bytes, when: When<'_>) -> Result<(), Failure> {
        let put = || {
            let put = self.client.put_object().bucket(&self.name).key(key).body(bytes.clone().into());
            match when {
                When::Always => put,
                When::Absent => put.if_none_match("*"),
                When::Is(etag) => put.if_match(etag),
            }
            .send()
        };
        self.ask(put).await.map(drop)
    }
}
