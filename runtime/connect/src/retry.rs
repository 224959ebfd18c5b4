//! How long to retry, as pipelines declare it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::Result;

use crate::period;

const DEFAULT: Duration = Duration::from_secs(5 * 60);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to retry transient failures: servers that do not respond, are restarted or are busy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// `for: 5m`
    ///
    /// How long, at most 1day; `0s` does not retry. Then the run stops; nothing is lost, and the next run resumes. Default: 5m.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

impl Retry {
    /// For so long.
    pub fn of(time: impl Into<String>) -> Self {
        Self { time: Some(time.into()) }
    }

    /// For how long.
    ///
    /// # Errors
    /// Configuration: it is not a duration, or out of range.
    pub fn time(&self) -> Result<Duration> {
        let time = period::read("for", self.time.as_deref(), DEFAULT, Duration::ZERO, LONGEST);
        time.map_err(|error| error.below("retry"))
    }
}
