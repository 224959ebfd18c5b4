//! The emulator's part of a pipeline file: which table, how many rows, how fast, how dirty.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use wasmill_engine::{Error, Mode, Result};

use crate::codes::{DIRT, RATE, ROWS_MISSING, TABLE};

/// Generates posts, places and users as a Pinterest data pipeline sees them, dirt included.
///
/// Row `n` of a table under a seed is the same row in every run and on every machine. The tables join on `index` = `ind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmulatorConfig {
    /// `table: pin`
    ///
    /// Which table: `pin` (12 columns), `geo` (5) or `user` (5).
    pub table: Table,
    /// `rows: 500000`
    ///
    /// How many rows, duplicates included. Left out: endless, which only a stream can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// `rate: 200`
    ///
    /// Rows per second, over all lanes; fractions are allowed. Left out: as fast as the pipeline
    /// takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// `seed: 42`
    ///
    /// Another seed gives other rows. Sources that are to be joined need the same seed and the same
    /// `dirt`.
    #[serde(default)]
    pub seed: u64,
    /// `dirt: real`
    ///
    /// What is wrong with the rows: `none`, `real` (the shares seen in real topics) or `heavy`, or a share for each kind.
    #[serde(default)]
    pub dirt: Dirt,
}

impl EmulatorConfig {
    /// Checks what the types can't express: ranges, and that a batch ends.
    ///
    /// # Errors
    /// A configuration error that names the key.
    pub fn check(&self, mode: Mode) -> Result<()> {
        if self.rows.is_none() && mode == Mode::Batch {
            return Err(Error::configuration("`rows` is missing: an endless emulator never ends a batch")
                .code(ROWS_MISSING)
                .key(["rows"])
                .hint("set `rows`, or run with `mode: stream`"));
        }
        if let Some(rate) = self.rate
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(Error::configuration(format!("`rate` is {rate}: it must be more than 0 rows per second")).code(RATE).key(["rate"]));
        }
        self.dirt.shares().check()
    }
}

/// One of the three tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Posts, with their poster and category.
    Pin,
    /// Where and when a post was created.
    Geo,
    /// Who created it.
    User,
}

impl Table {
    /// All tables, in the order in which one step of the emulator writes them.
    pub const ALL: [Self; 3] = [Self::Pin, Self::Geo, Self::User];

    /// Its name in pipelines and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Geo => "geo",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Table {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|table| table.name() == text).ok_or_else(|| {
            Error::configuration(format!("there is no table `{text}`")).code(TABLE).hint("the tables are `pin`, `geo` and `user`")
        })
    }
}

/// How dirty the rows are: a level, or a share for each kind of dirt.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Dirt {
    /// A predefined mixture.
    Level(Level),
    /// A share for each kind, on top of a level.
    Shares(Box<DirtShares>),
}

impl Default for Dirt {
    fn default() -> Self {
        Self::Level(Level::Real)
    }
}

impl Dirt {
    /// The share of every kind.
    pub fn shares(&self) -> Shares {
        match self {
            Self::Level(level) => level.shares(),
            Self::Shares(shares) => shares.resolve(),
        }
    }
}

// By hand, because an untagged enum would report every mistake as "did not match any variant".
impl<'de> Deserialize<'de> for Dirt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelOrShares;

        impl<'de> Visitor<'de> for LevelOrShares {
            type Value = Dirt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, `real`, `heavy`, or a share for each kind of dirt")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Dirt, E> {
                Level::deserialize(serde::de::value::StrDeserializer::new(text)).map(Dirt::Level)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Dirt, A::Error> {
                DirtShares::deserialize(MapAccessDeserializer::new(map)).map(|shares| Dirt::Shares(Box::new(shares)))
            }
        }

        deserializer.deserialize_any(LevelOrShares)
    }
}

/// A predefined mixture of dirt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is wrong with any row, and none comes twice.
    #[default]
    None,
    /// As in real topics: markers for missing values, duplicates, and now and then a row of another table.
    Real,
    /// Several times as much of everything, and lines that are not JSON.
    Heavy,
}

