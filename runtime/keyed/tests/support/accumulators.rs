//! Accumulators whose results are easy to compute by other means.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_keyed::{Accumulator, Aggregate, Error, Grouped, Result, RowReject};

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect::<Vec<_>>()))
}

fn records(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| Error::bug(error.to_string()))
}

/// Rows, the sum of column 0 with an error on overflow, and the mean.
#[derive(Debug, Clone)]
pub struct CountSumMean {
    state: SchemaRef,
    output: SchemaRef,
}

impl Default for CountSumMean {
    fn default() -> Self {
        let state = schema(&[("count", DataType::Int64), ("sum", DataType::Int64)]);
        Self { state, output: schema(&[("count", DataType::Int64), ("sum", DataType::Int64), ("mean", DataType::Float64)]) }
    }
}

impl Aggregate for CountSumMean {
    fn state_schema(&self) -> SchemaRef {
        Arc::clone(&self.state)
    }

    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(CountSumMeanOf { plan: self.clone(), counts: Vec::new(), sums: Vec::new() }))
    }
}

struct CountSumMeanOf {
    plan: CountSumMean,
    counts: Vec<i64>,
    sums: Vec<i64>,
}

impl CountSumMeanOf {
    fn grow(&mut self, count: u32) {
        self.counts.resize(count as usize, 0);
        self.sums.resize(count as usize, 0);
    }
}

impl Accumulator for CountSumMeanOf {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        self.grow(count);
        let values = rows.column(0).as_primitive::<Int64Type>().values();
        let mut rejects = Vec::new();
        for (row, (&value, &group)) in values.iter().zip(groups).enumerate() {
            match self.sums[group as usize].checked_add(value) {
                Some(sum) => {
                    self.sums[group as usize] = sum;
                    self.counts[group as usize] += 1;
                }
                None => rejects.push(RowReject {
                    row: row as u32,
                    code: "overflow".to_owned(),
                    column: Some("value".to_owned()),
                    message: "the sum leaves 64 bits".to_owned(),
                }),
            }
        }
        Ok(rejects)
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.grow(count);
        let (counts, sums) = (states.column(0).as_primitive::<Int64Type>().values(), states.column(1).as_primitive::<Int64Type>().values());
        for ((&more, &sum), &group) in counts.iter().zip(sums).zip(groups) {
            self.counts[group as usize] += more;
            let total = self.sums[group as usize].checked_add(sum).ok_or_else(|| Error::environment("the sum leaves 64 bits"))?;
            self.sums[group as usize] = total;
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<Grouped> {
        let (counts, sums) = (std::mem::take(&mut self.counts), std::mem::take(&mut self.sums));
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(counts)), Arc::new(Int64Array::from(sums))];
        Ok(Grouped { records: records(&self.plan.state, columns)?, groups: None })
    }

    fn finish(&mut self) -> Result<Grouped> {
        let (counts, sums) = (std::mem::take(&mut self.counts), std::mem::take(&mut self.sums));
        let means: Float64Array = counts.iter().zip(&sums).map(|(&count, &sum)| (count > 0).then(|| sum as f64 / count as f64)).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(counts)), Arc::new(Int64Array::from(sums)), Arc::new(means)];
        Ok(Grouped { records: records(&self.plan.output, columns)?, groups: None })
    }

    fn memory_bytes(&self) -> usize {
        (self.counts.capacity() + self.sums.capacity()) * size_of::<i64>()
    }
}

/// What [`Values`] returns of the values of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The lower median of column 0; null of no values.
    Median,
    /// The least and the greatest.
    MinMax,
    /// The distinct values, increasing, a row each: none of no values.
    Distinct,
    /// The texts of column 1, sorted and joined; the state has a row per text.
    Texts,
}

/// Aggregates that hold the values of a group: any number of state rows per group, none for groups whose values are all null.
#[derive(Debug, Clone)]
pub struct Values {
    of: Of,
    state: SchemaRef,
    output: SchemaRef,
}

impl Values {
    pub fn new(of: Of) -> Self {
        let value = if of == Of::Texts { DataType::Utf8 } else { DataType::Int64 };
        let output = match of {
            Of::MinMax => schema(&[("least", DataType::Int64), ("greatest", DataType::Int64)]),
            _ => schema(&[("value", value.clone())]),
        };
        Self { of, state: schema(&[("value", value)]), output }
    }
}

impl Aggregate for Values {
    fn state_schema(&self) -> SchemaRef {
        Arc::clone(&self.state)
    }

    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(ValuesOf { plan: self.clone(), numbers: Vec::new(), texts: Vec::new() }))
    }
}

struct ValuesOf {
    plan: Values,
    numbers: Vec<Vec<i64>>,
    texts: Vec<Vec<String>>,
}

