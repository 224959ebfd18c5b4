//! Keyed stages in the pipeline file: duplicates, joins, aggregates.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::{Inputs, LimitsSpec, OnFault, Period, PluginReference};

/// A stage that drops duplicates.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DedupSpec {
    /// `by: [ind]`
    ///
    /// The columns in which duplicates are equal. A null is equal to a null. Floats, lists and structs can't be named: convert them in a
    /// `select` before.
    #[schemars(length(min = 1))]
    pub by: Vec<String>,
    /// `keep: first`
    ///
    /// Which row passes. `first`: the one with the earliest `time`, or without `time` the first one in its source. A row that has passed in an
    /// earlier epoch stays the winner.
    #[serde(default)]
    pub keep: Keep,
    /// `within: 24h`
    ///
    /// How far apart in event time two rows may be and still be duplicates. Keys are forgotten after twice that time. Default: any distance, and
    /// the state keeps every key for ever.
    pub within: Option<Period>,
    /// `time: timestamp`
    ///
    /// The column of event time, a timestamp or a date; `within` needs it.
    pub time: Option<String>,
    /// `delay: 1m`
    ///
    /// How much later than the latest row of its split a row may come. Default: 0s.
    pub delay: Option<Period>,
    /// `idle: 1m`
    ///
    /// A split without rows for that long does not hold the watermark back. Default: 1m.
    pub idle: Option<Period>,
}

/// Which of several duplicates passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The earliest.
    #[default]
    First,
}

/// A stage that brings the rows of two inputs together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinSpec {
    /// `left: clean_pins`
    ///
    /// The input whose columns come first: like `from` of other stages.
    pub left: Inputs,
    /// `right: clean_geos`
    ///
    /// The other input. Its columns follow, without those of `on`.
    pub right: Inputs,
    /// `on: ind`
    ///
    /// The columns whose values have to be equal: a name, a list of names, or `{ left_name: right_name }` where they differ. A null is equal
    /// to nothing.
    pub on: JoinKeys,
    /// `how: inner`
    ///
    /// What becomes of rows without a partner. Default: `inner`.
    #[serde(default)]
    pub how: How,
    /// `within: 1h`
    ///
    /// How far apart in event time the two rows of a pair may be. A stream needs it: rows leave the state when their time is over.
    pub within: Option<Period>,
    /// `time: { left: timestamp, right: date_joined }`
    ///
    /// The columns of event time; a single name where both sides have it. `within` needs them.
    pub time: Option<JoinTime>,
    /// `delay: 1m`
    ///
    /// How much later than the latest row of its split a row may come. Default: 0s.
    pub delay: Option<Period>,
    /// `idle: 1m`
    ///
    /// A split without rows for that long does not hold the watermark back. Default: 1m.
    pub idle: Option<Period>,
}

/// What becomes of rows without a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// They are left out.
    #[default]
    Inner,
    /// Those of the left side pass, with nulls in the columns of the right side.
    Left,
    /// Those of both sides pass, with nulls in the columns of the other side.
    Full,
}

/// A pair of columns that have to be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinKey {
    /// The column of the left side.
    pub left: String,
    /// That of the right side.
    pub right: String,
}

/// The columns of `on`, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinKeys(pub Vec<JoinKey>);

impl<'de> Deserialize<'de> for JoinKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> de::Visitor<'de> for Keys {
            type Value = JoinKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column, a list of columns, or columns of the left side with those of the right side")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<JoinKeys, E> {
                Ok(JoinKeys(vec![JoinKey { left: name.to_owned(), right: name.to_owned() }]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<JoinKeys, A::Error> {
                let mut keys = Vec::new();
                while let Some(name) = seq.next_element::<String>()? {
                    keys.push(JoinKey { left: name.clone(), right: name });
                }
                Ok(JoinKeys(keys))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<JoinKeys, A::Error> {
                let mut keys = Vec::new();
                while let Some((left, right)) = map.next_entry()? {
                    keys.push(JoinKey { left, right });
                }
                Ok(JoinKeys(keys))
            }
        }

        deserializer.deserialize_any(Keys)
    }
}

impl JsonSchema for JoinKeys {
    fn schema_name() -> Cow<'static, str> {
        "JoinKeys".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A column, a list of columns, or columns of the left side with those of the right side.",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
                {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}, "minProperties": 1},
            ],
        })
    }
}

/// The columns of event time of a join.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum JoinTime {
    /// One name for both sides.
    Both(String),
    /// A name for each side.
    Each(JoinTimes),
}

/// The columns of event time of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinTimes {
    /// `left: timestamp`
    ///
    /// That of the left side.
    pub left: String,
    /// `right: date_joined`
    ///
    /// That of the right side.
    pub right: String,
}

