//! Plugins that are a function of one record, run over the contract's bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;
use wasmill_plugin::testing;

mod filter {
    use wasmill_plugin::prelude::*;

    #[derive(InputRecord)]
    pub struct User {
        age: Option<i64>,
    }

    #[wasmill_plugin::record]
    pub fn adults(user: User) -> bool {
        user.age.is_some_and(|age| age >= 18)
    }
}

#[test]
fn a_function_to_bool_filters() {
    let rows = [json!({ "age": 17 }), json!({ "age": 18 }), json!({}), json!({ "age": 40 })];
    let outcome = testing::transform::<filter::AdultsPlugin>(json!({}), &rows).unwrap();
    assert_eq!(outcome.rows(), [json!({ "age": 18 }), json!({ "age": 40 })]);
    assert_eq!(outcome.ports[0].origins, [1, 3]);
    assert_eq!(outcome.rejects, []);
}

#[test]
fn a_plugin_without_configuration_refuses_one() {
    let refusal = testing::transform::<filter::AdultsPlugin>(json!({ "from": 21 }), &[json!({ "age": 1 })]).unwrap_err();
    assert!(refusal.message().contains("unknown field `from`"), "{refusal}");
}

mod map {
    use wasmill_plugin::prelude::*;

    #[wasmill_plugin::config]
    #[serde(default)]
    pub struct Config {
        /// `separator: "-"`: the separator between the names.
        separator: String,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { separator: " ".to_owned() }
        }
    }

    #[derive(InputRecord)]
    pub struct Name<'a> {
        ind: i64,
        #[column(drop)]
        first_name: &'a str,
        #[column(name = "last_name", drop)]
        last: Option<&'a str>,
        joined: Option<Micros>,
    }

    #[derive(OutputRecord)]
    pub struct Full {
        #[column(name = "user_name")]
        name: String,
        ind: i64,
        parts: Vec<String>,
        joined: Option<Micros>,
        day: Option<Days>,
    }

    #[wasmill_plugin::record(documentation = "Joins names.")]
    pub fn full_name(row: Name<'_>, config: &Config) -> Result<Full, Reject> {
        let last = row.last.ok_or_else(|| Reject::new("no-last-name", "a user has a last name").at_column("last_name"))?;
        let parts = vec![row.first_name.to_owned(), last.to_owned()];
        let day = row.joined.map(|joined| Days((joined.0 / 86_400_000_000) as i32));
        Ok(Full { name: parts.join(&config.separator), ind: row.ind * 10, parts, joined: row.joined, day })
    }
}

#[test]
fn a_record_replaces_and_adds_columns_and_rejects_rows() {
    let rows = [
        json!({ "ind": 1, "first_name": "Ada", "last_name": "Byron", "joined": "2015-10-21T21:26:45Z" }),
        json!({ "ind": null, "first_name": "Ada", "last_name": "Byron" }),
        json!({ "ind": 3, "first_name": "Ada" }),
        json!({ "ind": 4, "last_name": "Byron" }),
        json!({ "ind": 5, "first_name": "Grace", "last_name": "Hopper" }),
    ];
    let outcome = testing::transform::<map::FullNamePlugin>(json!({ "separator": "-" }), &rows).unwrap();
    assert_eq!(
        outcome.rows(),
        [
            json!({ "ind": 10, "joined": "2015-10-21T21:26:45Z", "user_name": "Ada-Byron", "parts": ["Ada", "Byron"], "day": "2015-10-21" }),
            json!({ "ind": 50, "joined": null, "user_name": "Grace-Hopper", "parts": ["Grace", "Hopper"], "day": null }),
        ]
    );
    assert_eq!(outcome.reject_codes(), [(1, "missing-value"), (2, "no-last-name"), (3, "missing-value")]);
    assert_eq!(outcome.rejects[2].column.as_deref(), Some("first_name"));
}

#[test]
fn describes_itself_with_its_defaults() {
    let description = testing::describe::<map::FullNamePlugin>();
    assert_eq!(description["documentation"], "Joins names.");
    assert_eq!(description["config_schema"]["properties"]["separator"]["default"], " ");
}

mod flat_map {
    use wasmill_plugin::prelude::*;

    #[derive(InputRecord)]
    pub struct Post<'a> {
        tags: Option<&'a str>,
    }

    #[derive(OutputRecord)]
    #[record(only)]
    pub struct Tag<'a> {
        tag: &'a str,
    }

    #[wasmill_plugin::record]
    pub fn tags<'a>(post: Post<'a>) -> Vec<Tag<'a>> {
        post.tags.into_iter().flat_map(|tags| tags.split(',')).map(|tag| Tag { tag }).collect()
    }
}

#[test]
fn one_row_becomes_several_and_only_the_record_leaves() {
    let rows = [json!({ "tags": "a,b" }), json!({}), json!({ "tags": "c" })];
    let outcome = testing::transform::<flat_map::TagsPlugin>(json!({}), &rows).unwrap();
    assert_eq!(outcome.rows(), [json!({ "tag": "a" }), json!({ "tag": "b" }), json!({ "tag": "c" })]);
    assert_eq!(outcome.ports[0].origins, [0, 0, 2]);
}