impl ValuesOf {
    fn add(&mut self, column: &ArrayRef, groups: &[u32], count: u32) {
        if self.plan.of == Of::Texts {
            self.texts.resize_with(count as usize, Vec::new);
            for (text, &group) in column.as_string::<i32>().iter().zip(groups) {
                self.texts[group as usize].extend(text.map(str::to_owned));
            }
        } else {
            self.numbers.resize_with(count as usize, Vec::new);
            for (number, &group) in column.as_primitive::<Int64Type>().iter().zip(groups) {
                self.numbers[group as usize].extend(number);
            }
        }
    }
}

impl Accumulator for ValuesOf {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        let column = rows.column(usize::from(self.plan.of == Of::Texts));
        self.add(&Arc::clone(column), groups, count);
        Ok(Vec::new())
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.add(&Arc::clone(states.column(0)), groups, count);
        Ok(())
    }

    fn take_state(&mut self) -> Result<Grouped> {
        let (numbers, texts) = (std::mem::take(&mut self.numbers), std::mem::take(&mut self.texts));
        let column: ArrayRef = match self.plan.of {
            Of::Texts => Arc::new(texts.iter().flatten().map(Some).collect::<arrow_array::StringArray>()),
            _ => Arc::new(numbers.iter().flatten().copied().collect::<Int64Array>()),
        };
        let lengths = numbers.iter().map(Vec::len).chain(texts.iter().map(Vec::len));
        let groups = lengths.enumerate().flat_map(|(group, rows)| std::iter::repeat_n(group as u32, rows)).collect();
        Ok(Grouped { records: records(&self.plan.state, vec![column])?, groups: Some(groups) })
    }

    fn finish(&mut self) -> Result<Grouped> {
        let (numbers, texts) = (std::mem::take(&mut self.numbers), std::mem::take(&mut self.texts));
        let sorted = |mut values: Vec<i64>| {
            values.sort_unstable();
            values
        };
        let numbers: Vec<Vec<i64>> = numbers.into_iter().map(sorted).collect();
        let mut groups = None;
        let columns: Vec<ArrayRef> = match self.plan.of {
            Of::Median => {
                let median = |values: &Vec<i64>| (!values.is_empty()).then(|| values[(values.len() - 1) / 2]);
                vec![Arc::new(numbers.iter().map(median).collect::<Int64Array>())]
            }
            Of::MinMax => {
                let least = numbers.iter().map(|values| values.first().copied()).collect::<Int64Array>();
                let greatest = numbers.iter().map(|values| values.last().copied()).collect::<Int64Array>();
                vec![Arc::new(least), Arc::new(greatest)]
            }
            Of::Distinct => {
                let (mut of, mut values) = (Vec::new(), Int64Builder::new());
                for (group, number) in numbers.iter().enumerate() {
                    for &value in &number.iter().copied().collect::<BTreeSet<i64>>() {
                        of.push(group as u32);
                        values.append_value(value);
                    }
                }
                groups = Some(of);
                vec![Arc::new(values.finish())]
            }
            Of::Texts => {
                let mut joined = StringBuilder::new();
                for mut texts in texts {
                    texts.sort();
                    joined.append_value(texts.join("+"));
                }
                vec![Arc::new(joined.finish())]
            }
        };
        Ok(Grouped { records: records(&self.plan.output, columns)?, groups })
    }

    fn memory_bytes(&self) -> usize {
        let numbers: usize = self.numbers.iter().map(|values| values.capacity() * size_of::<i64>() + size_of::<Vec<i64>>()).sum();
        numbers + self.texts.iter().flatten().map(|text| text.capacity() + size_of::<String>()).sum::<usize>()
    }
}

/// As [`CountSumMean`], but for rows whose value this refuses.
pub struct Picky(pub fn(i64) -> bool);

struct PickyOf(fn(i64) -> bool, Box<dyn Accumulator>);

impl Aggregate for Picky {
    fn state_schema(&self) -> SchemaRef {
        CountSumMean::default().state_schema()
    }

    fn output_schema(&self) -> SchemaRef {
        CountSumMean::default().output_schema()
    }

    fn open(&self, lane: usize) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(PickyOf(self.0, CountSumMean::default().open(lane)?)))
    }
}

impl Accumulator for PickyOf {
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>> {
        let values = rows.column(0).as_primitive::<Int64Type>().values();
        let (refused, taken): (Vec<u32>, Vec<u32>) = (0..rows.num_rows() as u32).partition(|&row| self.0(values[row as usize]));
        let taken_groups: Vec<u32> = taken.iter().map(|&row| groups[row as usize]).collect();
        let taken = arrow_select::take::take_record_batch(rows, &arrow_array::UInt32Array::from(taken)).unwrap();
        self.1.update(&taken, &taken_groups, count)?;
        let reject = |row| RowReject { row, code: "picky".into(), column: None, message: String::new() };
        Ok(refused.into_iter().map(reject).collect())
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.1.merge(states, groups, count)
    }

    fn take_state(&mut self) -> Result<Grouped> {
        self.1.take_state()
    }

    fn finish(&mut self) -> Result<Grouped> {
        self.1.finish()
    }

    fn memory_bytes(&self) -> usize {
        self.1.memory_bytes()
    }
}
