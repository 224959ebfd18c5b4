//! A store that is overloaded, and one whose answers are lost.

use std::collections::HashMap;

use super::Proxies;
use crate::matrix::destination::{DeltaOnS3, Destination, S3};
use crate::matrix::mill::Mill;
use crate::matrix::origin::{Files, Objects, Origin};
use crate::proxy::Action;
use crate::support::{Random, Running};

/// What an overloaded store says.
const ERRORS: [Action; 3] = [Action::Answer(500, "InternalError"), Action::Answer(503, "SlowDown"), Action::Answer(429, "TooManyRequests")];
/// Nothing is tried less often than three times.
const TIMES_IN_A_ROW: u32 = 2;

/// Something happens to one of three requests that are meant, by chance, but never more than twice in a row to the same one.
fn by_chance(
    mut random: Random,
    is_meant: impl Fn(&str) -> bool,
    mut what: impl FnMut(&mut Random) -> Action,
) -> impl FnMut(&str) -> Action {
    let mut in_a_row: HashMap<String, u32> = HashMap::new();
    move |head| {
        let count = in_a_row.entry(head.lines().next().unwrap_or_default().to_owned()).or_default();
        if !is_meant(head) || *count >= TIMES_IN_A_ROW || random.below(3) != 0 {
            *count = 0;
            return Action::Pass;
        }
        *count += 1;
        what(&mut random)
    }
}

fn run_through<O: Origin, D: Destination>(rule: impl FnMut(&str) -> Action + Send + 'static) -> (Mill<O, D>, Proxies) {
    let (mut mill, proxies) = (Mill::<O, D>::new(D::STATE), Proxies::new());
    (0..3).for_each(|_| mill.add(2_000));
    proxies.s3.rule(rule);
    let ended = Running::spawn(proxies.lead(mill.command("batch"))).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    (mill, proxies)
}

fn storm<O: Origin, D: Destination>(name: &str) {
    let (mut mill, proxies) =
        run_through::<O, D>(by_chance(Random::of(name), |_| true, |random| ERRORS[random.below(ERRORS.len() as u64) as usize].clone()));
    assert!(proxies.s3.answered() > 10, "{} errors", proxies.s3.answered());
    mill.check_rows();
    // A store that answered the beginning of an upload with an error may have begun it: its note stays for the next start.
    mill.add(100);
    mill.finish();
    mill.check();
}

#[test]
fn errors_of_an_overloaded_store_under_a_table_are_waited_out() {
    storm::<Objects, DeltaOnS3>("errors: s3 into delta_on_s3");
}

#[test]
fn errors_of_an_overloaded_store_under_objects_are_waited_out() {
    storm::<Files, S3>("errors: files into s3");
}

fn lose<O: Origin, D: Destination>(name: &str) {
    let changes = |head: &str| ["PUT ", "POST ", "DELETE "].iter().any(|verb| head.starts_with(verb));
    let (mut mill, proxies) = run_through::<O, D>(by_chance(Random::of(name), changes, |_| Action::Lose));
    assert!(proxies.s3.lost() > 5, "{} answers", proxies.s3.lost());
    // An upload whose beginning was not heard of lies around until the next start.
    mill.add(100);
    mill.finish();
    mill.check();
}

#[test]
fn whichever_answers_of_the_store_under_a_table_are_lost_everything_is_done_once() {
    lose::<Objects, DeltaOnS3>("lost: s3 into delta_on_s3");
}

#[test]
fn whichever_answers_of_the_store_under_objects_are_lost_everything_is_done_once() {
    lose::<Files, S3>("lost: files into s3");
}
