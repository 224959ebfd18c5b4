//! What `wasmill doctor` and `wasmill check` say of the state of keyed stages, before a run would stop.

use std::path::Path;

use wasmill_engine::Checkpoint;

use super::damage::{files, with_state};
use crate::support::{Ended, Workshop};

/// Another window than the state has been written with.
const OTHER_WINDOW: [&str; 2] = ["--set", "stages.days.aggregate.window.tumbling=2days"];

fn doctor(workshop: &Workshop, more: &[&str]) -> Ended {
    workshop.run(&[&["doctor", "p.yaml"], more].concat())
}

fn line<'e>(ended: &'e Ended, begins: &str) -> &'e str {
    let found = ended.stdout.lines().find(|line| line.starts_with(begins));
    found.unwrap_or_else(|| panic!("no line begins with `{begins}`:\n{}{}", ended.stdout, ended.stderr))
}

#[test]
fn a_state_that_fits_and_is_whole_is_said_to_be() {
    let workshop = with_state();
    let before = newest(&workshop);
    let ended = doctor(&workshop, &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let once = line(&ended, "ok     stage once: ");
    assert!(once.contains("a run resumes with 2,000 keys in ") && once.ends_with("every file is whole"), "{once}");
    let days = line(&ended, "ok     stage days: ");
    assert!(
        days.contains("a run resumes with 5 keys in 1 files of ") && days.contains("oldest window ends 2023-11-15T00:00:00Z"),
        "{days}"
    );
    assert_eq!(workshop.run(&["check", "p.yaml"]).code, Some(0));
    assert_eq!(newest(&workshop), before, "nothing was changed");
    // A state of nothing, and a run that keeps none.
    let ended = doctor(&workshop, &["--state", "elsewhere"]);
    assert!(line(&ended, "ok     stage days: ").contains("the state holds nothing of it yet"), "{}", ended.stdout);
    let ended = doctor(&workshop, &["--mode", "batch", "--set", "sinks.days.files.write=overwrite"]);
    assert!(ended.code == Some(0) && !ended.stdout.contains("stage days"), "{}", ended.stdout);
}

#[test]
fn a_stage_that_does_other_work_is_told_before_a_run_with_the_way_out() {
    let workshop = with_state();
    let told = "the state of stage `days` can't be used: window.every was 86400000000 and is 172800000000; window.size was";
    let out = "`wasmill state drop-stage PIPELINE days`";
    let ended = doctor(&workshop, &OTHER_WINDOW);
    assert_eq!(ended.code, Some(5));
    assert!(line(&ended, "BAD    stage days: ").contains(told) && ended.stdout.contains(out), "{}", ended.stdout);
    assert!(line(&ended, "ok     stage days: ").contains("the state holds 5 keys"), "{}", ended.stdout);
    assert!(line(&ended, "ok     stage once: ").contains("a run resumes with"), "{}", ended.stdout);

    for more in [&[][..], &["--offline"]] {
        let ended = workshop.run(&[&["check", "p.yaml"], &OTHER_WINDOW[..], more].concat());
        assert_eq!(ended.code, Some(5), "{}", ended.stdout);
        let all = ["error[state/other-stage]", told, " --> p.yaml:", out];
        assert!(all.iter().all(|text| ended.stdout.contains(text)), "{}", ended.stdout);
    }
    let ended = workshop.run(&[&["run", "p.yaml"], &OTHER_WINDOW[..]].concat());
    assert!(ended.code == Some(5) && ended.stderr.contains(told), "{}", ended.stderr);

    workshop.run_well(&["state", "drop-stage", "p.yaml", "days"]);
    let ended = workshop.run(&[&["check", "p.yaml"], &OTHER_WINDOW[..]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(line(&doctor(&workshop, &OTHER_WINDOW), "ok     stage days: ").contains("holds nothing"));
}

#[test]
fn a_stage_that_is_gone_and_a_plugin_of_another_state_version_are_told() {
    let workshop = with_state();
    let text = std::fs::read_to_string(workshop.path("p.yaml")).unwrap();
    workshop.write("p.yaml", &text.replace("days:", "weeks:").replace("from: days", "from: weeks"));
    let told = "the state of stage `days` can't be used: the pipeline has no such keyed stage any more";
    let ended = doctor(&workshop, &[]);
    assert!(ended.code == Some(5) && line(&ended, "BAD    stage days: ").contains(told), "{}", ended.stdout);
    let ended = workshop.run(&["check", "p.yaml"]);
    assert!(ended.code == Some(5) && ended.stdout.contains(told), "{}", ended.stdout);

    // A plugin, and a checkpoint as a version of it with another state would have left it.
    let workshop =
        super::damage::with_state_of("seen: { plugin: distinct-count, config: { value: category } }", "stage days: holds 5 keys");
    let mut now = 0;
    super::change_checkpoint(&workshop, "damaged", |checkpoint| {
        let version = &mut checkpoint.stages.get_mut("days").unwrap().fingerprint["work"]["compute"][0]["state_version"];
        now = version.as_u64().unwrap();
        *version = (now + 1).into();
    });
    let told = format!("work.compute.0.state_version was {} and is {now}", now + 1);
    let ended = workshop.run(&["check", "p.yaml"]);
    assert!(ended.code == Some(5) && ended.stdout.contains(&told) && ended.stdout.contains("drop-stage"), "{}", ended.stdout);
    let ended = doctor(&workshop, &[]);
    assert!(ended.code == Some(5) && line(&ended, "BAD    stage days: ").contains(&told), "{}", ended.stdout);
}

#[test]
fn files_that_are_damaged_are_told() {
    let damaged = |damage: &dyn Fn(&Path), what: &str| {
        let workshop = with_state();
        let files = files(&workshop);
        damage(&files[0]);
        let ended = doctor(&workshop, &[]);
        assert_eq!(ended.code, Some(5), "{what}: {}", ended.stdout);
        let name = files[0].file_name().unwrap().to_str().unwrap();
        let bad: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("BAD ")).collect();
        assert!(bad.len() == 1 && bad[0].contains(name) && bad[0].contains(what), "{what}: {}", ended.stdout);
        assert!(ended.stdout.contains("wasmill state drop-stage"), "{}", ended.stdout);
    };
    // In the middle of a block, where opening a run looks at nothing.
    let flip = |file: &Path| {
        let mut bytes = std::fs::read(file).unwrap();
        let at = bytes.len() / 3;
        bytes[at] ^= 4;
        std::fs::write(file, bytes).unwrap();
    };
    damaged(&flip, "is not what was written");
    damaged(&|file| std::fs::write(file, &std::fs::read(file).unwrap()[1..]).unwrap(), "is not what was written");
    damaged(&|file| std::fs::remove_file(file).unwrap(), "is gone");
}

/// The newest checkpoint of the state.
fn newest(workshop: &Workshop) -> Checkpoint {
    let folder = workshop.path(".wasmill/state/damaged");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let newest = names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("epoch-")).max().unwrap();
    Checkpoint::decode(&std::fs::read(newest).unwrap()).unwrap()
}
