//! What happens to jobs, in words and as JSON.

use serde_json::{Value, json};
use wasmill_engine::Class;
use wasmill_schedule::{Entry, News, Outcome, Skipped};

use crate::exit;
use crate::spec::Period;

/// News of a job, in one sentence: `load: started (due 2026-01-02 02:00 GMT, attempt 1 of 3)`.
pub fn news_in_words(news: &News<'_>) -> String {
    let (name, times) = (&news.job.name, &news.job.times);
    match news.entry {
        Entry::Known { .. } => format!("{name}: is scheduled from now on"),
        Entry::Skipped { first, last, count: 1, why, .. } if first == last => {
            format!("{name}: {} skipped: {}", times.show(*last), why_in_words(*why))
        }
        Entry::Skipped { first, last, count, why, .. } => {
            format!("{name}: {count} times skipped, {} to {}: {}", times.show(*first), times.show(*last), why_in_words(*why))
        }
        Entry::Started { attempt, .. } => {
            let due = if attempt.by_hand { "by hand".to_owned() } else { format!("due {}", times.show(attempt.scheduled)) };
            format!("{name}: started ({due}, attempt {} of {})", attempt.attempt, news.job.retries.times.saturating_add(1))
        }
        Entry::Ended { outcome, seconds, rows, error, .. } => {
            let took = format!("{seconds:.1} s");
            let rows = rows.map(|rows| format!(", {rows} records read")).unwrap_or_default();
            let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            let next = match news.retry_at {
                Some(at) => format!("; the next attempt begins at {}", at.with_timezone(&times.zone()).format("%H:%M:%S")),
                None if outcome.is_retried() && news.job.retries.times > 0 => "; that was the last attempt".to_owned(),
                None => String::new(),
            };
            format!("{name}: {} after {took}{rows}{error}{next}", ended_in_words(*outcome))
        }
    }
}

/// News of a job, as an event for programs.
pub fn news_in_json(schedule: &str, news: &News<'_>) -> Value {
    let mut event = json!(news.entry);
    if let Some(fields) = event.as_object_mut() {
        fields.insert("schedule".to_owned(), json!(schedule));
        if let Entry::Ended { outcome, .. } = news.entry {
            fields.insert("class".to_owned(), json!(class_of(*outcome)));
            fields.insert("retry_at".to_owned(), json!(news.retry_at));
        }
    }
    event
}

/// How an attempt ended: `failed (environment, exit status 5)`.
pub fn ended_in_words(outcome: Outcome) -> String {
    match outcome {
        Outcome::Succeeded => "succeeded".to_owned(),
        Outcome::Failed { status } => match class_of(outcome) {
            Some(class) => format!("failed ({class}, exit status {status})"),
            None => format!("failed (exit status {status})"),
        },
        Outcome::Killed { signal } => format!("ended by signal {signal}"),
        Outcome::TimedOut => "timed out".to_owned(),
        Outcome::Stopped => "stopped".to_owned(),
        Outcome::Interrupted => "interrupted".to_owned(),
    }
}

/// The exit status of a command that stands for an attempt: that of its process, if it had one.
pub fn status_of(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Succeeded => exit::OK,
        Outcome::Failed { status } => status,
        Outcome::Killed { .. } | Outcome::TimedOut | Outcome::Stopped | Outcome::Interrupted => exit::ENVIRONMENT,
    }
}

/// The class of errors of a failed attempt, in words.
fn class_of(outcome: Outcome) -> Option<&'static str> {
    let Outcome::Failed { status } = outcome else { return None };
    let classes = [
        (Class::Configuration, "configuration"),
        (Class::PluginRefusal, "plugin refusal"),
        (Class::PluginFault, "plugin fault"),
        (Class::Environment, "environment"),
        (Class::TooManyRejects, "too many rejects"),
        (Class::Bug, "bug"),
    ];
    classes.into_iter().find(|(class, _)| exit::status(*class) == status).map(|(_, words)| words)
}

/// Why times were skipped.
pub(super) fn why_in_words(why: Skipped) -> &'static str {
    match why {
        Skipped::Missed => "no scheduler was running",
        Skipped::Overlap => "the run before had not ended",
        Skipped::Superseded => "a later time is run in their place",
    }
}

/// A duration in seconds, as a person writes it.
pub(super) fn took(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1}s") } else { Period::seconds(seconds as u64).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_person_has_to_mend_is_not_retried() {
        let all = [Class::Configuration, Class::PluginRefusal, Class::PluginFault, Class::Environment, Class::TooManyRejects, Class::Bug];
        for class in all {
            let outcome = Outcome::Failed { status: exit::status(class) };
            assert_eq!(outcome.is_retried(), matches!(class, Class::Environment | Class::Bug), "{class:?}");
            assert!(class_of(outcome).is_some(), "{class:?}");
        }
        assert_eq!(ended_in_words(Outcome::Failed { status: 101 }), "failed (exit status 101)");
        assert_eq!(status_of(Outcome::Failed { status: 6 }), 6);
    }
}
