//! Keys of records that no column takes.

use std::collections::BTreeMap;

use crate::Unknown;

/// Values kept per key: enough to infer a type.
const KEPT_VALUES: usize = 100;
/// Distinct keys that are counted.
const MAX_KEYS: usize = 1_000;

/// Notes them, record by record.
#[derive(Default)]
pub(super) struct Watch {
    /// Those of the record that is being decoded.
    pending: Vec<Pending>,
    found: BTreeMap<String, Unknown>,
}

struct Pending {
    name: String,
    is_nested: bool,
    value: String,
}

impl Watch {
    /// A key and its value, as written. A key without a value is ignored.
    pub(super) fn saw(&mut self, key: &[u8], value: &[u8], depth: usize) {
        let value = String::from_utf8_lossy(value.trim_ascii());
        if value == "null" {
            return;
        }
        let Ok(name) = serde_json::from_slice::<String>(key.trim_ascii()) else { return };
        let value = match self.found.get(&name) {
            Some(known) if known.values.len() >= KEPT_VALUES => String::new(),
            _ => value.into_owned(),
        };
        self.pending.push(Pending { name, is_nested: depth > 0, value });
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What was seen since there were `from` lies in this column.
    pub(super) fn within(&mut self, from: usize, column: &str) {
        self.pending[from..].iter_mut().for_each(|pending| pending.name = format!("{column}.{}", pending.name));
    }

    /// The record is decoded, or was not.
    pub(super) fn end(&mut self, is_decoded: bool) {
        for Pending { name, is_nested, value } in self.pending.drain(..).filter(|_| is_decoded) {
            if self.found.len() >= MAX_KEYS && !self.found.contains_key(&name) {
                continue;
            }
            let known = self.found.entry(name.clone()).or_insert_with(|| Unknown { name, is_nested, ..Unknown::default() });
            known.records += 1;
            if known.values.len() < KEPT_VALUES && !value.is_empty() {
                known.values.push(value);
            }
        }
    }

    pub(super) fn take(&mut self) -> Vec<Unknown> {
        std::mem::take(&mut self.found).into_values().collect()
    }
}
