//! Rows of other tables: what lands in a topic or file that several producers share, and is left out on request.

use arrow_array::Array;
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use crate::{Batch, Plan, Refusal, log, mask};

/// What becomes of a row that plainly belongs to another table.
#[wasmill_plugin::config]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OtherRows {
    /// It is rejected, like every row that lacks its values.
    #[default]
    Reject,
    /// It is left out: the run counts it as filtered.
    Skip,
}

/// Another table whose rows are in the input, and how they are recognised.
#[derive(Debug, Clone, Copy)]
pub struct OtherTable {
    /// What the log calls it.
    pub name: &'static str,
    /// Text columns that only this table has. A row of it has a value in every one of them.
    pub columns: &'static [&'static str],
}

/// Separates rows of other tables from rows that are only incomplete.
///
/// A row belongs to another table if every column of the own one is null in it, and one of the
/// other tables has all of its columns. A row without any value, and one with values of both
/// tables, does not: it stays, to be cleaned or rejected.
#[derive(Debug, Clone)]
pub struct OtherTables {
    own: Vec<String>,
    others: &'static [OtherTable],
}

impl OtherTables {
    /// Declares the columns that tell: the values of a row of the own table (the identity, which tables share, is none), and those of the
    /// others. Of texts only the nulls cross.
    pub fn plan(own: impl IntoIterator<Item = (&'static str, DataType)>, others: &'static [OtherTable], plan: &mut Plan) -> Self {
        let mut names = Vec::new();
        for (name, data_type) in own {
            match data_type {
                DataType::Utf8 => plan.peek::<&str>(name, []),
                other => plan.read(name, other),
            };
            names.push(name.to_owned());
        }
        for column in others.iter().flat_map(|table| table.columns) {
            plan.peek::<&str>(*column, []);
        }
        Self { own: names, others }
    }

    /// The rows that are not of another table; `None`: all of them. The number of others is logged.
    ///
    /// # Errors
    /// The plan does not read the distinguishing columns.
    pub fn kept(&self, batch: &Batch) -> Result<Option<BooleanBuffer>, Refusal> {
        let columns = |names: &mut dyn Iterator<Item = &str>| names.map(|name| batch.column(name)).collect::<Result<Vec<_>, _>>();
        let own = columns(&mut self.own.iter().map(String::as_str))?;
        // Most batches have a column without nulls, and then no row is of another table.
        if own.iter().any(|column| column.null_count() == 0) {
            return Ok(None);
        }
        let mut others = BooleanBuffer::new_unset(batch.len());
        let mut reported = Vec::new();
        for table in self.others {
            let theirs = columns(&mut table.columns.iter().copied())?;
            let is_of_it = |row: usize| own.iter().all(|column| column.is_null(row)) && theirs.iter().all(|column| column.is_valid(row));
            let found = mask(batch.len(), is_of_it);
            reported.push(format!("{} of {}", found.count_set_bits(), table.name));
            others = &others | &found;
        }
        if others.count_set_bits() == 0 {
            return Ok(None);
        }
        log::info(format!("rows of other tables are left out: {}", reported.join(", ")));
        Ok(Some(!&others))
    }
}
