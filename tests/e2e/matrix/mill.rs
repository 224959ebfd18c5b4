//! One pair of the matrix: a pipeline from an origin through a plugin to a destination.

use std::process::Command;

use serde_json::Value;

use super::destination::{Destination, strangers};
use super::origin::Origin;
use crate::support::{Ended, Running, Store, Workshop, dead_number, expected, until};

/// Where checkpoints are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In the default folder.
    Disk,
    /// In the store of the tests.
    Bucket,
}

/// A pipeline, what it reads, and what it has to have written in the end.
pub struct Mill<O, D> {
    pub workshop: Workshop,
    origin: O,
    pub destination: D,
    /// The bucket that holds the checkpoints, if one does.
    pub state: Option<Store>,
    /// Posts that have arrived: those with the numbers below.
    posts: u64,
}

impl<O: Origin, D: Destination> Mill<O, D> {
    pub fn new(state: State) -> Self {
        Self::of(O::new(), D::new(), state)
    }

    pub fn of(origin: O, destination: D, state: State) -> Self {
        let workshop = Workshop::new();
        let state = (state == State::Bucket).then(Store::new);
        let checkpoints = state.as_ref().map(|store| format!("state: \"{}/state\"\n", store.prefix)).unwrap_or_default();
        let pipeline = format!(
            r#"
name: matrix
lanes: 2
batch_rows: 250
sources:
  pins: {{ {} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin, max_reject_share: 50% }}
sinks:
  pin_table: {{ from: clean_pins, {} }}
dead_letters:
  {}
epoch: {{ every: 200ms, rows: {} }}
{checkpoints}"#,
            origin.source(),
            destination.sink(),
            destination.dead_letters(),
            // Some epochs a run.
            O::POSTS * 3 / 8
        );
        workshop.write("matrix.yaml", &pipeline);
        Self { workshop, origin, destination, state, posts: 0 }
    }

    /// Another machine takes over: it has the pipeline and what it reads, and nothing else.
    pub fn move_to_another_machine(&mut self) {
        let there = Workshop::new();
        for name in ["matrix.yaml", "data"] {
            let (from, to) = (self.workshop.path(name), there.path(name));
            if from.exists() {
                std::fs::rename(from, to).unwrap();
            }
        }
        // Dropped, the folder of the old one is removed with all that it holds.
        self.workshop = there;
    }

    /// So many more posts arrive.
    pub fn add(&mut self, posts: u64) {
        self.origin.add(&self.workshop, self.posts..self.posts + posts);
        self.posts += posts;
    }

    pub fn posts(&self) -> u64 {
        self.posts
    }

    /// The command that runs it, to which a test may add.
    pub fn command(&self, mode: &str) -> Command {
        let mut command = self.workshop.wasmill(&["run", "matrix.yaml", "--mode", mode]);
        Store::environment(&mut command);
        self.destination.environment(&mut command);
        command
    }

    pub fn start(&self, mode: &str, failpoints: &str) -> Running {
        let mut command = self.command(mode);
        command.env("FAILPOINTS", failpoints);
        Running::spawn(command)
    }

    /// Waits until a stream has committed all that has arrived.
    pub fn wait_for_rows(&self) {
        let expected = expected(0..self.posts);
        until("the rows are in the table", || self.destination.rows(&self.workshop).0.len() >= expected.table.len());
        until("the dead letters are there", || self.destination.rows(&self.workshop).1.len() >= expected.dead.len());
    }

    /// Runs to the end of what has arrived, long after all processes before ended: what they noted of uploads is old.
    pub fn finish(&self) -> Ended {
        self.age_notes();
        self.take_over()
    }

    /// Makes what is noted of uploads old: the next start removes the notes under which it finds nothing.
    pub fn age_notes(&self) {
        self.state.iter().chain(self.destination.store()).for_each(Store::age_notes);
    }

    /// Runs to the end of what has arrived, while a process before may still wake up.
    pub fn take_over(&self) -> Ended {
        let ended = self.start("batch", "").wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// What lies around that is neither rows nor a checkpoint nor what a sink remembers: staged files, uploads, spools, temporary files.
    pub fn left_over(&self) -> Vec<String> {
        let is_known = |names: &[String], name: &str| match name.strip_prefix("state/matrix/") {
            Some("lock") => true,
            // A note of a commit goes with its checkpoint.
            Some(name) => {
                let epoch =
                    name.strip_prefix("epoch-").and_then(|rest| rest.strip_suffix(".json")).or_else(|| name.strip_prefix("committed-"));
                let is_epoch =
                    epoch.is_some_and(|epoch| epoch.parse::<u64>().is_ok() && names.contains(&format!("state/matrix/epoch-{epoch}.json")));
                is_epoch || self.destination.remembers(name)
            }
            None => false,
        };
        let here = self.workshop.path(".wasmill");
        let names: Vec<String> =
            strangers(&here, |_| false).iter().map(|path| path[here.to_str().unwrap().len() + 1..].to_owned()).collect();
        let keys = self.state.as_ref().map(Store::keys).unwrap_or_default();
        let uploads = self.state.as_ref().map(Store::pending_uploads).unwrap_or_default();
        let beside = [names, keys].into_iter().flat_map(|names| names.clone().into_iter().filter(move |name| !is_known(&names, name)));
        beside.chain(uploads).chain(self.destination.left_over(&self.workshop)).collect()
    }

    /// Each dead letter names the place that its record came from.
    fn check_places(&self, dead: &[Value]) {
        assert_eq!(dead.iter().find(|row| row["source"] != "pins"), None);
        let wrong = dead.iter().find_map(|row| {
            let (partition, position) = (row["partition"].as_str().unwrap(), row["position"].as_u64().unwrap());
            Some((row, self.origin.wrong_place(dead_number(row), partition, position)?))
        });
        assert_eq!(wrong, None);
    }

    /// Every post is in the table or in the dead letters, once, as a whole row.
    pub fn check_rows(&self) {
        let (table, dead) = self.destination.rows(&self.workshop);
        expected(0..self.posts).check(&table, &dead);
        self.check_places(&dead);
        if let Some(table) = self.destination.rows_of_another_reader(&self.workshop) {
            expected(0..self.posts).check(&table, &dead);
        }
    }

    /// The same, and nothing else is anywhere.
    pub fn check(&self) {
        self.check_but_for(|_| false);
    }

    /// The same beside a process that sleeps and may still begin an upload: what it has noted of those stays.
    pub fn check_beside_a_sleeper(&self) {
        self.check_but_for(|name| name.split_once("_wasmill/").is_some_and(|(_, note)| note.ends_with(".json") && note.contains('/')));
    }

    fn check_but_for(&self, may_stay: impl Fn(&str) -> bool) {
        self.check_rows();
        let left: Vec<String> = self.left_over().into_iter().filter(|name| !may_stay(name)).collect();
        assert_eq!(left, Vec::<String>::new(), "left over");
        if self.state.is_some() {
            let here = [".wasmill", "s3:"].map(|folder| self.workshop.path(folder).exists());
            assert_eq!(here, [false; 2], "state was kept on this machine");
        }
    }
}
