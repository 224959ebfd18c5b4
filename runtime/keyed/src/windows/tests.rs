//! Windows against a model that knows no panes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The windows that hold a time, by trying all ends around it.
fn windows_by_trying(time: i64, size: i64, every: i64) -> Vec<i64> {
    (time - 3 * size..=time + 3 * size).filter(|end| end.rem_euclid(every) == 0 && end - size <= time && time < *end).collect()
}

fn sizes() -> impl Strategy<Value = (i64, i64)> {
    (1..40i64).prop_flat_map(|size| (Just(size), 1..=size))
}

proptest! {
    #[test]
    fn a_pane_lies_in_the_windows_that_hold_its_times((size, every) in sizes(), time in -500..500i64) {
        let windows = Windows::sliding(size, every).unwrap();
        let pane = windows.pane_end(time).unwrap();
        prop_assert!(time < pane);
        let expected = windows_by_trying(time, size, every);
        let found: Vec<i64> = windows.windows_of(pane).collect();
        prop_assert_eq!(&found, &expected);
        for end in found {
            prop_assert!(windows.panes_of(end).contains(&pane));
        }
        // The windows around hold no time of the pane.
        prop_assert!(!windows.panes_of(expected[0] - every).contains(&pane));
        prop_assert!(!windows.panes_of(expected[expected.len() - 1] + every).contains(&pane));
    }

    /// Epochs of times and watermarks. What fires is compared with a model that keeps every row and forgets nothing.
    #[test]
    fn windows_fire_once_and_again_for_late_rows(
        (size, every) in sizes(),
        lateness in 0..30i64,
        epochs in prop::collection::vec((prop::collection::vec(-60..60i64, 0..6), 0..40i64), 1..12),
    ) {
        let windows = Windows::sliding(size, every).unwrap().with_allowed_lateness(lateness);
        let (mut before, mut kept, mut history) = (-80, Vec::new(), Vec::new());
        for (times, step) in epochs {
            let now = before + step;
            let taken: Vec<i64> = times.iter().copied().filter(|&time| !windows.has_expired(windows.pane_end(time).unwrap(), before)).collect();
            let taken_by_trying: Vec<i64> = times
                .iter()
                .copied()
                .filter(|&time| windows_by_trying(time, size, every).iter().any(|end| end + lateness > before))
                .collect();
            prop_assert_eq!(&taken, &taken_by_trying);
            let added: Vec<i64> = taken.iter().map(|&time| windows.pane_end(time).unwrap()).collect();
            let fired = windows.firing(kept.iter().copied(), added.iter().copied(), before, now);

            history.extend(taken.iter().copied());
            let mut expected = BTreeMap::new();
            for &time in &history {
                expected.extend(windows_by_trying(time, size, every).into_iter().filter(|&end| before < end && end <= now).map(|end| (end, false)));
            }
            for &time in &taken {
                let passed = windows_by_trying(time, size, every).into_iter().filter(|&end| end <= before && end + lateness > before);
                expected.extend(passed.map(|end| (end, true)));
            }
            let fired: BTreeMap<i64, bool> = fired.into_iter().map(|firing| (firing.end, firing.again)).collect();
            prop_assert_eq!(fired, expected);

            kept.extend(added);
            kept.retain(|&pane| !windows.has_expired(pane, now));
            before = now;
        }
    }
}

#[test]
fn sizes_have_to_fit() {
    for (size, every) in [(0, 1), (1, 0), (-5, -5), (5, 6)] {
        assert_eq!(Windows::sliding(size, every).unwrap_err().kind(), Some(WINDOW));
    }
}

#[test]
fn times_at_the_ends_of_64_bits_have_no_pane() {
    let windows = Windows::sliding(1_000, 300).unwrap();
    for time in [i64::MIN, i64::MIN + 800, i64::MAX, i64::MAX - 800] {
        assert_eq!(windows.pane_end(time), None, "{time}");
    }
    assert_eq!(Windows::none().pane_end(i64::MIN), Some(NEVER));
    // The farthest times that have one have windows too.
    let first = (i64::MIN..i64::MIN + 3_000).find_map(|time| windows.pane_end(time)).unwrap();
    let last = (i64::MAX - 3_000..=i64::MAX).rev().find_map(|time| windows.pane_end(time)).unwrap();
    for pane in [first, last] {
        assert!(windows.windows_of(pane).all(|end| windows.panes_of(end).contains(&pane)));
        assert!((3..=4).contains(&windows.windows_of(pane).count()));
    }
}

#[test]
fn without_windows_everything_fires_when_time_has_ended() {
    let windows = Windows::none();
    assert_eq!(windows.firing([NEVER], [NEVER], BEGINNING, 1_000), []);
    assert_eq!(windows.firing([NEVER], [], 1_000, NEVER), [Firing { end: NEVER, again: false }]);
    assert!(windows.has_expired(NEVER, NEVER) && !windows.has_expired(NEVER, 1_000));
}

#[test]
fn what_is_in_no_time_is_not_late() {
    let windows = Windows::tumbling(10).unwrap();
    assert_eq!(windows.pane_end(-1), Some(0));
    assert_eq!(windows.pane_end(0), Some(10));
    assert!(!windows.has_expired(0, BEGINNING));
}