/// A stage that computes values from the rows of each key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateSpec {
    /// `by: [country, category]`
    ///
    /// The columns that make the key: the output has a row per key and window. A null is a key of its own. Without `by` all rows are of one
    /// key. Floats, lists and structs can't be named: convert them in a `select` before.
    #[serde(default)]
    pub by: Vec<String>,
    /// `window: { tumbling: 1h, time: timestamp }`
    ///
    /// Windows of event time. Default: none, and a result is about all rows.
    pub window: Option<WindowSpec>,
    /// `compute: { posts: "count(*)", reach: { plugin: weighted-mean } }`
    ///
    /// What is computed, by the names of the result's columns: expressions in SQL (docs/sql.md) and plugins. One whose plugin gives several
    /// rows per key stands alone.
    pub compute: Computations,
    /// `emit: at_close`
    ///
    /// When results are emitted. Default: `at_close`.
    #[serde(default)]
    pub emit: EmitSpec,
}

/// When results are emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmitSpec {
    /// When their window closes, or without windows when the input ends.
    #[default]
    AtClose,
    /// At the end of every epoch, for the keys that got rows in it: for sinks that replace rows by their key.
    EveryEpoch,
}

/// Windows of event time. Exactly one of `tumbling` and `sliding`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowSpec {
    /// `tumbling: 1h`
    ///
    /// Windows of this length, one after the other. They begin at multiples of it since 1970 in UTC.
    pub tumbling: Option<Period>,
    /// `sliding: { size: 1h, every: 10m }`
    ///
    /// Windows that overlap: a row is in several of them.
    pub sliding: Option<SlidingSpec>,
    /// `time: timestamp`
    ///
    /// The column of event time, a timestamp or a date.
    pub time: String,
    /// `delay: 1m`
    ///
    /// How much later than the latest row of its split a row may come. A window closes when the watermark, which is that much behind, has
    /// passed its end. Default: 0s.
    pub delay: Option<Period>,
    /// `idle: 1m`
    ///
    /// A split without rows for that long does not hold the watermark back. Default: 1m.
    pub idle: Option<Period>,
    /// `allowed_lateness: 10m`
    ///
    /// For how long behind its end a window takes rows that come late. It is then emitted again, whole: that needs a sink that replaces rows
    /// by their key. Default: 0s.
    pub allowed_lateness: Option<Period>,
    /// `late: reject`
    ///
    /// What happens to rows that come even later. Default: `reject`.
    #[serde(default)]
    pub late: Late,
}

/// Windows that overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlidingSpec {
    /// `size: 1h`
    ///
    /// The length of a window.
    pub size: Period,
    /// `every: 10m`
    ///
    /// The time between the beginnings of two windows, at most `size`.
    pub every: Period,
}

/// What happens to rows that come too late for every window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Late {
    /// They go to the dead letters.
    #[default]
    Reject,
}

/// Results and what computes them, in the order in which they were written.
#[derive(Debug, Clone)]
pub struct Computations(pub Vec<(String, Computation)>);

/// What computes a result.
#[derive(Debug, Clone)]
pub enum Computation {
    /// An expression in SQL.
    Sql(String),
    /// A plugin.
    Plugin(Box<AggregatePlugin>),
}

/// A plugin that aggregates.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregatePlugin {
    /// `plugin: weighted-mean`
    ///
    /// The plugin, as in a stage.
    pub plugin: PluginReference,
    /// `config: { value: follower_count }`
    ///
    /// The plugin's own configuration.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// `limits: { call: 2s, memory: 256MiB }`
    ///
    /// What the plugin may use.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// `on_fault: reject`
    ///
    /// What happens to a row on which the plugin crashes or exceeds a limit.
    #[serde(default)]
    pub on_fault: OnFault,
    /// `max_faults: 100`
    ///
    /// How many such rows one lane may meet before the pipeline stops. Default: 100.
    pub max_faults: Option<u32>,
}

impl<'de> Deserialize<'de> for Computation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> de::Visitor<'de> for Either {
            type Value = Computation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression in SQL, or a plugin")
            }

            fn visit_str<E: de::Error>(self, expression: &str) -> Result<Computation, E> {
                Ok(Computation::Sql(expression.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Computation, A::Error> {
                let plugin = AggregatePlugin::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Computation::Plugin(Box::new(plugin)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Computation {
    fn schema_name() -> Cow<'static, str> {
        "Computation".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let plugin = generator.subschema_for::<AggregatePlugin>();
        json_schema!({
            "description": "An expression in SQL, or a plugin.",
            "anyOf": [{"type": "string", "minLength": 1}, plugin],
        })
    }
}

impl<'de> Deserialize<'de> for Computations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::stage::in_order(deserializer, "columns with what computes them").map(Self)
    }
}

impl JsonSchema for Computations {
    fn schema_name() -> Cow<'static, str> {
        "Computations".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let computation = generator.subschema_for::<Computation>();
        json_schema!({
            "type": "object",
            "description": "Columns of the result with what computes them, in order.",
            "additionalProperties": computation,
            "minProperties": 1,
        })
    }
}
