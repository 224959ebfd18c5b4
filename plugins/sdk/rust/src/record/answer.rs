//! What a function of one record may return: true or false, a record, several, or a reject.

use super::OutputRecord;
use crate::Reject;

/// The result for one record.
///
/// | answer | meaning |
/// |---|---|
/// | `bool` | the row continues, or is filtered out |
/// | a record | the row continues with these columns |
/// | `Option` of a record | it continues, or is filtered out |
/// | `Vec` of a record | one row for each, none is filtered out |
/// | `Result` of any of these, [`Reject`] | or it is set aside |
pub trait Answer {
    /// The record that continues.
    type Record: OutputRecord;

    /// Sends the records that continue.
    ///
    /// # Errors
    /// The reason to reject the row instead.
    fn send(self, emit: &mut Emit<Self::Record>) -> Result<(), Reject>;
}

/// Collects the rows that continue.
pub struct Emit<R: OutputRecord> {
    pub(crate) builders: R::Builders,
    pub(crate) origins: Vec<u32>,
    pub(crate) row: u32,
}

impl<R: OutputRecord> Emit<R> {
    /// With room for `rows` records.
    pub(crate) fn new(rows: usize) -> Self {
        Self { builders: R::builders(rows), origins: Vec::with_capacity(rows), row: 0 }
    }

    #[inline]
    fn record(&mut self, record: R) {
        record.append(&mut self.builders);
        self.origins.push(self.row);
    }
}

impl<R: OutputRecord> Answer for R {
    type Record = R;

    #[inline]
    fn send(self, emit: &mut Emit<R>) -> Result<(), Reject> {
        emit.record(self);
        Ok(())
    }
}

impl Answer for bool {
    type Record = ();

    #[inline]
    fn send(self, emit: &mut Emit<()>) -> Result<(), Reject> {
        if self {
            emit.record(());
        }
        Ok(())
    }
}

impl<R: OutputRecord> Answer for Option<R> {
    type Record = R;

    #[inline]
    fn send(self, emit: &mut Emit<R>) -> Result<(), Reject> {
        self.into_iter().for_each(|record| emit.record(record));
        Ok(())
    }
}

impl<R: OutputRecord> Answer for Vec<R> {
    type Record = R;

    fn send(self, emit: &mut Emit<R>) -> Result<(), Reject> {
        self.into_iter().for_each(|record| emit.record(record));
        Ok(())
    }
}

impl<A: Answer> Answer for Result<A, Reject> {
    type Record = A::Record;

    #[inline]
    fn send(self, emit: &mut Emit<A::Record>) -> Result<(), Reject> {
        self?.send(emit)
    }
}
