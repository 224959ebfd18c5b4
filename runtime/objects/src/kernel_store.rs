//! A bucket for the Delta kernel, which only reads, lists and puts.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use super::failure::{Failure, Kind};
use super::object::When;
use super::{Bucket, Completion, Object, Put, Upload};

/// A bucket for the Delta kernel. Its paths are whole keys.
#[derive(Debug, Clone)]
struct KernelStore(Arc<Bucket>);

impl Bucket {
    /// The bucket as an object store of the Delta kernel.
    pub fn for_kernel(self: &Arc<Self>) -> Arc<dyn ObjectStore> {
        Arc::new(KernelStore(Arc::clone(self)))
    }
}

impl fmt::Display for KernelStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.shown(""))
    }
}

fn failed(path: &str, failure: Failure) -> Error {
    match failure.kind {
        Kind::NoObject => Error::NotFound { path: path.to_owned(), source: failure.into() },
        _ => Error::Generic { store: "S3", source: failure.into() },
    }
}

fn not_needed(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "the store of the Delta kernel".to_owned() }
}

fn meta(object: Object) -> Result<ObjectMeta> {
    let location = Path::parse(&object.key)?;
    Ok(ObjectMeta { location, last_modified: object.modified.into(), size: object.size, e_tag: object.etag, version: None })
}

/// The version of a put is never read.
const PUT: PutResult = PutResult { e_tag: None, version: None };

#[async_trait]
impl ObjectStore for KernelStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (key, bytes) = (location.as_ref(), Bytes::from(payload));
        match options.mode {
            PutMode::Overwrite => self.0.put(key, &bytes, When::Always).await.map_err(|failure| failed(key, failure))?,
            PutMode::Create => match self.0.put_new(key, &bytes).await.map_err(|failure| failed(key, failure))? {
                Put::Done => {}
                Put::Taken => return Err(Error::AlreadyExists { path: key.to_owned(), source: "another object has this name".into() }),
            },
            PutMode::Update(_) => return Err(not_needed("put of a version")),
        }
        Ok(PUT)
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let key = location.to_string();
        let begun = self.0.begin_upload(&key, None).await.map_err(|failure| failed(&key, failure))?;
        Ok(Box::new(KernelUpload { bucket: Arc::clone(&self.0), key, id: begun.id, size: 0, answers: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let key = location.as_ref();
        let range = match options.range {
            None => None,
            Some(GetRange::Bounded(range)) if range.start < range.end => Some(range),
            Some(_) => return Err(not_needed("get of an open range")),
        };
        let (object, bytes) = match options.head {
            true => {
                let found = self.0.head(key).await.map_err(|failure| failed(key, failure))?;
                let found = found.ok_or_else(|| Error::NotFound { path: key.to_owned(), source: "there is no such object".into() })?;
                (found, Bytes::new())
            }
            false => self.0.get(key, range.clone(), options.if_match.as_deref()).await.map_err(|failure| failed(key, failure))?,
        };
        let start = range.map_or(0, |range| range.start);
        let range = start..start + bytes.len() as u64;
        let payload = GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta: meta(object)?, range, attributes: Default::default() })
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(not_needed("delete")) }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_with_offset(prefix, &Path::default())
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (bucket, prefix, offset) = (Arc::clone(&self.0), prefix.map(ToString::to_string).unwrap_or_default(), offset.to_string());
        let list = async move {
            let after = (!offset.is_empty()).then_some(offset.as_str());
            let objects = bucket.list_all(&prefix, after).await.map_err(|failure| failed(&prefix, failure))?;
            Ok::<_, Error>(stream::iter(objects.into_iter().map(meta)))
        };
        stream::once(list).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(not_needed("list with a delimiter"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(not_needed("copy"))
    }
}

/// A large object on its way.
#[derive(Debug)]
struct KernelUpload {
    bucket: Arc<Bucket>,
    key: String,
    id: String,
    size: u64,
    /// The store's response for each part.
    answers: Vec<Arc<OnceLock<String>>>,
}

#[async_trait]
impl MultipartUpload for KernelUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (bucket, key, id) = (Arc::clone(&self.bucket), self.key.clone(), self.id.clone());
        let (index, part, answer) = (self.answers.len(), Bytes::from(data), Arc::<OnceLock<String>>::default());
        self.size += part.len() as u64;
        self.answers.push(Arc::clone(&answer));
        Box::pin(async move {
            let answered = bucket.put_part(&key, &id, index, &part).await.map_err(|failure| failed(&key, failure))?;
            let _ = answer.set(answered);
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = self.answers.iter().map(|answer| answer.get().cloned()).collect::<Option<Vec<String>>>();
        let parts = parts.ok_or_else(|| Error::Generic { store: "S3", source: "not all parts have arrived".into() })?;
        let upload = Upload { id: self.id.clone(), parts };
        let completed = self.bucket.complete(Completion { key: &self.key, size: self.size, upload: &upload }).await;
        completed.map(|()| PUT).map_err(|error| Error::Generic { store: "S3", source: error.into() })
    }

    async fn abort(&mut self) -> Result<()> {
        self.bucket.drop_upload(&self.key, &self.id).await.map_err(|failure| failed(&self.key, failure))
    }
}
