//! Kills a pair of the matrix again and again, at points in every phase and at random moments, while posts still arrive.

use std::collections::BTreeMap;
use std::time::Duration;

use super::destination::Destination;
use super::mill::Mill;
use super::origin::Origin;
use super::stages::Stages;
use super::{ENGINE_POINTS, KEYED_POINTS, START_POINTS};
use crate::support::{Ended, Random, number_from_environment};

/// A run that is killed at random moments is about over by then; where it is over earlier, the next one is killed earlier.
const LONGEST_MILLIS: u64 = 1_500;
const SHORTEST_MILLIS: u64 = 50;

struct Kills<O, D, S> {
    mill: Mill<O, D, S>,
    random: Random,
    /// Kills at random come before so many milliseconds.
    longest: u64,
    /// How often each point was the last one; `random` for kills from outside.
    met: BTreeMap<String, u32>,
}

/// Where a pair is killed if `WASMILL_CRASH_KILLS` does not say how often. Kills at random come on top.
#[derive(Clone, Copy)]
pub enum Everyday {
    /// At every point.
    All,
    /// At its share of the points, among all pairs of a destination.
    Share { turn: usize, of: usize },
    /// At one of the points of its stages.
    One,
    /// Not at all.
    Nothing,
}

impl Everyday {
    fn points<S: Stages, D: Destination>(self, all: &[&'static str]) -> Vec<&'static str> {
        match self {
            Self::All => all.to_vec(),
            Self::Share { turn, of } => all.iter().skip(turn).step_by(of).copied().collect(),
            // Others for others.
            Self::One => vec![KEYED_POINTS[S::NAME.bytes().chain(D::NAME.bytes()).map(usize::from).sum::<usize>() % KEYED_POINTS.len()]],
            Self::Nothing => Vec::new(),
        }
    }
}

/// Kills, starts again, and checks what came out. By default each point of a destination is met once among all of its pairs, and each pair is killed
/// at random, too; `WASMILL_CRASH_KILLS` sets the kills of a pair, half of them at random.
pub fn kill_again_and_again<O: Origin, D: Destination, S: Stages>(everyday: Everyday) {
    let pair = format!("{}, {}, into {}", O::NAME, S::NAME, D::NAME);
    let (own, replacing) = (if S::ARE_KEYED { KEYED_POINTS } else { ENGINE_POINTS }, if S::REPLACE { D::REPLACING_POINTS } else { &[] });
    let wanted = number_from_environment("WASMILL_CRASH_KILLS", 0) as usize;
    if wanted == 0 && matches!(everyday, Everyday::Nothing) {
        println!("{pair}: for WASMILL_CRASH_KILLS alone");
        return;
    }
    let share = everyday.points::<S, D>(&[own, O::POINTS, D::POINTS, replacing].concat());
    // Pairs without keys meet the engine's points every time.
    let points = [own, O::POINTS, D::POINTS, replacing, if S::ARE_KEYED { ENGINE_POINTS } else { &[] }].concat();
    let mut kills =
        Kills::<O, D, S> { mill: Mill::new(D::STATE), random: Random::of(&pair), longest: LONGEST_MILLIS, met: BTreeMap::new() };
    match wanted {
        0 => {
            share.iter().for_each(|point| kills.at_point(point));
            (0..if S::ARE_KEYED { 1 } else { 2 }).for_each(|_| kills.at_random());
            assert!(share.iter().all(|point| kills.met.contains_key(*point)), "{:?}", kills.met);
        }
        wanted => {
            // Few kills are not the same ones for every pair.
            let first = kills.random.below(points.len() as u64) as usize;
            (0..wanted).for_each(|kill| match kill % 2 {
                0 => kills.at_point(points[(first + kill / 2) % points.len()]),
                _ => kills.at_random(),
            });
        }
    }
    kills.mill.finish();
    if S::ARE_KEYED {
        // A lane may have been an epoch ahead of what was noted when it was killed. What it left behind goes with the start after the next one,
        // some epochs later.
        kills.mill.add(Mill::<O, D, S>::POSTS);
        kills.mill.finish();
    }
    kills.mill.check();
    println!("{pair}: {} posts, kills: {:?}", kills.mill.posts(), kills.met);
}

impl<O: Origin, D: Destination, S: Stages> Kills<O, D, S> {
    fn mode(&mut self) -> &'static str {
        if self.random.below(2) == 0 && !O::LISTENS { "batch" } else { "stream" }
    }

    fn at_point(&mut self, point: &str) {
        let posts = Mill::<O, D, S>::POSTS;
        // In a stream, windows are over before there is something to compact.
        let mode = if point == "keyed-in-compaction" { "batch" } else { self.mode() };
        // Passed at once by some, which may be while a start makes up for the kill before; batches are many.
        let passes = match point {
            "lane-after-batch" => self.random.below(posts / 500),
            point if START_POINTS.contains(&point) => 0,
            // Stages that wait for the end of a batch fill one epoch.
            point if S::ARE_KEYED && !ENGINE_POINTS.contains(&point) && !KEYED_POINTS.contains(&point) => 0,
            _ => self.random.below(2),
        };
        self.mill.add(if mode == "batch" { posts } else { posts / 2 });
        let mut running = self.mill.start(mode, &format!("{point}={passes}*off->return(kill)"));
        if mode == "stream" {
            self.mill.add(posts / 2);
        }
        let died = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        assert!(died && ended.code.is_none(), "{point} was never passed {passes} times in a {mode}:\n{}", ended.stderr);
        *self.met.entry(last_point(&ended)).or_default() += 1;
    }

    /// A run that was over before its kill does not count.
    fn at_random(&mut self) {
        loop {
            let (mode, patience) = (self.mode(), self.random.below(self.longest));
            self.mill.add(Mill::<O, D, S>::POSTS / 2);
            let mut running = self.mill.start(mode, "");
            let finished = running.ends_within(Duration::from_millis(patience));
            let ended = running.kill();
            if !finished {
                break;
            }
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            // It ends: below the shortest time nothing is ever over.
            self.longest = patience.max(SHORTEST_MILLIS);
        }
        *self.met.entry("random".to_owned()).or_default() += 1;
    }
}

fn last_point(ended: &Ended) -> String {
    let point = ended.stderr.lines().find_map(|line| line.strip_prefix("failpoint ")?.split(':').next());
    point.unwrap_or_else(|| panic!("no failpoint was hit:\n{}", ended.stderr)).to_owned()
}
