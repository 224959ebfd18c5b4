//! Finds everything that is wrong with the file of a schedule.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmill_engine::Class;
use wasmill_schedule::{Job, Moment, Program, Retries, Times, Zone, known_zone, zones};

use super::command_line::{arguments, parse};
use super::{JobSpec, ScheduleSpec, json_schema};
use crate::check::{Shape, Spot, hide_secrets, join, read_text};
use crate::commands::PipelineArguments;
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::{Entry, Node, ProcessWorld, Redactor, SourceFiles, Span, Value, interpolate, parse as parse_yaml, read};
use crate::spec::{Period, is_pipeline_name};

/// The default folder of schedules, if neither the file nor the command line sets it.
const DEFAULT_STATE: &str = ".wasmill/schedules";
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A schedule without mistakes.
pub struct CheckedSchedule {
    /// Its name.
    pub name: String,
    /// The folder of its folder.
    pub state: PathBuf,
    /// Its jobs, in the order of the file.
    pub jobs: Vec<CheckedJob>,
}

/// A job without mistakes.
pub struct CheckedJob {
    /// When it runs, and what becomes of failures.
    pub job: Job,
    /// What it runs.
    pub program: Program,
    /// The pipeline that it runs, if it runs one.
    pub pipeline: Option<PipelineArguments>,
}

/// What was found.
pub struct ScheduleReport {
    /// All findings, in the order of the text.
    pub diagnostics: Diagnostics,
    /// The texts that findings point into.
    pub files: SourceFiles,
    /// What must not be shown.
    pub redactor: Redactor,
    /// The schedule, if it has no errors.
    pub schedule: Option<CheckedSchedule>,
}

/// Checks the file of a schedule. `state` is the value of `--state`; jobs whose times never come from `now` on are mistakes.
pub fn check(path: &Path, state: Option<&Path>, now: Moment) -> ScheduleReport {
    let mut report = ScheduleReport {
        diagnostics: Diagnostics::default(),
        files: SourceFiles::default(),
        redactor: Redactor::default(),
        schedule: None,
    };
    let schedule = load(path, &mut report).and_then(|tree| Check { diagnostics: &mut report.diagnostics, now }.schedule(&tree, state));
    report.diagnostics.sort();
    report.schedule = schedule.filter(|_| !report.diagnostics.has_errors());
    report
}

/// The tree of the file, filled in, if it is a map.
fn load(path: &Path, ScheduleReport { diagnostics, files, redactor, .. }: &mut ScheduleReport) -> Option<Node> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
    };
    let file = files.add(path.display().to_string(), &text);
    let Some(mut tree) = parse_yaml(files, file, diagnostics) else {
        if !diagnostics.has_errors() {
            let message = format!("{} holds no schedule", path.display());
            diagnostics.push(Diagnostic::error("empty", message).help("`name` and `jobs` are the least"));
        }
        return None;
    };
    interpolate(&mut tree, &ProcessWorld, redactor, diagnostics);
    hide_secrets(&mut tree, files, redactor);
    if tree.entries().is_none() {
        let message = format!("a schedule must be a map, found {}", tree.describe());
        diagnostics.push(Diagnostic::error("wrong-type", message).at(tree.span).help("for example: name: nightly"));
        return None;
    }
    Some(tree)
}

struct Check<'a> {
    diagnostics: &'a mut Diagnostics,
    now: Moment,
}

