//! Merges against maps.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::SchemaRef;
use proptest::prelude::*;

use super::*;
use crate::RowReject;
use crate::run::tests::{Entry, MemoryStore, StateRow, run_in_file, run_in_memory, sorted_entries, state_schema};
use crate::run::{Run, RunWriter};
use crate::{Accumulator, Aggregate};
use std::sync::Arc;

/// Keeps the state rows of each group in the order in which they came.
#[derive(Default)]
struct Rows(Vec<Vec<StateRow>>);

impl Accumulator for Rows {
    fn update(&mut self, _: &RecordBatch, _: &[u32], _: u32) -> Result<Vec<RowReject>> {
        Ok(Vec::new())
    }

    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        assert!(count as usize >= self.0.len() && groups.len() == states.num_rows());
        self.0.resize(count as usize, Vec::new());
        let (numbers, texts) = (states.column(0).as_primitive::<Int64Type>(), states.column(1).as_list::<i32>());
        for (row, &group) in groups.iter().enumerate() {
            let texts = texts.value(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            self.0[group as usize].push((numbers.iter().nth(row).unwrap(), texts));
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<Grouped> {
        let rows = std::mem::take(&mut self.0);
        let groups = rows.iter().enumerate().flat_map(|(group, rows)| rows.iter().map(move |_| group as u32)).collect();
        let all: Vec<Entry> = vec![Entry::new(0, b"", false, rows.into_iter().flatten().collect())];
        Ok(Grouped { records: crate::run::tests::block(&all).states().clone(), groups: Some(groups) })
    }

    fn finish(&mut self) -> Result<Grouped> {
        self.take_state()
    }

    fn memory_bytes(&self) -> usize {
        0
    }
}

struct Keeps;

impl Aggregate for Keeps {
    fn state_schema(&self) -> SchemaRef {
        state_schema()
    }

    fn output_schema(&self) -> SchemaRef {
        state_schema()
    }

    fn open(&self, _: usize) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Rows::default()))
    }
}

/// A key's states by (window or pane end, key): from the oldest run to the newest, back to the newest complete one.
type Model = BTreeMap<(i64, Vec<u8>), Vec<StateRow>>;

fn model<'a>(runs: impl IntoIterator<Item = &'a Vec<Entry>>) -> Model {
    let mut model = Model::new();
    for entry in runs.into_iter().flatten() {
        let rows = model.entry((entry.end, entry.key.clone())).or_default();
        if entry.complete {
            rows.clear();
        }
        rows.extend(entry.rows.iter().cloned());
    }
    model
}

/// Everything that a merger gives, and whether keys came in order.
fn all(mut merger: Merger) -> Vec<(i64, u8, Vec<u8>, Vec<StateRow>)> {
    let mut found = Vec::new();
    let mut accumulator = Rows::default();
    while let Some(keys) = merger.next(&mut accumulator).unwrap() {
        assert_eq!(accumulator.0.len(), keys.len(), "the accumulator knows every group, also those without rows");
        for (index, rows) in std::mem::take(&mut accumulator.0).into_iter().enumerate() {
            found.push((keys.ends[index], keys.key_groups[index], keys.keys.get(index).to_vec(), rows));
        }
    }
    assert!(found.is_sorted_by(|a, b| (a.0, a.1, &a.2) < (b.0, b.1, &b.2)), "keys come once and in order");
    found
}

fn as_model(found: Vec<(i64, u8, Vec<u8>, Vec<StateRow>)>) -> Model {
    found.into_iter().map(|(end, _, key, rows)| ((end, key), rows)).collect()
}

fn runs(of: &[Vec<Entry>], cuts: &[usize]) -> Vec<Arc<Run>> {
    let run = |(index, entries): (usize, &Vec<Entry>)| {
        let cut = cuts[index % cuts.len()];
        if index % 2 == 0 { run_in_memory(entries, cut) } else { run_in_file(entries, cut).0 }
    };
    of.iter().enumerate().map(run).collect()
}

fn groups() -> impl Strategy<Value = KeyGroups> {
    prop_oneof![Just(0..256_u16), (0..=256_u16, 0..=256_u16).prop_map(|(a, b)| a.min(b)..a.max(b))]
}

