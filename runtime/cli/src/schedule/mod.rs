//! The file of a schedule: its contents as types, what is wrong with it, and the jobs that it holds.

mod check;
mod command_line;
mod history;
mod spec;
mod words;

pub use check::{CheckedJob, CheckedSchedule, ScheduleReport, check};
pub use history::history_table;
pub use spec::{CatchUpSpec, JobSpec, RetriesSpec, ScheduleSpec, json_schema};
pub use words::{ended_in_words, news_in_json, news_in_words, status_of};