impl Check<'_> {
    fn schedule(&mut self, tree: &Node, state: Option<&Path>) -> Option<CheckedSchedule> {
        let schema = json_schema();
        Shape::new(&schema, self.diagnostics).check(tree, &schema, Spot { path: "", key: tree.span });
        if let Some(node) = tree.get("name") {
            self.name(node.text(), node.span, "a schedule");
        }
        self.zone(tree);
        for entry in tree.get("jobs").and_then(Node::entries).into_iter().flatten() {
            self.name(Some(&entry.key), entry.key_span, "a job");
            self.job(entry, tree);
        }
        if self.diagnostics.has_errors() {
            return None;
        }
        let spec = read::<ScheduleSpec>(tree).map_err(|error| self.unread(error.message, error.span.unwrap_or(tree.span))).ok()?;
        let order = tree.get("jobs").and_then(Node::entries).into_iter().flatten();
        let jobs: Option<Vec<CheckedJob>> = order.map(|entry| assemble(&entry.key, spec.jobs.get(&entry.key)?, &spec.time_zone)).collect();
        if jobs.is_none() {
            let message = "a job is right and can't be read";
            self.diagnostics.push(Diagnostic::error("bug", message).class(Class::Bug).at(tree.span));
        }
        let jobs = jobs?;
        let state = state.map(Path::to_path_buf).or(spec.state.map(PathBuf::from)).unwrap_or_else(|| DEFAULT_STATE.into());
        Some(CheckedSchedule { name: spec.name, state, jobs })
    }

    fn unread(&mut self, message: String, span: Span) {
        self.diagnostics.push(Diagnostic::error("wrong-value", message).at(span));
    }

    fn name(&mut self, name: Option<&str>, span: Span, whose: &str) {
        let Some(name) = name.filter(|name| !name.is_empty() && !is_pipeline_name(name)) else { return };
        let message = format!("`{}` can't be the name of {whose}", shorten(name, 80));
        let rule = "lower-case letters, digits, `-` and `_`, beginning with a letter or a digit; at most 64 characters";
        self.diagnostics.push(Diagnostic::error("name", message).at(span).allowed(rule));
    }

    /// The zone that a map names, if it is known. A mistake is reported.
    fn zone(&mut self, node: &Node) -> Option<Zone> {
        let node = node.get("time_zone")?;
        let name = node.text().filter(|name| !name.is_empty() && !node.has_unknown())?;
        let zone = known_zone(name);
        if zone.is_none() {
            let message = format!("there is no time zone {}", node.describe());
            let finding = Diagnostic::error("time-zone", message).at(node.span).suggest(nearest(name, zones()));
            self.diagnostics.push(finding.help("zones have the names of the IANA database: `Europe/London`, `America/New_York`, `UTC`"));
        }
        zone
    }

    fn job(&mut self, entry: &Entry, tree: &Node) {
        let (node, path) = (&entry.node, join("jobs", &entry.key));
        if node.entries().is_none() {
            return;
        }
        let own = self.zone(node);
        let zone = own.or_else(|| tree.get("time_zone").and_then(Node::text).and_then(known_zone)).unwrap_or(Zone::UTC);
        if let Some(cron) = node.get("cron") {
            self.cron(cron, zone);
        }
        self.command(entry, &path);
        let mut bound = |node: Option<&Node>, range: RangeInclusive<Duration>, allowed: &str| {
            let Some(node) = node else { return };
            if read::<Period>(node).is_ok_and(|Period(time)| !range.contains(&time)) {
                let message = format!("{} is out of range", node.describe());
                self.diagnostics.push(Diagnostic::error("out-of-range", message).at(node.span).allowed(allowed));
            }
        };
        bound(node.get("timeout"), SECOND..=30 * DAY, "1s to 30day");
        bound(node.get("stop_within"), Duration::ZERO..=Duration::from_secs(3600), "0s to 1h");
        let retry = node.get("retry");
        bound(retry.and_then(|retry| retry.get("backoff")), SECOND..=DAY, "1s to 1day");
        bound(retry.and_then(|retry| retry.get("max_backoff")), SECOND..=DAY, "1s to 1day");
    }

    fn cron(&mut self, node: &Node, zone: Zone) {
        let Some(text) = node.text().filter(|text| !text.is_empty() && !node.has_unknown()) else { return };
        let finding = match Times::new(text, zone) {
            Err(why) => Diagnostic::error("cron", format!("{} is not a cron expression", node.describe()))
                .help("write five fields: minute, hour, day of the month, month, day of the week, as in `0 2 * * *`")
                .help(format!("caused by: {why}")),
            Ok(times) if times.next_after(self.now).is_none() => {
                Diagnostic::error("cron", format!("{} never comes", node.describe())).help("no month has that day")
            }
            Ok(_) => return,
        };
        self.diagnostics.push(finding.at(node.span));
    }

    /// What a job runs: one thing, by a command line that Wasmill understands and that everybody may read.
    fn command(&mut self, entry: &Entry, path: &str) {
        let node = &entry.node;
        let (pipeline, command, options) = (node.entry("pipeline"), node.entry("command"), node.entry("options"));
        let finding = match (pipeline, command) {
            (None, None) => Diagnostic::error("job-command", format!("`{path}` runs nothing"))
                .at(entry.key_span)
                .help("add `pipeline`, or another command of Wasmill with `command`")
                .help("for example: pipeline: pipelines/pin-to-delta.yaml"),
            (Some(pipeline), Some(command)) => Diagnostic::error("job-command", format!("`{path}` has a pipeline and a command"))
                .at(command.key_span)
                .related(pipeline.key_span, "the pipeline")
                .help("give each a job of its own"),
            (None, Some(_)) if options.is_some() => {
                let span = options.map_or(entry.key_span, |options| options.key_span);
                Diagnostic::error("job-command", format!("`{path}.options` belongs to `pipeline`"))
                    .at(span)
                    .help("write them into `command`")
            }
            _ => return self.command_line(node, [pipeline, options, command]),
        };
        self.diagnostics.push(finding);
    }

    fn command_line(&mut self, node: &Node, parts: [Option<&Entry>; 3]) {
        let mut secrets = Vec::new();
        parts.into_iter().flatten().for_each(|part| secret_scalars(&part.node, &mut secrets));
        let is_secret = !secrets.is_empty();
        for span in secrets {
            let message = "a secret would stand on the command line of the job, which every process of the machine can read";
            let finding = Diagnostic::error("secret-argument", message).at(span);
            self.diagnostics.push(finding.help("let the pipeline take it itself: jobs have the environment of the scheduler"));
        }
        let Ok(job) = read::<JobSpec>(node) else { return };
        let is_empty = job.pipeline.as_deref() == Some("") || job.command.as_ref().is_some_and(Vec::is_empty);
        if is_secret || is_empty || node.has_unknown() {
            return;
        }
        if let Err(why) = parse(&arguments(&job)) {
            let span = parts.into_iter().flatten().last().map_or(node.span, |part| part.node.span);
            let message = format!("`wasmill` does not understand this command: {}", shorten(&why, 200));
            let help = if job.pipeline.is_some() {
                "`wasmill run --help` lists its options"
            } else {
                "`wasmill COMMAND --help` lists the arguments"
            };
            self.diagnostics.push(Diagnostic::error("job-command", message).at(span).help(help));
        }
    }
}

