//! Kills a pair of the matrix again and again, at points in every phase and at random moments, while posts still arrive.

use std::collections::BTreeMap;
use std::time::Duration;

use super::destination::Destination;
use super::mill::Mill;
use super::origin::Origin;
use super::{ENGINE_POINTS, ORIGINS, START_POINTS};
use crate::support::{Ended, Random, number_from_environment};

/// A run that is killed at random moments is about over by then; where it is over earlier, the next one is killed earlier.
const LONGEST_MILLIS: u64 = 1_500;
const SHORTEST_MILLIS: u64 = 50;

struct Kills<O, D> {
    mill: Mill<O, D>,
    random: Random,
    /// Kills at random come before so many milliseconds.
    longest: u64,
    /// How often each point was the last one; `random` for kills from outside.
    met: BTreeMap<String, u32>,
}

/// Kills, starts again, and checks what came out. By default each point of the destination is met once among all of its pairs, and each pair is killed
/// at random twice, too; `WASMILL_CRASH_KILLS` sets the kills of a pair, half of them at random.
pub fn kill_again_and_again<O: Origin, D: Destination>() {
    let pair = format!("{} into {}", O::NAME, D::NAME);
    let points: Vec<&str> = ENGINE_POINTS.iter().chain(D::POINTS).copied().collect();
    let turn = ORIGINS.iter().position(|name| *name == O::NAME).expect("an origin of the matrix");
    let share: Vec<&str> = points.iter().skip(turn).step_by(ORIGINS.len()).copied().collect();
    let mut kills = Kills::<O, D> { mill: Mill::new(D::STATE), random: Random::of(&pair), longest: LONGEST_MILLIS, met: BTreeMap::new() };
    match number_from_environment("WASMILL_CRASH_KILLS", 0) {
        0 => {
            share.iter().for_each(|point| kills.at_point(point));
            (0..2).for_each(|_| kills.at_random());
            assert!(share.iter().all(|point| kills.met.contains_key(*point)), "{:?}", kills.met);
        }
        wanted => (0..wanted as usize).for_each(|kill| match kill % 2 {
            0 => kills.at_point(points[(turn + kill / 2) % points.len()]),
            _ => kills.at_random(),
        }),
    }
    kills.mill.finish();
    kills.mill.check();
    println!("{pair}: {} posts, kills: {:?}", kills.mill.posts(), kills.met);
}

impl<O: Origin, D: Destination> Kills<O, D> {
    fn mode(&mut self) -> &'static str {
        if self.random.below(2) == 0 { "batch" } else { "stream" }
    }

    fn at_point(&mut self, point: &str) {
        let mode = self.mode();
        // Passed at once by some, which may be while a start makes up for the kill before; batches are many.
        let passes = match point {
            "lane-after-batch" => self.random.below(O::POSTS / 500),
            point if START_POINTS.contains(&point) => 0,
            _ => self.random.below(2),
        };
        self.mill.add(if mode == "batch" { O::POSTS } else { O::POSTS / 2 });
        let mut running = self.mill.start(mode, &format!("{point}={passes}*off->return(kill)"));
        if mode == "stream" {
            self.mill.add(O::POSTS / 2);
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
            self.mill.add(O::POSTS / 2);
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
