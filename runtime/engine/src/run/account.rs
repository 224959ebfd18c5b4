//! Accounts for every row that passes through a stage, and maps rejected rows to their place in the
//! source.

use std::sync::Arc;

use crate::{Batch, Counts, Error, OriginalRecord, Reject, Result, RowAsJson, RowReject, StageOutput};

/// What rejected rows.
#[derive(Clone, Copy)]
pub(crate) struct RejectedBy<'a> {
    /// The stage or sink.
    pub node: &'a Arc<str>,
    pub plugin: Option<&'a Arc<str>>,
}

/// Turns rows that a stage or sink rejected into rejects that know where they came from.
pub(crate) fn resolve(batch: &Batch, rejects: Vec<RowReject>, by: RejectedBy<'_>, row_as_json: RowAsJson) -> Result<Vec<Reject>> {
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
            stage: Some(Arc::clone(by.node)),
            plugin: by.plugin.cloned(),
            code: reject.code,
            column: reject.column,
            message: reject.message,
        })
    };
    rejects.into_iter().map(resolve).collect()
}

/// What became of an input row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unsaid,
    Sent,
    Rejected,
}

/// Counts what a stage did with its rows, and checks what the engine relies on.
pub(crate) fn account(rows: usize, output: &StageOutput) -> Result<Counts> {
    let mut fates = vec![Fate::Unsaid; rows];
    for reject in &output.rejects {
        match fates.get_mut(reject.row as usize) {
            Some(fate) if *fate == Fate::Unsaid => *fate = Fate::Rejected,
            Some(_) => return Err(Error::bug(format!("row {} is rejected twice", reject.row))),
            None => return Err(Error::bug(format!("row {} is rejected, but there are only {rows}", reject.row))),
        }
    }
    if !output.rejects.is_sorted_by_key(|reject| reject.row) {
        return Err(Error::bug("the rejects are not in the order of their rows"));
    }
    let rejected = output.rejects.len();
    let (mut rows_out, mut every_row) = (0, false);
    for port in &output.outputs {
        let count = port.records.num_rows();
        rows_out += count;
        match &port.origins {
            None if count == rows - rejected => every_row = true,
            None => return Err(Error::bug(format!("of {rows} rows {rejected} were rejected and {count} came out, without origins"))),
            Some(origins) => mark(&mut fates, origins, count)?,
        }
    }
    let origins = if every_row { rows - rejected } else { fates.iter().filter(|fate| **fate == Fate::Sent).count() };
    Ok(Counts {
        rows_in: rows as u64,
        rows_added: (rows_out - origins) as u64,
        rows_out: rows_out as u64,
        rows_rejected: rejected as u64,
        rows_filtered: (rows - origins - rejected) as u64,
        ..Counts::default()
    })
}

fn mark(fates: &mut [Fate], origins: &[u32], rows_out: usize) -> Result<()> {
    if origins.len() != rows_out || !origins.is_sorted() {
        return Err(Error::bug(format!("{} origins for {rows_out} rows, or out of order", origins.len())));
    }
    for &origin in origins {
        match fates.get_mut(origin as usize) {
            Some(Fate::Rejected) => return Err(Error::bug(format!("row {origin} is rejected and sent out"))),
            Some(fate) => *fate = Fate::Sent,
            None => return Err(Error::bug(format!("a row comes from row {origin}, but there are only {}", fates.len()))),
        }
    }
    Ok(())
}

/// The rows that are not rejected; `None` if no row is rejected.
pub(crate) fn kept_rows(rows: usize, rejects: &[RowReject]) -> Option<Vec<u32>> {
    if rejects.is_empty() {
        return None;
    }
    let mut rejected = rejects.iter().map(|reject| reject.row as usize).peekable();
    Some((0..rows).filter(|row| rejected.next_if_eq(row).is_none()).map(|row| row as u32).collect())
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
    fn without_origins_every_row_that_is_not_rejected_passes() {
        let counts = account(5, &output(None, 3, &[1, 4])).unwrap();
        assert_eq!((counts.rows_in, counts.rows_added, counts.rows_out, counts.rows_rejected, counts.rows_filtered), (5, 0, 3, 2, 0));
        assert_eq!(kept_rows(5, &output(None, 3, &[1, 4]).rejects), Some(vec![0, 2, 3]));
        assert_eq!(kept_rows(5, &[]), None);
        // One port sends all of them, and another some once more.
        let mut two = output(None, 3, &[1, 4]);
        two.outputs.push(PortOutput { port: 1, ..output(Some(vec![0, 3]), 2, &[]).outputs.remove(0) });
        let counts = account(5, &two).unwrap();
        assert_eq!((counts.rows_added, counts.rows_out, counts.rows_filtered), (2, 5, 0));
    }

    #[test]
    fn what_a_stage_must_not_do_is_noticed() {
        for bad in [
            output(None, 2, &[]),
            output(None, 3, &[1]),
            output(None, 1, &[1]),
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