macro_rules! dirt_kinds {
    ($($(#[$doc:meta])* $kind:ident: $real:expr, $heavy:expr;)*) => {
        /// A share for each kind of dirt, from 0 to 1. Kinds that are not named have the share of `base`.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct DirtShares {
            /// `base: none`
            ///
            /// The level that the other shares change.
            #[serde(default)]
            pub base: Level,
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $kind: Option<f64>,)*
        }

        /// The share of every kind of dirt, from 0 to 1.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Shares {
            $($(#[$doc])* pub $kind: f64,)*
        }

        impl Level {
            /// The share of every kind.
            pub const fn shares(self) -> Shares {
                match self {
                    Self::None => Shares { $($kind: 0.0,)* },
                    Self::Real => Shares { $($kind: $real,)* },
                    Self::Heavy => Shares { $($kind: $heavy,)* },
                }
            }
        }

        impl DirtShares {
            fn resolve(&self) -> Shares {
                let base = self.base.shares();
                Shares { $($kind: self.$kind.unwrap_or(base.$kind),)* }
            }
        }

        impl Shares {
            fn named(&self) -> [(&'static str, f64); [$(stringify!($kind)),*].len()] {
                [$((stringify!($kind), self.$kind)),*]
            }
        }
    };
}

dirt_kinds! {
    /// `broken: 0.0078`
    ///
    /// Pins with a marker for "missing" in every column at once.
    broken: 17.0 / 2185.0, 0.05;
    /// `no_description: 0.071`
    ///
    /// Pins with the description `No description available Story format`, broken ones included.
    no_description: 155.0 / 2185.0, 0.2;
    /// `empty_description: 0.0147`
    ///
    /// Pins with the description `No description available`.
    empty_description: 32.0 / 2185.0, 0.05;
    /// `odd_description: 0.0009`
    ///
    /// Pins with an empty description: `Untitled`, `Art.`
    odd_description: 2.0 / 2185.0, 0.02;
    /// `image_error: 0.0247`
    ///
    /// Pins with the image source `Image src error.`, broken ones included.
    image_error: 54.0 / 2185.0, 0.1;
    /// `no_tags: 0.0146`
    ///
    /// Pins with the tag list `N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e`, broken ones included.
    no_tags: 32.0 / 2185.0, 0.1;
    /// `trailing_nbsp: 0.367`
    ///
    /// Pins whose description is cut off and ends in a no-break space (U+00A0).
    trailing_nbsp: 802.0 / 2185.0, 0.5;
    /// `padded_poster: 0.0174`
    ///
    /// Pins whose poster name ends in a space.
    padded_poster: 38.0 / 2185.0, 0.1;
    /// `emoji: 0.0165`
    ///
    /// Pins with an emoji in title or description.
    emoji: 36.0 / 2185.0, 0.2;
    /// `quotes: 0.0096`
    ///
    /// Pins with quotation marks in the title.
    quotes: 21.0 / 2185.0, 0.1;
    /// `duplicates: 0.15`
    ///
    /// Rows that repeat an earlier row byte for byte; the same row numbers in all three tables. At most 0.95.
    duplicates: 0.15, 0.3;
    /// `wrong_table: 0.002`
    ///
    /// Rows that two tables have swapped.
    wrong_table: 0.002, 0.02;
    /// `merged: 0.001`
    ///
    /// Rows that hold the columns of two tables: 17.
    merged: 0.001, 0.01;
    /// `numbers_as_strings: 0.01`
    ///
    /// Rows whose numbers are written as strings.
    numbers_as_strings: 0.01, 0.1;
    /// `wrapped: 0.002`
    ///
    /// Rows with a value wrapped in a list: `["Albania"]`.
    wrapped: 0.002, 0.02;
    /// `none_text: 0.005`
    ///
    /// Rows with the text `None` where a value is missing.
    none_text: 0.005, 0.05;
    /// `t_timestamps: 0.5`
    ///
    /// Rows of `geo` and `user` with timestamps as `2022-07-07T00:18:41`; the others have a space for the `T`.
    t_timestamps: 0.5, 0.5;
    /// `malformed: 0.01`
    ///
    /// Lines that are not JSON: truncated, two in one, a bare `None`, invalid UTF-8.
    malformed: 0.0, 0.02;
}

/// Beyond this share of duplicates, finding the row that is repeated takes too long.
const MAX_DUPLICATES: f64 = 0.95;

impl Shares {
    fn check(&self) -> Result<()> {
        for (kind, share) in self.named() {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::configuration(format!("`dirt.{kind}` is {share}: a share lies between 0 and 1"))
                    .code(DIRT)
                    .key(["dirt", kind]));
            }
        }
        if self.duplicates > MAX_DUPLICATES {
            return Err(Error::configuration(format!(
                "`dirt.duplicates` is {}: at most {MAX_DUPLICATES} of the rows can be repeats",
                self.duplicates
            ))
            .code(DIRT)
            .key(["dirt", "duplicates"]));
        }
        Ok(())
    }

    /// All shares as one short text: two mixtures with the same text generate the same rows.
    pub(super) fn fingerprint(&self) -> String {
        self.named().iter().map(|(_, share)| format!("{share}")).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<EmulatorConfig, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn dirt_is_a_level_or_shares_on_top_of_one() {
        let config = parse(r#"{"table": "geo", "dirt": "heavy"}"#).unwrap();
        assert_eq!(config.dirt.shares(), Level::Heavy.shares());
        let config = parse(r#"{"table": "geo", "dirt": {"malformed": 0.1}}"#).unwrap();
        assert_eq!(config.dirt.shares(), Shares { malformed: 0.1, ..Level::None.shares() });
        let config = parse(r#"{"table": "geo", "dirt": {"base": "real", "malformed": 0.1}}"#).unwrap();
        assert_eq!(config.dirt.shares(), Shares { malformed: 0.1, ..Level::Real.shares() });
        assert_eq!(parse(r#"{"table": "geo"}"#).unwrap().dirt.shares(), Level::Real.shares());
    }

    #[test]
    fn mistakes_are_named() {
        let level = parse(r#"{"table": "geo", "dirt": "filthy"}"#).unwrap_err();
        assert!(level.contains("`filthy`") && level.contains("`heavy`"), "{level}");
        let kind = parse(r#"{"table": "geo", "dirt": {"brokn": 1}}"#).unwrap_err();
        assert!(kind.contains("`brokn`") && kind.contains("`broken`"), "{kind}");
        let key = parse(r#"{"table": "geo", "row": 1}"#).unwrap_err();
        assert!(key.contains("`row`") && key.contains("`rows`"), "{key}");
    }

    #[test]
    fn ranges_are_checked() {
        let check = |text: &str, mode| parse(text).unwrap().check(mode).map_err(|error| error.to_string());
        assert!(check(r#"{"table": "pin"}"#, Mode::Batch).unwrap_err().contains("`rows` is missing"));
        check(r#"{"table": "pin"}"#, Mode::Stream).unwrap();
        assert!(check(r#"{"table": "pin", "rate": 0}"#, Mode::Stream).unwrap_err().contains("`rate` is 0"));
        let share = check(r#"{"table": "pin", "dirt": {"merged": 1.5}}"#, Mode::Stream).unwrap_err();
        assert!(share.contains("`dirt.merged` is 1.5"), "{share}");
        assert!(check(r#"{"table": "pin", "dirt": {"duplicates": 1}}"#, Mode::Stream).unwrap_err().contains("at most 0.95"));
    }

    #[test]
    fn every_field_has_a_config_line_in_its_documentation() {
        let schema = serde_json::to_value(schemars::schema_for!(EmulatorConfig)).unwrap();
        for (key, property) in
            schema["properties"].as_object().unwrap().iter().chain(schema["$defs"]["DirtShares"]["properties"].as_object().unwrap())
        {
            let text = property["description"].as_str().unwrap_or_default();
            assert!(text.starts_with(&format!("`{key}: ")), "{key}: {text}");
        }
    }
}
