//! Aggregating plugins against the same code linked natively, called as a keyed stage calls them: batches of rows, their state when it is
//! due, then all states of some keys, key by key, and the results of these keys.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{Float64Array, RecordBatch};
use serde_json::json;
use wasmill_host::Grouped;

use crate::Result;
use crate::accumulators::{Accumulator, Subject, schema};
use crate::plugin::Location;
use crate::rows::Random;

const BATCH_ROWS: usize = 8_192;
/// Rows after which the state is taken. What they take fits into a plugin's memory, as it has to in a stage.
const PIECE_ROWS: usize = 500_000;
/// What a keyed stage merges before it takes results.
const MERGED_GROUPS: usize = 8_192;
const MERGED_ROWS: usize = 262_144;

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Asked {
    #[arg(long, default_value_t = 10_000_000)]
    rows: usize,
    /// Over how many groups, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "100,100000,1000000")]
    groups: Vec<u32>,
    /// How often, after a run that does not count
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// Rows between two states.
struct Piece {
    batches: Vec<Batch>,
    /// The key of each group, increasing.
    keys: Vec<u32>,
}

struct Batch {
    rows: RecordBatch,
    groups: Vec<u32>,
}

/// A state that was taken, its rows in the order of keys.
struct State {
    records: RecordBatch,
    key_of_row: Vec<u32>,
}

/// What the calls of a run took.
#[derive(Default)]
struct Times {
    update: Duration,
    take_state: Duration,
    merge: Duration,
    finish: Duration,
}

impl Times {
    fn to_json(&self) -> serde_json::Value {
        let [update, take_state, merge, finish] = [self.update, self.take_state, self.merge, self.finish].map(|time| time.as_secs_f64());
        json!({ "update": update, "take_state": take_state, "merge": merge, "finish": finish })
    }
}

/// Times plugins and native code by turns over the same batches, checks that their results are the same, and prints one line of JSON.
pub fn measure(asked: &Asked, location: &Location) -> Result<()> {
    let subjects = Subject::all(location)?;
    let mut measured = Vec::new();
    for &keys in &asked.groups {
        let pieces = pieces(asked.rows, keys)?;
        for subject in &subjects {
            let (mut by_plugin, mut by_native) = (Vec::new(), Vec::new());
            for number in 0..=asked.runs {
                let turns = if number % 2 == 0 { [true, false] } else { [false, true] };
                let mut results = Vec::new();
                for is_plugin in turns {
                    let open = || if is_plugin { subject.plugin() } else { subject.native() };
                    let (times, found) = run(&pieces, keys, open)?;
                    results.push(found);
                    if number > 0 {
                        if is_plugin { &mut by_plugin } else { &mut by_native }.push(times.to_json());
                    }
                }
                if !same(&results[0], &results[1]) {
                    return Err(format!("{} gives other results in its sandbox than natively, over {keys} groups", subject.name).into());
                }
            }
            measured.push(json!({ "plugin": subject.name, "groups": keys, "in_sandbox": by_plugin, "native": by_native }));
        }
    }
    println!("{}", serde_json::Value::from(measured));
    Ok(())
}

fn pieces(rows: usize, keys: u32) -> Result<Vec<Piece>> {
    let mut random = Random::new(u64::from(keys));
    let starts = (0..rows).step_by(PIECE_ROWS);
    starts.map(|start| piece(PIECE_ROWS.min(rows - start), keys, &mut random)).collect()
}

fn piece(rows: usize, keys: u32, random: &mut Random) -> Result<Piece> {
    let key_of_row: Vec<u32> = (0..rows).map(|_| (random.draw() % u64::from(keys)) as u32).collect();
    let mut present = key_of_row.clone();
    present.sort_unstable();
    present.dedup();
    let mut group_of_key = vec![0; keys as usize];
    for (group, &key) in present.iter().enumerate() {
        group_of_key[key as usize] = group as u32;
    }
    let batch = |key_of_row: &[u32]| {
        let values: Float64Array = key_of_row.iter().map(|_| Some(random.thousandths() as f64 / 1000.0)).collect();
        let weights: Float64Array = key_of_row.iter().map(|_| Some(1.0 + (random.draw() % 3) as f64)).collect();
        let groups = key_of_row.iter().map(|&key| group_of_key[key as usize]).collect();
        Ok(Batch { rows: RecordBatch::try_new(schema(), vec![Arc::new(values), Arc::new(weights)])?, groups })
    };
    Ok(Piece { batches: key_of_row.chunks(BATCH_ROWS).map(batch).collect::<Result<_>>()?, keys: present })
}

/// All groups' results, in the order of keys.
fn run(pieces: &[Piece], keys: u32, open: impl Fn() -> Result<Box<dyn Accumulator>>) -> Result<(Times, Vec<Grouped>)> {
    let (mut collecting, mut merging) = (open()?, open()?);
    let mut times = Times::default();
    let states = pieces.iter().map(|piece| collect(piece, &mut *collecting, &mut times)).collect::<Result<Vec<_>>>()?;
    let mut begun_at = vec![0; states.len()];
    let mut results = Vec::new();
    for range in merged_together(&states, keys) {
        let count = range.end - range.start;
        for (state, begun_at) in states.iter().zip(&mut begun_at) {
            let (start, end) = (*begun_at, state.key_of_row.partition_point(|key| *key < range.end));
            *begun_at = end;
            if start < end {
                let groups: Vec<u32> = state.key_of_row[start..end].iter().map(|key| key - range.start).collect();
                let records = state.records.slice(start, end - start);
                timed(&mut times.merge, || merging.merge(&records, &groups, count))?;
            }
        }
        results.push(timed(&mut times.finish, || merging.finish())?);
    }
    Ok((times, results))
}

fn collect(piece: &Piece, accumulator: &mut dyn Accumulator, times: &mut Times) -> Result<State> {
    let count = u32::try_from(piece.keys.len())?;
    for batch in &piece.batches {
        timed(&mut times.update, || accumulator.update(&batch.rows, &batch.groups, count))?;
    }
    let Grouped { records, groups } = timed(&mut times.take_state, || accumulator.take_state())?;
    let key_of_row = match groups {
        None => piece.keys.clone(),
        Some(groups) => groups.iter().map(|&group| piece.keys[group as usize]).collect(),
    };
    Ok(State { records, key_of_row })
}

/// Which keys are merged before their results are taken.
fn merged_together(states: &[State], keys: u32) -> Vec<Range<u32>> {
    let mut rows_of_key = vec![0_usize; keys as usize];
    states.iter().flat_map(|state| &state.key_of_row).for_each(|&key| rows_of_key[key as usize] += 1);
    let (mut ranges, mut start, mut rows) = (Vec::new(), 0, 0);
    for key in 0..keys {
        rows += rows_of_key[key as usize];
        if rows >= MERGED_ROWS || (key + 1 - start) as usize == MERGED_GROUPS || key + 1 == keys {
            ranges.push(start..key + 1);
            (start, rows) = (key + 1, 0);
        }
    }
    ranges
}

fn timed<T>(total: &mut Duration, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let done = call();
    *total += begun.elapsed();
    done
}

fn same(one: &[Grouped], other: &[Grouped]) -> bool {
    let groups = |grouped: &Grouped| grouped.groups.clone().unwrap_or_else(|| (0..grouped.records.num_rows() as u32).collect());
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.records.columns() == other.records.columns() && groups(one) == groups(other))
}
