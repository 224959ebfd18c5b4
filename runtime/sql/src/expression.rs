//! An expression on given columns: its type, and its values for batches of rows.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Schema, SchemaRef};
use arrow_select::concat::concat;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use wasmill_engine::{Error, Result};

use crate::failure::Failure;
use crate::lower::lower;
use crate::nearest::nearest;
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::syntax::{ColumnUse, Parsed};
use crate::types::{column_type, named};

/// The most characters of an expression in a message.
const MAX_SHOWN: usize = 200;

/// An expression that was checked against the columns that it is computed from. Cloning costs a few reference counts.
#[derive(Debug, Clone)]
pub struct Expression {
    text: Arc<str>,
    /// The columns of the batch that it needs.
    columns: Arc<[usize]>,
    /// These columns alone, in this order.
    schema: SchemaRef,
    physical: Arc<dyn PhysicalExpr>,
    data_type: DataType,
    nullable: bool,
}

/// The values of a batch.
#[derive(Debug)]
pub(crate) struct Evaluated {
    /// A value for each row: null where there is none.
    pub values: ArrayRef,
    /// The rows without a value, in increasing order.
    pub failed: Vec<(usize, Failure)>,
}

impl Expression {
    /// Checks an expression against columns.
    ///
    /// # Errors
    /// Every column that is not there; or the first part whose types do not fit, or that has no value whatever the row.
    pub fn new(parsed: &Parsed, input: &Schema) -> Result<Self, Vec<SqlProblem>> {
        let uses = parsed.columns().iter().map(|used| ((), used));
        let Needed { columns, schema } =
            needed(uses, input).map_err(|problems| problems.into_iter().map(|(_, problem)| problem).collect::<Vec<_>>())?;
        let typed = lower(parsed, &schema).map_err(|problem| vec![problem])?;
        let data_type = column_type(&typed.data_type).map_err(|help| {
            let message = format!("no column can have the type {}", named(&typed.data_type));
            vec![SqlProblem::new(ProblemKind::Type, message, 0..0).help(help)]
        })?;
        let expression = Self {
            text: shorten(parsed.text().trim(), MAX_SHOWN).into(),
            columns: columns.into(),
            schema: Arc::new(schema),
            physical: typed.physical,
            data_type,
            nullable: typed.nullable,
        };
        expression.try_without_rows().map_err(|problem| vec![problem])?;
        Ok(expression)
    }

    /// Whether it is a column as it is, which has a value for every row.
    pub(crate) fn is_column(&self) -> bool {
        self.physical.downcast_ref::<Column>().is_some()
    }

    /// The type of its values.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether a value may be null.
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// As it was written, shortened, in one line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with its constants shows without a row: a pattern that is none, a constant divided by zero.
    fn try_without_rows(&self) -> Result<(), SqlProblem> {
        let nothing = RecordBatch::new_empty(Arc::clone(&self.schema));
        match self.try_evaluate(&nothing) {
            Ok(_) => Ok(()),
            Err(failure) => {
                let problem = SqlProblem::new(ProblemKind::Type, "the expression fails whatever the row is", 0..0);
                Err(problem.help(failure.message))
            }
        }
    }