fn secret_scalars(node: &Node, found: &mut Vec<Span>) {
    match &node.value {
        Value::Map(entries) => entries.iter().for_each(|entry| secret_scalars(&entry.node, found)),
        Value::List(items) => items.iter().for_each(|item| secret_scalars(item, found)),
        Value::Scalar(scalar) if scalar.secret => found.push(node.span),
        Value::Scalar(_) => {}
    }
}

/// A job of a file without mistakes.
fn assemble(name: &str, spec: &JobSpec, time_zone: &str) -> Option<CheckedJob> {
    let zone = known_zone(spec.time_zone.as_deref().unwrap_or(time_zone))?;
    let arguments = arguments(spec);
    let pipeline = parse(&arguments).ok()?.pipeline_to_run();
    let retries =
        Retries { times: spec.retry.times, backoff: spec.retry.backoff.0, max_backoff: spec.retry.max_backoff.0.max(spec.retry.backoff.0) };
    let job = Job {
        name: name.to_owned(),
        times: Times::new(&spec.cron, zone).ok()?,
        catch_up: spec.catch_up.into(),
        retries,
        timeout: spec.timeout.map(|Period(timeout)| timeout),
        stop_within: spec.stop_within.0,
    };
    Some(CheckedJob { job, program: Program { arguments }, pipeline })
}
