//! Decodes data files as the Delta kernel's own reader does, with more care in two respects. 96-bit
//! times, which Spark writes, keep their years, and bytes that make the decoder panic are damage.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine::arrow_utils::{RowIndexBuilder, fixup_parquet_read, ordering_needs_row_indexes, parquet_read_plan};
use delta_kernel::engine::reader_options;
use delta_kernel::schema::SchemaRef;
use delta_kernel::{EngineData, FileMeta, KernelError, KernelResult};
use delta_kernel_default_engine::executor::TaskExecutor;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::DynObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use wasmill_engine::panic_message;

use super::super::log::BATCH_ROWS;
use wasmill_formats::parquet::int96;

/// The data files of a table.
#[derive(Clone)]
pub(crate) struct DataFiles {
    store: Arc<DynObjectStore>,
    executor: Arc<TokioMultiThreadExecutor>,
}

type Decoded = KernelResult<Box<dyn EngineData>>;

impl DataFiles {
    pub(crate) fn new(store: Arc<DynObjectStore>, executor: Arc<TokioMultiThreadExecutor>) -> Self {
        Self { store, executor }
    }

    /// Opens a file, of which the columns of a physical schema are read, in its order.
    pub(super) fn open(&self, file: FileMeta, physical: SchemaRef) -> KernelResult<Decoder> {
        let open = AssertUnwindSafe(open(Arc::clone(&self.store), file, physical)).catch_unwind();
        let stream = self.executor.block_on(open).unwrap_or_else(|panic| Err(gave_up(&*panic)))?;
        Ok(Decoder { stream: Some(stream), executor: Arc::clone(&self.executor) })
    }
}

/// The rows of a file, batch by batch. Nothing follows an error.
pub(super) struct Decoder {
    stream: Option<BoxStream<'static, Decoded>>,
    executor: Arc<TokioMultiThreadExecutor>,
}

impl Iterator for Decoder {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        let mut stream = self.stream.take()?;
        let (next, stream) = self.executor.block_on(async move { (AssertUnwindSafe(stream.next()).catch_unwind().await, stream) });
        let next = next.unwrap_or_else(|panic| Some(Err(gave_up(&*panic))))?;
        self.stream = next.is_ok().then_some(stream);
        Some(next)
    }
}

fn gave_up(panic: &(dyn std::any::Any + Send)) -> KernelError {
    KernelError::generic(format!("the file is damaged: its decoder gave up: {}", panic_message(panic)))
}

async fn open(store: Arc<DynObjectStore>, file: FileMeta, physical: SchemaRef) -> KernelResult<BoxStream<'static, Decoded>> {
    let location = file.location.to_string();
    let path = Path::from_url_path(file.location.path())?;
    // What replaces it in the library is an example to be copied.
    #[allow(deprecated)]
    let mut reader = parquet::arrow::async_reader::ParquetObjectReader::new(store, path);
    if file.size != 0 {
        reader = reader.with_file_size(file.size);
    }
    let metadata = int96::in_micros(ArrowReaderMetadata::load_async(&mut reader, reader_options()).await?)?;
    let (ordering, mask) = parquet_read_plan(&physical, &metadata)?;
    let rows = ordering_needs_row_indexes(&ordering).then(|| RowIndexBuilder::new(metadata.metadata().row_groups()));
    let mut rows = rows.map(RowIndexBuilder::build).transpose()?;
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata).with_batch_size(BATCH_ROWS.get());
    if let Some(mask) = mask {
        builder = builder.with_projection(mask);
    }
    let batches = builder.build()?.map(move |batch| -> Decoded {
        let batch: ArrowEngineData = fixup_parquet_read(batch?, &ordering, rows.as_mut(), Some(&location), Some(&physical))?;
        Ok(Box::new(batch))
    });
    Ok(batches.boxed())
}
