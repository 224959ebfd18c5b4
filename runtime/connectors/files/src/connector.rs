//! The registration of the connector `files`.

use std::path::Path;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use wasmill_connect::examine::{Finding, folder_to_write};
use wasmill_connect::registry::{
    Connector, DeadLetters, Delivery, SinkConnector, SourceColumns, SourceConnector, SourceRequest, Usage, Writes, columns_of_sample,
};
use wasmill_connect::{Inferred, Survey};
use wasmill_engine::{Depot, Result, Sink, Source};
use wasmill_formats::Format;

use crate::{FilesConfig, FilesSink, FilesSinkConfig, FilesSource, FilesWriteMode, examine_source, infer, survey};

/// Files on a disk.
pub const CONNECTOR: Connector = Connector::new("files")
    .with_source::<FilesConfig>(Usage {
        example: r#"files: { path: "data/pin/*.jsonl" }"#,
        summary: "Reads files: JSON lines, JSON arrays, CSV or Parquet, plain or compressed.",
    })
    .with_sink::<FilesSinkConfig>(
        Usage { example: "files: { path: out/pins, format: parquet }", summary: "Writes files: JSON lines, CSV or Parquet." },
        Delivery::ExactlyOnce,
        DeadLetters::Taken(Usage {
            example: "files: { path: out/dead_letters, format: jsonl }",
            summary: "Writes files: JSON lines, CSV or Parquet.",
        }),
    )
    .with_codes(crate::codes::CODES);

impl SourceConnector for FilesConfig {
    fn describe(&self) -> String {
        format!("files {}", self.path.all().join(", "))
    }

    fn columns(&self, wanted: &SourceColumns) -> Result<Option<Inferred>> {
        let options = self.reading();
        let format = |path: &String| options.format_of(Path::new(path)).ok();
        // Parquet and CSV declare their columns.
        let is_certain = self.path.all().iter().all(|path| matches!(format(path), Some(Format::Parquet | Format::Csv)));
        columns_of_sample(wanted, is_certain, || infer(self))
    }

    fn reserved_columns(&self) -> Vec<Field> {
        wasmill_reading::reserved_columns()
    }

    fn survey(&self) -> Result<Option<Survey>> {
        survey(self)
    }

    fn is_sampled(&self) -> bool {
        true
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        let source = FilesSource::new(request.name, self.clone(), request.schema, request.mode)?;
        Ok(Box::new(source.with_sampling(request.sampling, request.mode)))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_source(self)
    }
}

impl SinkConnector for FilesSinkConfig {
    fn describe(&self) -> String {
        format!("files {}", self.path)
    }

    fn writes(&self) -> Writes {
        match self.write {
            FilesWriteMode::Append => Writes::Append,
            FilesWriteMode::Overwrite => Writes::Overwrite,
        }
    }

    fn place(&self) -> Option<&str> {
        Some(&self.path)
    }

    fn reads_back(&self) -> Option<Arc<dyn SourceConnector>> {
        Some(Arc::new(FilesConfig {
            format: Some(self.format.format()),
            compression: Some(self.compression),
            allow_empty: true,
            ..FilesConfig::of_path(format!("{}/**/*", glob::Pattern::escape(&self.path)))
        }))
    }

    fn differences(&self, schema: &SchemaRef) -> Result<Vec<String>> {
        FilesSink::new(self.clone(), schema).map(|_| Vec::new())
    }

    fn build(&self, schema: &Schema, _: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(FilesSink::new(self.clone(), schema)?))
    }

    fn build_without_columns(&self, _: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>> {
        Ok(Some(Arc::new(FilesSink::without_columns(self.clone())?)))
    }

    fn examine(&self) -> Vec<Finding> {
        folder_to_write(Path::new(&self.path))
    }
}
