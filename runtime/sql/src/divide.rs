//! Division of floats that reports a division by zero, as that of integers and decimals does.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_arith::numeric::{div, rem};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Schema};
use datafusion_common::{Result, internal_err};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;

/// What of a division is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Quotient {
    /// `a / b`
    Whole,
    /// `a % b`
    Remainder,
}

/// Divides two floats of one type. A division by zero is an error, where IEEE 754 has an infinity or NaN for it.
#[derive(Debug, Clone, Eq)]
pub(crate) struct FloatDivision {
    left: Arc<dyn PhysicalExpr>,
    quotient: Quotient,
    right: Arc<dyn PhysicalExpr>,
}

impl FloatDivision {
    pub fn new(left: Arc<dyn PhysicalExpr>, quotient: Quotient, right: Arc<dyn PhysicalExpr>) -> Self {
        Self { left, quotient, right }
    }
}

impl PartialEq for FloatDivision {
    fn eq(&self, other: &Self) -> bool {
        self.left.eq(&other.left) && self.quotient == other.quotient && self.right.eq(&other.right)
    }
}

impl Hash for FloatDivision {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.left.hash(state);
        self.quotient.hash(state);
        self.right.hash(state);
    }
}

impl fmt::Display for FloatDivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.quotient {
            Quotient::Whole => '/',
            Quotient::Remainder => '%',
        };
        write!(f, "({} {sign} {})", self.left, self.right)
    }
}

impl PhysicalExpr for FloatDivision {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.left.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        Ok(self.left.nullable(schema)? || self.right.nullable(schema)?)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let left = self.left.evaluate(batch)?.into_array(rows)?;
        let right = self.right.evaluate(batch)?.into_array(rows)?;
        if has_zero(&left, &right)? {
            return Err(ArrowError::DivideByZero.into());
        }
        let quotient = match self.quotient {
            Quotient::Whole => div(&left, &right),
            Quotient::Remainder => rem(&left, &right),
        };
        Ok(ColumnarValue::Array(quotient?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 2]>::try_from(children) {
            Ok([left, right]) => Ok(Arc::new(Self { left, quotient: self.quotient, right })),
            Err(children) => internal_err!("a division has two parts, not {}", children.len()),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether something is divided by zero: a null divided by zero is a null, as with integers.
fn has_zero(left: &ArrayRef, right: &ArrayRef) -> Result<bool> {
    let is_zero: Box<dyn Fn(usize) -> bool> = match right.data_type() {
        DataType::Float32 => {
            let values = right.as_primitive::<Float32Type>().values();
            Box::new(|row| values[row] == 0.0)
        }
        DataType::Float64 => {
            let values = right.as_primitive::<Float64Type>().values();
            Box::new(|row| values[row] == 0.0)
        }
        other => return internal_err!("floats are divided, not {other}"),
    };
    Ok((0..right.len()).any(|row| is_zero(row) && right.is_valid(row) && left.is_valid(row)))
}
