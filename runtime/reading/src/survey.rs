//! Which columns files have, for what a pipeline asks of them.

use std::path::PathBuf;

use wasmill_connect::Survey;
use wasmill_engine::Result;

use super::content::Content;
use super::infer::Sample;
use super::options::ReadOptions;
use super::reader::{header, parquet};
use super::{folders, kind};
use wasmill_formats::Format;

/// Surveys the headers of CSV, the footers of Parquet, and the first records of JSON. `is_all`:
/// there are no other files. `None`: there are no files, or they are empty.
///
/// # Errors
/// Environment: a file can't be read.
pub fn survey_of(options: &ReadOptions, files: impl Iterator<Item = Result<(PathBuf, Content)>>, is_all: bool) -> Result<Option<Survey>> {
    let mut survey = Survey { is_complete: is_all, ..Survey::default() };
    let mut sample = Sample::default();
    for file in files {
        let (path, content) = file?;
        if parquet::length(&content) == 0 {
            continue;
        }
        survey.add(folders::columns_of(&path).into_iter().map(|column| column.name));
        match kind::format_of(options, &path, &content)? {
            Format::Parquet => survey.add(parquet::schema(&content, &path)?.fields().iter().map(|field| field.name().clone())),
            Format::Csv => {
                let names = header::read(options, &path, &content)?.names;
                let doubled = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
                if let (None, Some((_, name))) = (&survey.doubled, doubled) {
                    survey.doubled = Some((path, name.clone()));
                }
                survey.add(names);
            }
            _ if sample.is_full() => {}
            format => {
                survey.is_complete = false;
                sample.take(options, format, &path, content)?;
            }
        }
    }
    survey.records = sample.records();
    survey.wrapped = sample.wrapped().map(str::to_owned);
    survey.add(sample.names().map(str::to_owned));
    Ok((!survey.columns.is_empty()).then_some(survey))
}
