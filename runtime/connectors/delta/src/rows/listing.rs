//! What a table's log records of a data file besides what the kernel hands out: its statistics and its deletion vector as they are written.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, StructArray};
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::scan::ScanMetadata;
use delta_kernel::scan::state::ScanFile;
use delta_kernel::{KernelError, KernelResult};
use serde_json::{Value, json};

/// A data file of a version.
pub(super) struct Listed {
    pub(super) file: ScanFile,
    /// JSON.
    pub(super) stats: Option<String>,
    pub(super) deletion_vector: Option<Value>,
}

/// The files of one batch of a scan.
pub(super) fn read(batch: ScanMetadata) -> KernelResult<Vec<Listed>> {
    let files: Vec<ScanFile> = batch.visit_scan_files(Vec::new(), Vec::push)?;
    let (rows, selected) = batch.scan_files.into_parts();
    let rows = rows.try_into_record_batch()?;
    let column = |name: &str| rows.column_by_name(name).ok_or_else(|| KernelError::missing_column(name));
    let (paths, stats) = (column("path")?.as_string::<i32>(), column("stats")?.as_string::<i32>());
    let vectors = column("deletionVector")?.as_struct();
    // Rows behind the end of the selection are selected, and those without a path are no files: as the kernel reads them.
    let is_file = |row: &usize| selected.get(*row).copied().unwrap_or(true) && !paths.is_null(*row);
    let numbers: Vec<usize> = (0..rows.num_rows()).filter(is_file).collect();
    if numbers.len() != files.len() {
        return Err(KernelError::generic(format!("a scan lists {} files and hands out {}", numbers.len(), files.len())));
    }
    let listed = files.into_iter().zip(numbers).map(|(file, row)| {
        let stats = (!stats.is_null(row)).then(|| stats.value(row).to_owned());
        let deletion_vector = file.dv_info.has_vector().then(|| vector(vectors, row)).transpose()?;
        Ok(Listed { file, stats, deletion_vector })
    });
    listed.collect()
}

/// The descriptor of a deletion vector, as its file's `add` has it.
fn vector(vectors: &StructArray, row: usize) -> KernelResult<Value> {
    let column = |name: &str| vectors.column_by_name(name).ok_or_else(|| KernelError::missing_column(name));
    let offset = column("offset")?.as_primitive::<Int32Type>();
    let mut vector = json!({
        "storageType": column("storageType")?.as_string::<i32>().value(row),
        "pathOrInlineDv": column("pathOrInlineDv")?.as_string::<i32>().value(row),
        "sizeInBytes": column("sizeInBytes")?.as_primitive::<Int32Type>().value(row),
        "cardinality": column("cardinality")?.as_primitive::<Int64Type>().value(row),
    });
    if !offset.is_null(row) {
        vector["offset"] = offset.value(row).into();
    }
    Ok(vector)
}