    /// The values of all rows. Rows without one do not keep the others from theirs.
    ///
    /// Evaluates the batch at once. Where that fails, it evaluates halves: `k` rows without a value among `n` cost at most
    /// `2 k log2 n + 1` evaluations, never more than `2 n`, and no row is evaluated more than `log2 n + 2` times.
    ///
    /// # Errors
    /// The batch has other columns than those that the expression was checked against, or its values pass 2 GiB.
    pub(crate) fn evaluate(&self, records: &RecordBatch) -> Result<Evaluated> {
        let columns = self.columns.iter().map(|&index| records.columns().get(index).cloned()).collect::<Option<Vec<_>>>();
        let columns = columns.ok_or_else(|| Error::bug("a batch has fewer columns than its stage was opened on"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        let records = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::bug(format!("a batch has other columns than its stage was opened on: {error}")))?;
        if let Ok(values) = self.try_evaluate(&records) {
            return Ok(Evaluated { values, failed: Vec::new() });
        }
        let mut parts = Parts { expression: self, records: &records, values: Vec::new(), failed: Vec::new() };
        parts.halve(0..records.num_rows());
        let (values, failed) = (parts.values, parts.failed);
        let values = concat(&values.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        let values = values.map_err(|error| {
            Error::environment(format!("the values of `{}` do not fit into one batch: {error}", self.text)).hint("reduce `batch_rows`")
        })?;
        Ok(Evaluated { values, failed })
    }

    fn try_evaluate(&self, records: &RecordBatch) -> Result<ArrayRef, Failure> {
        // Functions that were written for queries may give up on values that nobody thought of. That is a failure of these rows.
        let evaluate = AssertUnwindSafe(|| self.physical.evaluate(records)?.into_array(records.num_rows()));
        let values = catch_unwind(evaluate).map_err(|panic| Failure::of_panic(&*panic))??;
        let values = match values.data_type() == &self.data_type {
            true => values,
            false => arrow_cast::cast_with_options(&values, &self.data_type, &strict()).map_err(|error| Failure::from(&error))?,
        };
        // Arithmetic keeps to 128 bits, which hold more than 38 digits.
        if let DataType::Decimal128(precision, _) = self.data_type {
            values.as_primitive::<Decimal128Type>().validate_decimal_precision(precision).map_err(|error| Failure::of_digits(&error))?;
        }
        Ok(values)
    }
}

fn strict() -> arrow_cast::CastOptions<'static> {
    arrow_cast::CastOptions { safe: false, ..Default::default() }
}

/// Evaluates parts of a batch that failed as a whole.
struct Parts<'a> {
    expression: &'a Expression,
    records: &'a RecordBatch,
    values: Vec<ArrayRef>,
    failed: Vec<(usize, Failure)>,
}

impl Parts<'_> {
    /// The rows of a range that failed: two halves, or the one row that is to blame.
    fn halve(&mut self, rows: Range<usize>) {
        let middle = rows.start + rows.len() / 2;
        for half in [rows.start..middle, middle..rows.end] {
            if half.is_empty() {
                continue;
            }
            match self.expression.try_evaluate(&self.records.slice(half.start, half.len())) {
                Ok(values) => self.values.push(values),
                Err(failure) if half.len() == 1 => {
                    self.values.push(new_null_array(&self.expression.data_type, 1));
                    self.failed.push((half.start, failure));
                }
                Err(_) => self.halve(half),
            }
        }
    }
}

/// The columns of an input that expressions name, each once.
pub(crate) struct Needed {
    /// Their indices in the input.
    pub columns: Vec<usize>,
    /// These columns alone.
    pub schema: Schema,
}

/// The columns that are named. Those that are not there are problems of what names them.
pub(crate) fn needed<'c, T>(uses: impl Iterator<Item = (T, &'c ColumnUse)>, input: &Schema) -> Result<Needed, Vec<(T, SqlProblem)>> {
    let mut columns = Vec::new();
    let mut problems = Vec::new();
    for (by, used) in uses {
        match input.index_of(&used.name) {
            Ok(index) if columns.contains(&index) => {}
            Ok(index) => columns.push(index),
            Err(_) => {
                let near = nearest(&used.name, input.fields().iter().map(|field| field.name().as_str()));
                let message = format!("there is no column `{}`", shorten(&used.name, 80));
                problems.push((by, SqlProblem::new(ProblemKind::Column, message, used.span.clone()).suggest(near)));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let fields: Vec<_> = columns.iter().filter_map(|&index| input.fields().get(index).cloned()).collect();
    Ok(Needed { columns, schema: Schema::new(fields) })
}
