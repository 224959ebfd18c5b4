//! Each attack's exact answer, in a file of its own.

use std::path::PathBuf;

use crate::attacks::{self, Shared};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/hostile/answers")
}

#[test]
fn every_attack_has_its_answer() {
    let bless = std::env::var_os("BLESS").is_some();
    let shared = Shared::new();
    let mut wrong = Vec::new();
    let attacks = attacks::all();
    assert!(attacks.len() >= 25, "{} attacks are too few", attacks.len());
    for attack in &attacks {
        let answer = attack.run(&shared);
        let answer = format!("{}\n", answer.trim_end());
        let path = folder().join(format!("{}.txt", attack.name));
        if bless {
            std::fs::write(&path, &answer).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if answer != expected {
            let difference = similar::TextDiff::from_lines(&expected, &answer).unified_diff().header("expected", "answered").to_string();
            wrong.push(format!("{}:\n{difference}", attack.name));
        }
    }
    assert!(wrong.is_empty(), "{} answers differ; BLESS=1 accepts them\n\n{}", wrong.len(), wrong.join("\n"));
}

/// A file without an attack is a leftover.
#[test]
fn every_answer_has_its_attack() {
    let names: Vec<&str> = attacks::all().iter().map(|attack| attack.name).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(names.contains(&name.as_str()), "there is no attack for {}", path.display());
    }
}