use crate::key::{KeyGroups, key_group};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn merges_are_those_of_a_map(
        of in prop::collection::vec(sorted_entries(30), 0..7),
        cuts in prop::collection::vec(1..12usize, 3),
        key_groups in groups(),
        (first, last) in (0..4i64, 0..4i64),
    ) {
        let span = Span { ends: first * 10..=last * 10, key_groups: key_groups.clone() };
        let merged = as_model(all(Merger::of_places(state_schema(), &runs(&of, &cuts), &span).unwrap()));
        let mut expected = model(&of);
        expected.retain(|(end, key), _| span.ends.contains(end) && key_groups.contains(&key_group(key).into()));
        prop_assert_eq!(merged, expected);
    }

    /// Keys of the new runs alone, with what the old ones have of them.
    #[test]
    fn new_keys_find_their_old_states(
        old in prop::collection::vec(sorted_entries(30), 0..5),
        new in prop::collection::vec(sorted_entries(10), 0..4),
        cuts in prop::collection::vec(1..12usize, 3),
    ) {
        let span = Span { ends: 0..=40, key_groups: 0..256 };
        let merged = as_model(all(Merger::of_new_places(state_schema(), &runs(&old, &cuts), &runs(&new, &cuts), &span).unwrap()));
        let mut expected = model(old.iter().chain(&new));
        let named = model(&new);
        expected.retain(|key, _| named.contains_key(key));
        prop_assert_eq!(merged, expected);
    }

    /// Panes of a window become one; complete entries hide what their own pane had before, and no other.
    #[test]
    fn panes_merge_into_windows(
        old in prop::collection::vec(sorted_entries(30), 0..5),
        new in prop::collection::vec(sorted_entries(10), 0..4),
        cuts in prop::collection::vec(1..12usize, 3),
        (first, last) in (0..4i64, 0..4i64),
    ) {
        let window = Window { end: 99, span: Span { ends: first * 10..=last * 10, key_groups: 0..256 } };
        let windows = |of: Model, keys: Option<&Model>| {
            let mut merged: BTreeMap<Vec<u8>, Vec<StateRow>> = BTreeMap::new();
            for ((end, key), rows) in of {
                if window.span.ends.contains(&end) && keys.is_none_or(|keys| keys.keys().any(|(pane, of)| of == &key && window.span.ends.contains(pane))) {
                    merged.entry(key).or_default().extend(rows);
                }
            }
            merged
        };
        let sorted = |found: Vec<(i64, u8, Vec<u8>, Vec<StateRow>)>| -> BTreeMap<Vec<u8>, Vec<StateRow>> {
            found.into_iter().map(|(end, _, key, rows)| { assert_eq!(end, 99); (key, rows) }).collect()
        };
        let both: Vec<Vec<Entry>> = old.iter().chain(&new).cloned().collect();
        let merged = sorted(all(Merger::of_window(state_schema(), window.clone(), &runs(&both, &cuts)).unwrap()));
        prop_assert_eq!(merged, windows(model(&both), None));

        // Old states come before new ones here, whatever their pane: by key as sets.
        let merged = sorted(all(Merger::of_new_in_window(state_schema(), window.clone(), &runs(&old, &cuts), &runs(&new, &cuts)).unwrap()));
        let by_value = |mut of: BTreeMap<Vec<u8>, Vec<StateRow>>| { of.values_mut().for_each(|rows| rows.sort()); of };
        prop_assert_eq!(by_value(merged), by_value(windows(model(&both), Some(&model(&new)))));
    }

    /// A compaction of some runs that follow one another changes nothing of the whole.
    #[test]
    fn compaction_changes_nothing(
        of in prop::collection::vec(sorted_entries(30), 1..7),
        cuts in prop::collection::vec(1..12usize, 3),
        (start, end) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        in_file in any::<bool>(),
    ) {
        let mut state = runs(&of, &cuts);
        let (a, b) = (start.index(of.len()), end.index(of.len()));
        let part = a.min(b)..a.max(b) + 1;
        let into = match in_file {
            true => RunWriter::in_file(state_schema(), &MemoryStore::default()).unwrap(),
            false => RunWriter::in_memory(state_schema()),
        };
        let what = Compaction { key_groups: 0..256, first_end: 10 };
        let compacted = compact(&Keeps, 0, &state[part.clone()], &what, into).unwrap();
        state.splice(part, [Arc::new(compacted)]);
        let span = Span { ends: 10..=40, key_groups: 0..256 };
        let mut expected = model(&of);
        expected.retain(|(end, _), _| *end >= 10);
        prop_assert_eq!(as_model(all(Merger::of_places(state_schema(), &state, &span).unwrap())), expected);
    }
}

/// Many keys and rows: several batches, and hand-overs in the middle of one.
#[test]
fn large_merges_come_in_batches() {
    let run = |step: usize, rows: usize| -> Vec<Entry> {
        let mut all: Vec<Entry> = (0..30_000_u32)
            .step_by(step)
            .map(|key| Entry::new(1, &key.to_be_bytes(), false, vec![(Some(key.into()), vec![]); rows]))
            .collect();
        all.push(Entry::new(1, b"many", false, (0..70_000).map(|row| (Some(row), vec![])).collect()));
        all.sort();
        all
    };
    let of = vec![run(1, 1), run(2, 3), run(7, 0)];
    let span = Span { ends: 1..=1, key_groups: 0..256 };
    let state = vec![run_in_file(&of[0], 5_000).0, run_in_memory(&of[1], 40_000), run_in_file(&of[2], 1_000).0];
    assert_eq!(as_model(all(Merger::of_places(state_schema(), &state, &span).unwrap())), model(&of));
}

#[test]
fn compaction_keeps_runs_few_and_rewrites_bytes_seldom() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut sizes, mut added, mut rewritten) = (Vec::<u64>::new(), 0, 0);
        for epoch in 1..=2_000 {
            let size = if seed % 2 == 0 { 100 } else { random.u64(1..10_000) };
            added += size;
            sizes.push(size);
            while let Some(part) = pick(&sizes) {
                assert!(part.len() >= 4 && part.end <= sizes.len());
                let total = sizes[part.clone()].iter().sum();
                rewritten += total;
                sizes.splice(part, [total]);
            }
            assert!(sizes.len() <= 40, "{} runs after {epoch} epochs: {sizes:?}", sizes.len());
        }
        assert!(rewritten < 14 * added, "each byte was rewritten {} times", rewritten / added);
    }
}

#[test]
fn what_breaks_the_contract_is_an_error() {
    let records = crate::run::tests::block(&[Entry::new(0, b"", false, vec![(None, vec![]); 3])]).states().clone();
    let of = |groups: Option<Vec<u32>>, count| Grouped { records: records.clone(), groups }.offsets(count);
    assert_eq!(of(None, 3).unwrap(), [0, 1, 2, 3]);
    assert_eq!(of(Some(vec![0, 2, 2]), 4).unwrap(), [0, 1, 1, 3, 3]);
    for (groups, count) in [(None, 2), (Some(vec![0, 0]), 2), (Some(vec![1, 0, 1]), 2), (Some(vec![0, 1, 2]), 2)] {
        assert!(of(groups, count).is_err());
    }
}
