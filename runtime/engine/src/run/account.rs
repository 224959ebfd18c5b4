//! Accounts for every row that goes through a stage, and gives rejected rows back their place in the source.

use std::sync::Arc;

use crate::{Batch, Counts, Error, OriginalRecord, Reject, Result, RowAsJson, RowReject, StageOutput};

/// Turns rows that a stage or sink rejected into rejects that know where they came from.
pub(crate) fn resolve(
    batch: &Batch,
    rejects: Vec<RowReject>,
    (node, plugin): (&Arc<str>, Option<&Arc<str>>),
    row_as_json: RowAsJson,
) -> Result<Vec<Reject>> {
    let chunk = batch.lineage.chunk();
    let resolve = |reject: RowReject| {
        let row = reject.row as usize;
        if row >= batch.records.num_rows() {
            return Err(Error::bug(format!("row {row} was rejected, but there are {}", batch.records.num_rows())));
        }
        let record = match batch.lineage.original(row) {
            Some(bytes) => OriginalRecord::Bytes(bytes),
            None => OriginalRecord::Json(row_as_json(&batch.records, row)?),
        };
        Ok(Reject {
            source: Arc::clone(&chunk.source),
            partition: batch.lineage.partition(row),
            position: batch.lineage.position(row),
            record,
            stage: Some(Arc::clone(node)),
            plugin: plugin.cloned(),
            code: reject.code,
            column: reject.column,
            message: reject.message,
        })
    };
    rejects.into_iter().map(resolve).collect()
}

/// Counts what a stage did with its rows, and checks what the engine relies on.
pub(crate) fn account(rows: usize, output: &StageOutput) -> Result<Counts> {
    let mut used = vec![false; rows];
    let mut rows_out = 0;
    for port in &output.outputs {
        rows_out += port.records.num_rows();
        match &port.origins {
            None if port.records.num_rows() == rows => used.fill(true),
            None => return Err(Error::bug(format!("{rows} rows went in and {} came out, without origins", port.records.num_rows()))),
            Some(origins) => mark(&mut used, origins, port.records.num_rows())?,
        }
    }
    let origins = used.iter().filter(|used| **used).count();
    for reject in &output.rejects {
        match used.get_mut(reject.row as usize) {
            Some(used) if !*used => *used = true,
            Some(_) => return Err(Error::bug(format!("row {} is rejected twice, or rejected and sent out", reject.row))),
            None => return Err(Error::bug(format!("row {} is rejected, but there are only {rows}", reject.row))),
        }
    }
    let rejected = output.rejects.len();
    Ok(Counts {
        rows_in: rows as u64,
        rows_added: (rows_out - origins) as u64,
        rows_out: rows_out as u64,
        rows_rejected: rejected as u64,
        rows_filtered: (rows - origins - rejected) as u64,
        ..Counts::default()
    })
}

fn mark(used: &mut [bool], origins: &[u32], rows_out: usize) -> Result<()> {
    if origins.len() != rows_out || !origins.is_sorted() {
        return Err(Error::bug(format!("{} origins for {rows_out} rows, or out of order", origins.len())));
    }
    for &origin in origins {
        match used.get_mut(origin as usize) {
            Some(used) => *used = true,
            None => return Err(Error::bug(format!("a row comes from row {origin}, but there are only {}", used.len()))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use proptest::prelude::*;

    use super::*;
    use crate::PortOutput;

    fn output(origins: Option<Vec<u32>>, rows: usize, rejects: &[u32]) -> StageOutput {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0; rows]));
        let records = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let reject = |&row| RowReject { row, code: "c".into(), column: None, message: String::new() };
        StageOutput { outputs: vec![PortOutput { port: 0, records, origins }], rejects: rejects.iter().map(reject).collect() }
    }

    #[test]
    fn every_row_is_the_origin_of_another_or_rejected_or_filtered() {
        let counts = account(5, &output(Some(vec![0, 0, 0, 3]), 4, &[1])).unwrap();
        assert_eq!((counts.rows_in, counts.rows_added, counts.rows_out, counts.rows_rejected, counts.rows_filtered), (5, 2, 4, 1, 2));
        assert!(counts.balance());
    }

    #[test]
    fn what_a_stage_must_not_do_is_noticed() {
        for bad in [
            output(None, 2, &[]),
            output(Some(vec![0, 1]), 1, &[]),
            output(Some(vec![1, 0]), 2, &[]),
            output(Some(vec![3]), 1, &[]),
            output(Some(vec![0]), 1, &[0]),
            output(Some(vec![0]), 1, &[1, 1]),
            output(Some(vec![0]), 1, &[3]),
        ] {
            assert!(account(3, &bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn counts_always_balance(mut origins in prop::collection::vec(0u32..20, 0..40), rejects in prop::collection::btree_set(0u32..20, 0..10)) {
            origins.sort_unstable();
            let rejects: Vec<u32> = rejects.into_iter().filter(|row| !origins.contains(row)).collect();
            let rows = origins.len();
            prop_assert!(account(20, &output(Some(origins), rows, &rejects)).unwrap().balance());
        }
    }
}
