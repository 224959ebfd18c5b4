//! The contents of the file of a schedule as types: the one source of truth for its check and its JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use wasmill_schedule::CatchUp;

use crate::spec::Period;

/// A schedule: pipelines and other commands of Wasmill that run at set times.
///
/// Paths are relative to the working directory. Any value may hold references: `${env:NAME}`, `${env:NAME:-default}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Wasmill schedule")]
pub struct ScheduleSpec {
    /// `name: nightly`
    ///
    /// The name of the schedule. It names the folder of its history. Lower-case letters, digits, `-` and `_`; at most 64.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// `time_zone: Europe/London`
    ///
    /// The zone by whose clock jobs run, by its name in the IANA database. Default: `UTC`.
    #[serde(default = "default_time_zone")]
    pub time_zone: String,
    /// `state: .wasmill/schedules`
    ///
    /// The folder for the history, the locks and the logs; each schedule has a folder of its own name in it. `--state` overrides it. Default: `.wasmill/schedules`.
    #[schemars(length(min = 1))]
    pub state: Option<String>,
    /// `jobs: { load: { cron: "0 2 * * *", pipeline: load.yaml } }`
    ///
    /// What runs, by name. At least one.
    #[schemars(extend("minProperties" = 1))]
    pub jobs: BTreeMap<String, JobSpec>,
}

/// A job: what runs, when, and what becomes of failures.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// `cron: "0 2 * * *"`
    ///
    /// When: minute, hour, day of the month, month, day of the week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    pub cron: String,
    /// `time_zone: America/New_York`
    ///
    /// The zone by whose clock it runs. Default: that of the schedule.
    pub time_zone: Option<String>,
    /// `pipeline: pipelines/pin-to-delta.yaml`
    ///
    /// The pipeline that `wasmill run` runs. Either this or `command`.
    #[schemars(length(min = 1))]
    pub pipeline: Option<String>,
    /// `options: [--set, lanes=2]`
    ///
    /// Options of `wasmill run` for the pipeline.
    #[serde(default)]
    pub options: Vec<String>,
    /// `command: [table, optimize, out/pin_table]`
    ///
    /// Another command of Wasmill, with its arguments. Either this or `pipeline`.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// `catch_up: latest`
    ///
    /// What becomes of times at which the job could not begin. Default: `none`.
    #[serde(default)]
    pub catch_up: CatchUpSpec,
    /// `retry: { times: 2, backoff: 1m }`
    ///
    /// How often a run that failed is started again. Errors that a person has to correct are not retried. Default: not at all.
    #[serde(default)]
    pub retry: RetriesSpec,
    /// `timeout: 2h`
    ///
    /// The longest time of one attempt, 1s to 30day. It is stopped then, and counts as failed. Default: none.
    pub timeout: Option<Period>,
    /// `stop_within: 2m`
    ///
    /// How long a run that is stopped may take to finish its epoch, before it is ended by force; up to 1h. Default: 2m.
    #[serde(default = "default_stop_within")]
    pub stop_within: Period,
}

/// What becomes of times at which a job could not begin: no scheduler ran, or the run before had not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CatchUpSpec {
    /// They are skipped.
    #[default]
    None,
    /// The latest of them is run, as soon as possible.
    Latest,
    /// All of them are run, one after another.
    All,
}

/// How often a run that failed is started again, and when.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetriesSpec {
    /// `times: 2`
    ///
    /// How often, 0 to 100. Default: 0.
    #[schemars(range(min = 0, max = 100))]
    pub times: u32,
    /// `backoff: 1m`
    ///
    /// The time before the second attempt, 1s to 1day. It doubles for each further one. Default: 1m.
    pub backoff: Period,
    /// `max_backoff: 1h`
    ///
    /// It does not grow beyond this, up to 1day. Default: 1h.
    pub max_backoff: Period,
}

impl Default for RetriesSpec {
    fn default() -> Self {
        Self { times: 0, backoff: Period::seconds(60), max_backoff: Period::seconds(3600) }
    }
}

impl From<CatchUpSpec> for CatchUp {
    fn from(spec: CatchUpSpec) -> Self {
        match spec {
            CatchUpSpec::None => Self::None,
            CatchUpSpec::Latest => Self::Latest,
            CatchUpSpec::All => Self::All,
        }
    }
}

fn default_time_zone() -> String {
    "UTC".to_owned()
}

fn default_stop_within() -> Period {
    Period::seconds(120)
}

/// The JSON Schema of the file of a schedule.
pub fn json_schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ScheduleSpec>().to_value()
}
