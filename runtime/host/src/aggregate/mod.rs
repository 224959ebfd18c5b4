//! A plugin that brings rows into groups, with its configuration and input schema fixed, and the instances that do the work.

mod answer;
mod history;
mod instance;
pub(crate) mod shape;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wasmill_boundary::Encoding;

use crate::error::HostError;
use crate::needs::InputPlan;
use crate::sandbox::SandboxMaker;
use crate::worker::Rules;
pub use instance::AggregateInstance;
pub(crate) use shape::Shape;

/// A plugin that was opened to aggregate: immutable and shareable between threads, each of which creates its own [`AggregateInstance`].
#[derive(Clone)]
pub struct Aggregate {
    shared: Arc<Shared>,
}

struct Shared {
    maker: SandboxMaker,
    config: String,
    fingerprint: AggregateFingerprint,
    plan: InputPlan,
    shape: Shape,
    /// The input columns that cross; the others are not even cast.
    used: Vec<bool>,
    /// The input columns whose values cross, and those of which some texts do.
    whole: Vec<usize>,
    peeked: Vec<usize>,
    encoding: Encoding,
    rules: Rules,
}

/// Rows that belong to groups.
#[derive(Debug, Clone)]
pub struct Grouped {
    /// The rows.
    pub records: RecordBatch,
    /// For each row its group, never decreasing; `None`: one row for each group, in order.
    pub groups: Option<Vec<u32>>,
}

/// What has to be the same for stored state to be resumed, besides the schemas. The same plugin with the same configuration gives the same
/// values in every process, however the configuration is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AggregateFingerprint {
    /// The plugin's name. Its own version is left out: a new one that keeps the state version resumes.
    pub plugin: String,
    /// The version of what the state means.
    pub state_version: u32,
    /// The SHA-256 of the configuration, with its keys in order, in lower-case hexadecimal. A digest, because a configuration may hold secrets.
    pub config: String,
}

impl Aggregate {
    pub(crate) fn new(maker: SandboxMaker, config: &Value, plan: InputPlan, shape: Shape, encoding: Encoding, rules: Rules) -> Self {
        let mut used = vec![false; plan.input.fields().len()];
        let (mut whole, mut peeked) = (Vec::new(), Vec::new());
        for (&index, beginnings) in plan.crossing.iter().zip(&plan.beginnings) {
            if let Some(used) = used.get_mut(index) {
                *used = true;
            }
            if beginnings.is_some() { peeked.push(index) } else { whole.push(index) }
        }
        let fingerprint = AggregateFingerprint {
            plugin: maker.name.to_string(),
            state_version: shape.state_version,
            config: hex::encode(Sha256::digest(in_order(config).to_string())),
        };
        let config = config.to_string();
        Self { shared: Arc::new(Shared { maker, config, fingerprint, plan, shape, used, whole, peeked, encoding, rules }) }
    }

    /// The schema of the batches that its instances take.
    pub fn input(&self) -> &SchemaRef {
        &self.shared.plan.input
    }

    /// The input columns whose values cross into the plugin, as indices into the input schema.
    pub fn crossing(&self) -> &[usize] {
        &self.shared.whole
    }

    /// The input columns of which nulls and some texts cross into the plugin ([`Crossing::BeginningWith`](crate::Crossing::BeginningWith)),
    /// as indices into the input schema.
    pub fn peeked(&self) -> &[usize] {
        &self.shared.peeked
    }

    /// The columns in which the state of a group travels; at least one. A group has any number of rows of it.
    pub fn state_schema(&self) -> &SchemaRef {
        &self.shared.shape.state
    }

    /// The version of what the state means.
    pub fn state_version(&self) -> u32 {
        self.shared.shape.state_version
    }

    /// The columns of a finished group, without its key; at least one.
    pub fn output_schema(&self) -> &SchemaRef {
        &self.shared.shape.output
    }

    /// What has to be the same for stored state to be resumed.
    pub fn fingerprint(&self) -> &AggregateFingerprint {
        &self.shared.fingerprint
    }

    /// Creates an instance without groups and opens it. Each thread needs its own. Create one and keep it: it costs as much as many batches.
    ///
    /// # Errors
    /// [`HostError::Fault`] if the plugin fails or opens with another state or output than before, [`HostError::Refusal`] if it now refuses.
    pub fn instance(&self) -> Result<AggregateInstance, HostError> {
        AggregateInstance::start(Arc::clone(&self.shared))
    }
}

/// The value with the keys of all objects in order.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(in_order).collect()),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            Value::Object(members.into_iter().map(|(key, value)| (key.clone(), in_order(value))).collect())
        }
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_changes_nothing() {
        let (one, other) = (json!({ "b": [{ "d": 1, "c": 2 }], "a": 1 }), json!({ "a": 1, "b": [{ "c": 2, "d": 1 }] }));
        assert_ne!(one.to_string(), other.to_string());
        assert_eq!(in_order(&one).to_string(), in_order(&other).to_string());
        assert_ne!(in_order(&json!([1, 2])).to_string(), in_order(&json!([2, 1])).to_string());
    }
}
