//! One pair of the matrix: a pipeline from an origin through a plugin, and perhaps stages with keys, to a destination.

use std::cell::Cell;
use std::marker::PhantomData;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::destination::{Destination, fresh, strangers};
use super::origin::Origin;
use super::stages::{Cleaned, Stages};
use crate::support::{Arrival, Ended, Running, Store, Workshop, dead_number, expected, until};

/// In which order numbers of lanes follow one another from start to start, where that matters.
const LANES: [u32; 3] = [4, 1, 3];

/// Where checkpoints are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In the default folder.
    Disk,
    /// In the store of the tests.
    Bucket,
}

/// A pipeline, what it reads, and what it has to have written in the end.
pub struct Mill<O, D, S = Cleaned> {
    pub workshop: Workshop,
    origin: O,
    pub destination: D,
    /// The bucket that holds the checkpoints, if one does.
    pub state: Option<Store>,
    /// Posts that have arrived: those with the numbers below.
    posts: u64,
    /// How often the pipeline was started.
    starts: Cell<usize>,
    stages: PhantomData<S>,
}

impl<O: Origin, D: Destination, S: Stages> Mill<O, D, S> {
    /// Posts before each start: enough that every point is passed.
    pub const POSTS: u64 = {
        let posts = if O::POSTS < D::POSTS { O::POSTS } else { D::POSTS };
        if S::POSTS < posts { S::POSTS } else { posts }
    };

    pub fn new(state: State) -> Self {
        Self::of(O::new(), D::new(), state)
    }

    pub fn of(origin: O, destination: D, state: State) -> Self {
        let workshop = Workshop::new();
        let state = (state == State::Bucket).then(Store::new);
        let checkpoints = state.as_ref().map(|store| format!("state: \"{}/state\"\n", store.prefix)).unwrap_or_default();
        // Some epochs a run; many of them where files of states have to come together.
        let (batch_rows, epoch_rows) = if S::ARE_KEYED { (20, Self::POSTS / 16) } else { (250, Self::POSTS * 3 / 8) };
        let pipeline = format!(
            r#"
name: matrix
lanes: 2
batch_rows: {batch_rows}
sources:
  pins: {{ {} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin, max_reject_share: 50% }}{}
sinks:
  pin_table: {{ from: {}, {} }}
dead_letters:
  {}
epoch: {{ every: 200ms, rows: {epoch_rows} }}
{checkpoints}"#,
            origin.source(),
            S::YAML,
            S::LAST,
            destination.sink(S::KEY),
            destination.dead_letters(),
        );
        workshop.write("matrix.yaml", &pipeline);
        Self { workshop, origin, destination, state, posts: 0, starts: Cell::new(0), stages: PhantomData }
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
        let new = self.posts..self.posts + posts;
        let again = S::again(&new);
        self.origin.add(&self.workshop, &Arrival { new, again });
        self.posts += posts;
    }

    pub fn posts(&self) -> u64 {
        self.posts
    }

    /// The command that runs it, to which a test may add.
    pub fn command(&self, mode: &str) -> Command {
        let lanes = format!("lanes={}", LANES[self.starts.replace(self.starts.get() + 1) % LANES.len()]);
        let arguments = ["run", "matrix.yaml", "--mode", mode, "--set", &lanes];
        let mut command = self.workshop.wasmill(if S::ARE_KEYED { &arguments } else { &arguments[..4] });
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
        let (rows, dead) = (S::rows(self.posts).len(), expected(0..self.posts).dead.len());
        until("the rows are in the table", || self.destination.rows(&self.workshop).0.len() >= rows);
        until("the dead letters are there", || self.destination.rows(&self.workshop).1.len() >= dead);
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
        self.settle();
        let ended = self.start("batch", "").wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Where posts only arrive at a stream, one runs until all have. It also removes what a killed one was writing.
    fn settle(&self) {
        if !O::LISTENS {
            return;
        }
        let listening = self.start("stream", "");
        until("every post is answered", || self.origin.is_settled());
        listening.signal(Signal::TERM);
        let ended = listening.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    /// What lies around that is neither rows nor a checkpoint nor what a sink remembers: staged files, uploads, spools, temporary files.
    pub fn left_over(&self) -> Vec<String> {
        let checkpoints = self.checkpoints();
        let is_known = |names: &[String], name: &str| match name.strip_prefix("state/matrix/") {
            Some("lock" | "last-run.json") => true,
            // A file of a keyed stage's state is named by a checkpoint.
            Some(name) if name.starts_with("keyed/") => checkpoints.contains(&format!("\"{name}\"")),
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
        beside.chain(uploads).chain(self.destination.left_over(&self.workshop)).chain(self.origin.left_over(&self.workshop)).collect()
    }

    /// The text of all checkpoints that may name files of keyed stages.
    fn checkpoints(&self) -> String {
        let folder = match &self.state {
            _ if !S::ARE_KEYED => return String::new(),
            None => self.workshop.path(".wasmill/state/matrix"),
            Some(store) => {
                let copies = self.workshop.path(&fresh(&self.workshop, "checkpoints"));
                store.copy_all("state/matrix", &copies);
                copies
            }
        };
        let is_checkpoint = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("epoch-"));
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| is_checkpoint(path)).map(|path| std::fs::read_to_string(path).unwrap()).collect()
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

    /// The table has the rows that all posts come to, as whole rows, and every other post is in the dead letters, once.
    pub fn check_rows(&self) {
        let (table, dead) = self.destination.rows(&self.workshop);
        S::check(self.posts, &table, D::MAY_REPEAT);
        expected(0..self.posts).check_dead_of(&dead, O::is_dead_letter);
        self.check_places(&dead);
        if let Some(table) = self.destination.rows_of_another_reader(&self.workshop) {
            S::check(self.posts, &table, D::MAY_REPEAT);
        }
    }

    /// The same, and nothing else is anywhere.
    pub fn check(&self) {
        self.check_but_for(|_| false);
    }

    /// The same beside a process that sleeps and may still begin an upload: what it has noted of those stays, and so do files of states that it has
    /// written for an epoch behind the one that was taken from it.
    pub fn check_beside_a_sleeper(&self) {
        let is_note = |name: &str| name.split_once("_wasmill/").is_some_and(|(_, note)| note.ends_with(".json") && note.contains('/'));
        self.check_but_for(|name| is_note(name) || name.starts_with("state/matrix/keyed/"));
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
