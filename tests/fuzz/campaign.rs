//! Runs one target: its corpus, then damaged and generated inputs until its time is over.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::memory::peak_of;
use crate::mutate::mutated;
use crate::random::{Random, number_from_environment};

/// No input of a few KiB takes longer, however slow the machine.
const LONGEST: Duration = Duration::from_secs(30);
/// Inputs are kept below this size.
const LARGEST: usize = 16 << 10;
/// Inputs that came out in a way of their own are kept to start from, up to so many.
const KEPT: usize = 2_000;
/// The fewest inputs of a run that says something.
const FEWEST: u64 = 300;
/// How long each target runs: two and a half minutes for all of them, side by side less.
const SECONDS: u64 = 15;

/// A decoder under attack.
pub trait Target {
    /// The name of its folders.
    const NAME: &'static str;
    /// Texts that mean something in the format.
    const DICTIONARY: &'static [&'static str];

    /// Whether everything holds for these bytes: how they came out (in few words, so that alike inputs are alike), or what does not hold.
    fn check(input: &[u8]) -> Result<String, String>;

    /// A valid input that it made and checked itself, or what does not hold for it.
    fn generate(random: &mut Random) -> Result<Vec<u8>, String>;

    /// The most memory that bytes may take.
    fn memory(bytes: usize) -> usize;
}

/// What a thread is at, for the one that looks after it.
type At = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Runs a target for its time.
pub fn run<T: Target>() {
    let endless = std::env::var("WASMILL_FUZZ").is_ok_and(|value| value == "endless");
    let time = Duration::from_secs(number_from_environment("WASMILL_FUZZ_SECONDS", SECONDS));
    // A run of the tests takes the same inputs each time, so that it fails by a change and not by chance; an endless one looks for new ones.
    let nanos = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = number_from_environment("WASMILL_FUZZ_SEED", if endless { nanos() } else { 1 });
    println!("{}: WASMILL_FUZZ_SEED={seed}", T::NAME);
    let mut random = Random::with_seed(seed);
    let at = watched(T::NAME);
    let (mut pool, mut outcomes) = (Vec::new(), BTreeSet::new());
    for path in ["corpus", "cases"].iter().flat_map(|kind| files_of(&folder(kind, T::NAME))) {
        let input = std::fs::read(&path).unwrap();
        match judge::<T>(&input, &at) {
            Ok(outcome) => drop(outcomes.insert(outcome)),
            Err(what) => panic!("{}: {what}", path.display()),
        }
        pool.push(input);
    }
    assert!(pool.len() >= 3, "the corpus of {} is missing", T::NAME);
    let (begun, mut inputs) = (Instant::now(), 0_u64);
    while endless || begun.elapsed() < time {
        let input = match random.below(8) {
            0 => made::<T>(&mut random, &at),
            _ => {
                let (one, other) = (random.below(pool.len() as u64) as usize, random.below(pool.len() as u64) as usize);
                let mut input = mutated(&mut random, &pool[one], &pool[other], T::DICTIONARY);
                input.truncate(LARGEST);
                input
            }
        };
        match judge::<T>(&input, &at) {
            Ok(outcome) if outcomes.len() < KEPT => {
                if outcomes.insert(outcome) {
                    pool.push(input);
                }
            }
            Ok(_) => {}
            Err(what) => {
                let small = shrunk::<T>(input, &at);
                panic!("{what}\nthe input was saved in {}", save(T::NAME, &small).display());
            }
        }
        inputs += 1;
    }
    println!("{}: {inputs} inputs, {} different outcomes", T::NAME, outcomes.len());
    assert!(inputs >= FEWEST, "only {inputs} inputs in {time:?}");
}

fn made<T: Target>(random: &mut Random, at: &At) -> Vec<u8> {
    let seed = random.0.get_seed();
    *at.lock().unwrap() = Some((Instant::now(), Vec::new()));
    let made = catch_unwind(AssertUnwindSafe(|| T::generate(random)));
    *at.lock().unwrap() = None;
    match made {
        Ok(Ok(input)) => input,
        Ok(Err(what)) => panic!("{}: what was written is not read back (the generator's seed is {seed}): {what}", T::NAME),
        Err(_) => panic!("{}: the generator's seed is {seed}", T::NAME),
    }
}

/// How an input comes out, or what does not hold for it.
fn judge<T: Target>(input: &[u8], at: &At) -> Result<String, String> {
    *at.lock().unwrap() = Some((Instant::now(), input.to_vec()));
    let (outcome, peak) = peak_of(|| catch_unwind(AssertUnwindSafe(|| T::check(input))));
    *at.lock().unwrap() = None;
    let outcome = outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        format!("it panics: {}", text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
    })??;
    match peak > T::memory(input.len()) {
        true => Err(format!("{peak} bytes of memory for {} bytes of input", input.len())),
        false => Ok(outcome),
    }
}

/// A smaller input that fails, too: parts are taken out as long as it does.
fn shrunk<T: Target>(mut input: Vec<u8>, at: &At) -> Vec<u8> {
    let begun = Instant::now();
    let mut part = input.len() / 2;
    while part > 0 {
        let mut from = 0;
        while from < input.len() && begun.elapsed() < Duration::from_secs(20) {
            let mut smaller = input.clone();
            smaller.drain(from..(from + part).min(input.len()));
            match judge::<T>(&smaller, at) {
                Err(_) => input = smaller,
                Ok(_) => from += part,
            }
        }
        part /= 2;
    }
    input
}

/// What the calling thread is at; a thread beside it ends the process when it stays there for too long.
fn watched(target: &'static str) -> At {
    let at = At::default();
    let watched = Arc::downgrade(&at);
    std::thread::spawn(move || {
        while let Some(at) = watched.upgrade() {
            if let Some((since, input)) = &*at.lock().unwrap()
                && since.elapsed() > LONGEST
            {
                eprintln!("{target}: an input takes longer than {LONGEST:?}: {}", save(target, input).display());
                std::process::abort();
            }
            drop(at);
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    at
}

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz").join(kind).join(target)
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn save(target: &str, input: &[u8]) -> PathBuf {
    let folder = folder("cases", target);
    std::fs::create_dir_all(&folder).unwrap();
    let digest = input.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let path = folder.join(format!("{digest:016x}"));
    std::fs::write(&path, input).unwrap();
    path
}
