//! Assembles full rows from a plugin's answer and from the columns that stayed behind, with the
//! host's checks.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray, UInt32Array, make_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take;

use super::driver::{self, Outcome, PortRows, RowReject, fault};
use crate::bindings::wasmill::plugin::types::{self, ColumnSource};

/// The answers of a plugin, call by call.
pub(super) struct Assembly {
    ports: Vec<PortAssembly>,
    rejects: Vec<RowReject>,
}

struct PortAssembly {
    name: String,
    schema: SchemaRef,
    sources: Vec<ColumnSource>,
    /// What comes back from the plugin: computed columns and masks.
    answered: SchemaRef,
    pieces: Vec<RecordBatch>,
    origins: Vec<u32>,
}

impl Assembly {
    pub(super) fn new(ports: &[types::Port], input: &RecordBatch) -> Self {
        let ports = ports.iter().map(|port| PortAssembly::new(port, input).unwrap_or_else(|error| fault(&error))).collect();
        Self { ports, rejects: Vec::new() }
    }

    /// Adds the answer to the rows of `input`, the first of which is row `start` of the whole.
    pub(super) fn add(
        &mut self,
        input: &RecordBatch,
        start: u32,
        types::Answer { outputs, rejects, .. }: types::Answer,
    ) -> Result<(), String> {
        let mut kept = vec![true; input.num_rows()];
        for reject in rejects {
            let row = reject.row as usize;
            let seen = kept.get_mut(row).ok_or_else(|| format!("row {row} is rejected and does not exist"))?;
            if !std::mem::replace(seen, false) {
                return Err(format!("row {row} is rejected twice"));
            }
            self.rejects.push(RowReject { row: start + reject.row, code: reject.code, column: reject.column, message: reject.message });
        }
        let mut used = vec![false; self.ports.len()];
        for output in outputs {
            let index = output.port as usize;
            let port = self.ports.get_mut(index).ok_or_else(|| format!("there is no port {index}"))?;
            if std::mem::replace(&mut used[index], true) {
                return Err(format!("port {} appears twice", port.name));
            }
            port.add(input, start, output, &kept)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Outcome {
        let ports = self.ports.into_iter().map(|port| {
            let records = concat_batches(&port.schema, &port.pieces).unwrap_or_else(|error| fault(&error.to_string()));
            PortRows { name: port.name, records, origins: port.origins }
        });
        Outcome { ports: ports.collect(), rejects: self.rejects }
    }
}

impl PortAssembly {
    fn new(port: &types::Port, input: &RecordBatch) -> Result<Self, String> {
        let schema = Arc::new(driver::read_schema(&port.schema)?);
        if schema.fields().len() != port.columns.len() {
            return Err(format!("port {} has {} fields and {} columns", port.name, schema.fields().len(), port.columns.len()));
        }
        let mut answered = Vec::new();
        for (field, source) in schema.fields().iter().zip(&port.columns) {
            match source {
                ColumnSource::Computed => answered.push(Arc::clone(field)),
                ColumnSource::Nulled(_) => answered.push(Arc::new(Field::new(field.name(), DataType::Boolean, false))),
                ColumnSource::Input(_) | ColumnSource::InputExcept(_) => {}
            }
            let passed_on = match source {
                ColumnSource::Computed => None,
                ColumnSource::Input(index) | ColumnSource::Nulled(index) => Some(index),
                ColumnSource::InputExcept(except) => Some(&except.column),
            };
            if let Some(index) = passed_on {
                let original =
                    input.schema_ref().fields().get(*index as usize).ok_or_else(|| format!("there is no input column {index}"))?;
                if original.data_type() != field.data_type() {
                    return Err(format!("column {} changes its type without being computed", field.name()));
                }
            }
        }
        let answered = Arc::new(Schema::new(answered.into_iter().collect::<Fields>()));
        Ok(Self { name: port.name.clone(), schema, sources: port.columns.clone(), answered, pieces: Vec::new(), origins: Vec::new() })
    }

    fn add(&mut self, input: &RecordBatch, start: u32, output: types::Output, kept: &[bool]) -> Result<(), String> {
        let is_kept = |row: &u32| kept.get(*row as usize).copied();
        let origins = output.origins.unwrap_or_else(|| (0..input.num_rows() as u32).filter(|row| is_kept(row) == Some(true)).collect());
        if origins.windows(2).any(|pair| pair[0] > pair[1]) || origins.iter().any(|row| is_kept(row).is_none()) {
            return Err(format!("the origins of port {} decrease or are out of range", self.name));
        }
        if let Some(row) = origins.iter().find(|row| is_kept(row) == Some(false)) {
            return Err(format!("row {row} is rejected, and sent out by port {}", self.name));
        }
        let answered = match (self.answered.fields().is_empty(), &output.table) {
            (true, None) => driver::batch_of(Arc::clone(&self.answered), Vec::new(), origins.len())?,
            (false, Some(table)) => driver::read_table(table, &self.answered)?,
            (true, Some(_)) => return Err(format!("port {} returns a table and computes no column", self.name)),
            (false, None) => return Err(format!("port {} computes columns and returns no table", self.name)),
        };
        if answered.num_rows() != origins.len() {
            return Err(format!("port {} returns {} rows for {} origins", self.name, answered.num_rows(), origins.len()));
        }
        let indices = UInt32Array::from(origins.clone());
        let mut answers = answered.columns().iter();
        let mut columns = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            columns.push(match source {
                ColumnSource::Computed => Arc::clone(answers.next().ok_or("a computed column is missing")?),
                ColumnSource::Input(index) => gather(input, *index, &indices)?,
                ColumnSource::Nulled(index) => nulled(&gather(input, *index, &indices)?, answers.next().ok_or("a mask is missing")?)?,
                ColumnSource::InputExcept(except) => excepted(&gather(input, except.column, &indices)?, &except.texts)?,
            });
        }
        self.pieces.push(driver::batch_of(Arc::clone(&self.schema), columns, origins.len())?);
        self.origins.extend(origins.iter().map(|row| start + row));
        Ok(())
    }
}

fn gather(input: &RecordBatch, index: u32, rows: &UInt32Array) -> Result<ArrayRef, String> {
    take(input.column(index as usize), rows, None).map_err(|error| error.to_string())
}

/// A column, null where its text is one of these.
fn excepted(column: &ArrayRef, texts: &[String]) -> Result<ArrayRef, String> {
    let column = column.as_any().downcast_ref::<StringArray>().ok_or("a column with texts that mean null is not of texts")?;
    Ok(Arc::new(column.iter().map(|text| text.filter(|text| !texts.iter().any(|except| except == text))).collect::<StringArray>()))
}

/// A column, null where the mask says false.
fn nulled(column: &ArrayRef, mask: &ArrayRef) -> Result<ArrayRef, String> {
    let mask = mask.as_any().downcast_ref::<BooleanArray>().ok_or("a mask is not of booleans")?;
    if mask.null_count() > 0 {
        return Err("a mask has nulls".to_owned());
    }
    let kept = NullBuffer::new(mask.values().clone());
    let nulls = NullBuffer::union(column.nulls(), Some(&kept));
    let data = column.to_data().into_builder().nulls(nulls).build().map_err(|error| error.to_string())?;
    Ok(make_array(data))
}
