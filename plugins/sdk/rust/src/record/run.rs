//! Runs a function of one record over a batch: the glue that the attribute [`record`](macro@crate::record) calls.

use super::{Answer, Emit, InputRecord, OutputRecord};
use crate::{Batch, Output, Plan, Refusal};

/// Declares the columns of a function from `I` to `A`.
pub fn plan<'a, I: InputRecord<'a>, A: Answer>(plan: &mut Plan) {
    let fields = I::fields();
    for field in &fields {
        plan.read(field.name, field.data_type.clone());
    }
    let port = plan.out();
    if !A::Record::ONLY {
        let dropped: Vec<_> = fields.iter().filter(|field| field.dropped).map(|field| field.name).collect();
        port.pass_all_but(&dropped);
    }
    for (name, data_type) in A::Record::fields() {
        port.compute(name, data_type);
    }
}

/// Calls a function for every row of a batch.
pub fn process<'a, I: InputRecord<'a>, A: Answer>(
    batch: &'a Batch,
    out: &mut Output<'_>,
    mut function: impl FnMut(I) -> A,
) -> Result<(), Refusal> {
    let columns = I::columns(batch)?;
    let mut emit = Emit::<A::Record>::new(batch.len());
    for row in 0..batch.len() {
        emit.row = row as u32;
        if let Err(reject) = I::read(&columns, row).and_then(|record| function(record).send(&mut emit)) {
            out.reject(row, reject);
        }
    }
    let port = out.first()?;
    A::Record::finish(emit.builders, port)?;
    port.rows_from(emit.origins);
    Ok(())
}
