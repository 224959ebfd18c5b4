//! A stage in the pipeline file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use wasmill_stages::ColumnChange;

use super::{AggregateSpec, DedupSpec, JoinSpec, Period, PluginReference, Share, Size};

/// What transforms records: a plugin with its configuration, or a built-in stage. Exactly one of `plugin`, `rename`, `drop`, `select`, `filter`,
/// `dedup`, `join` and `aggregate`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// `from: pins`
    ///
    /// Its input: a source, a stage, a port of a stage (`stage.port`), or a list of them; all with
    /// the same columns. Every stage needs it, except `join`, which names its inputs itself.
    pub from: Option<Inputs>,
    /// `plugin: clean-pin`
    ///
    /// The plugin: a name that is searched in the plugin folders, or a path to a `.wasm`.
    /// `clean-pin@sha256:…` pins its digest.
    #[schemars(extend("x-transform" = true))]
    pub plugin: Option<PluginReference>,
    /// `rename: { index: ind, poster_name: poster }`
    ///
    /// Built in: renames columns, by their old names. All other columns pass, and the order stays.
    /// Two columns may swap their names.
    #[schemars(extend("x-transform" = true, "minProperties" = 1))]
    pub rename: Option<BTreeMap<String, NewName>>,
    /// `drop: [tag_list, image_src]`
    ///
    /// Built in: leaves columns out. All other columns pass, and the order stays. Sources do not read a column that is left out on every way
    /// to a sink or plugin.
    #[schemars(extend("x-transform" = true), length(min = 1))]
    pub drop: Option<Vec<String>>,
    /// `select: { ind: ind, post_year: "extract(year from timestamp)" }`
    ///
    /// Built in: gives these columns and no others, in this order, each computed from the columns of its row by an expression in SQL
    /// (docs/sql.md). The name of a column alone passes it as it is. A row for which an expression has no value is rejected.
    #[cfg(feature = "sql")]
    #[schemars(extend("x-transform" = true))]
    pub select: Option<Expressions>,
    /// `filter: age >= 18`
    ///
    /// Built in: passes the rows for which this expression in SQL (docs/sql.md) is true, with all their columns. Rows for which it is
    /// false or null are left out. A row for which it has no value is rejected.
    #[cfg(feature = "sql")]
    #[schemars(extend("x-transform" = true), length(min = 1))]
    pub filter: Option<String>,
    /// `dedup: { by: [ind] }`
    ///
    /// Built in: of the rows that are equal in some columns one passes, with all its columns. The others are left out (docs/keyed-stages.md).
    #[schemars(extend("x-transform" = true))]
    pub dedup: Option<DedupSpec>,
    /// `join: { left: clean_pins, right: clean_geos, on: ind }`
    ///
    /// Built in: a row for each pair of rows of two inputs that are equal in some columns (docs/keyed-stages.md). A `join` has no `from`.
    #[schemars(extend("x-transform" = true))]
    pub join: Option<JoinSpec>,
    /// `aggregate: { by: [country], compute: { posts: "count(*)" } }`
    ///
    /// Built in: values computed from all rows of a key, in windows of event time or over all of them (docs/keyed-stages.md).
    #[schemars(extend("x-transform" = true))]
    pub aggregate: Option<AggregateSpec>,
    /// `config: { null_descriptions: ["Untitled"] }`
    ///
    /// The plugin's own configuration; `wasmill plugin inspect` prints what it takes. This key and those below are for plugins only, but for
    /// `max_reject_share`, which all stages have that can reject a row.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// `limits: { call: 2s, memory: 256MiB }`
    ///
    /// What the plugin may use.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// `on_fault: reject`
    ///
    /// What happens to a record on which the plugin crashes or exceeds a limit.
    #[serde(default)]
    pub on_fault: OnFault,
    /// `max_faults: 100`
    ///
    /// How many such records one lane may meet before the pipeline stops. Each counts for 100,000 rows and a minute at least. Default: 100.
    pub max_faults: Option<u32>,
    /// `max_reject_share: 10%`
    ///
    /// The share of its rows that the stage may reject before the pipeline stops. Default: 10%.
    ///
    /// Judged from 100 rows on, and at the end of a batch of any size.
    pub max_reject_share: Option<Share>,
}

/// The new name of a column.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NewName(#[schemars(length(min = 1))] pub String);

/// Columns and the expressions that compute them, in the order in which they were written.
#[cfg(feature = "sql")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expressions(pub Vec<(String, String)>);

#[cfg(feature = "sql")]
impl<'de> Deserialize<'de> for Expressions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        in_order(deserializer, "columns with their expressions").map(Self)
    }
}

/// The entries of a map in the order in which they were written.
pub(super) fn in_order<'de, T, D>(deserializer: D, expected: &'static str) -> Result<Vec<(String, T)>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct InOrder<T>(&'static str, PhantomData<T>);

    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for InOrder<T> {
        type Value = Vec<(String, T)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(InOrder(expected, PhantomData))
}

#[cfg(feature = "sql")]
impl JsonSchema for Expressions {
    fn schema_name() -> Cow<'static, str> {
        "Expressions".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Columns with the expressions in SQL that compute them, in order.",
            "additionalProperties": {"type": "string", "minLength": 1},
            "minProperties": 1,
        })
    }
}

impl StageSpec {
    /// The change of columns that it is, if it is one.
    pub fn change(&self) -> Option<ColumnChange> {
        let rename = self.rename.as_ref().map(|names| {
            let names = names.iter().map(|(old, new)| (old.clone(), new.0.clone()));
            ColumnChange::Rename(names.collect())
        });
        rename.or_else(|| self.drop.clone().map(ColumnChange::Drop))
    }
}

/// What a plugin may use. What is left out has its default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    /// `call: 2s`
    ///
    /// The longest time of one call with a full batch, 10ms to 10m. Default: 2s.
    pub call: Option<Period>,
    /// `memory: 256MiB`
    ///
    /// The most memory of one instance, 1MiB to 4GiB. Default: 256MiB.
    pub memory: Option<Size>,
}

/// What happens to a record on which the plugin crashes or exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// It goes to the dead letters.
    #[default]
    Reject,
    /// The pipeline stops.
    Stop,
}

/// What a stage or sink reads from: names of sources and stages, or `stage.port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs(pub Vec<String>);

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> de::Visitor<'de> for OneOrMany {
            type Value = Inputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Inputs, E> {
                Ok(Inputs(vec![name.to_owned()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Inputs, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Inputs(names))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for Inputs {
    fn schema_name() -> Cow<'static, str> {
        "Inputs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A name, or a list of names.",
            "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}],
        })
    }
}
