//! Files whose columns nobody described, and that are damaged or wrapped: what the sample makes of them, and what the run says.

use serde_json::{Value, json};

use crate::odd_files::gzip;
use crate::support::{Ended, Workshop};

fn workshop(source: &str, files: &[(&str, &[u8])]) -> Workshop {
    let workshop = Workshop::new();
    workshop.write(
        "p.yaml",
        &format!(
            "name: sampled\nlanes: 1\nsources:\n  a: {{ {source}, max_reject_share: 100% }}\nsinks:\n  t: {{ from: a, delta: {{ uri: out/t }} }}\n\
             dead_letters: {{ files: {{ path: out/dead, format: jsonl }} }}\n"
        ),
    );
    std::fs::create_dir(workshop.path("in")).unwrap();
    for (name, bytes) in files {
        std::fs::write(workshop.path(&format!("in/{name}")), bytes).unwrap();
    }
    workshop
}

/// A gzip file of two records without its end: both can be unpacked, and nothing says that they are all.
fn cut() -> Vec<u8> {
    let mut packed = gzip("{\"id\":1}\n{\"id\":2}\n");
    packed.truncate(packed.len() - 8);
    packed
}

fn parquet(workshop: &Workshop) -> Vec<u8> {
    crate::values::input(workshop, "int64-beyond-float32");
    std::fs::read(workshop.path("in/a.parquet")).unwrap()
}

fn ids(workshop: &Workshop) -> Vec<i64> {
    let mut ids: Vec<i64> = workshop.delta_rows("out/t").iter().map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn dead(workshop: &Workshop) -> Vec<(Value, Value)> {
    let mut dead: Vec<_> = workshop.jsonl_rows("out/dead").iter().map(|row| (row["partition"].clone(), row["code"].clone())).collect();
    dead.sort_by_key(|(partition, _)| partition.to_string());
    dead
}

const ASIDE: [&str; 4] = ["run", "p.yaml", "--set", "sources.a.files.on_bad_file=set_aside"];

/// A damaged file and a good one beside it.
struct Damaged {
    bad: &'static str,
    bytes: Vec<u8>,
    other: &'static str,
    good: Vec<u8>,
    readable: &'static [i64],
}

#[test]
fn a_damaged_file_that_is_to_tell_the_columns_stops_the_run_or_is_set_aside() {
    let good = parquet(&Workshop::new());
    // A damaged file before a good one, and the ids that can be read.
    let case = |bad, bytes, other, good, readable| Damaged { bad, bytes, other, good, readable };
    let cases = [
        case("a.jsonl.gz", cut(), "b.jsonl", b"{\"id\":3}\n".to_vec(), &[1, 2, 3]),
        case("a.jsonl.gz", b"no gzip at all".to_vec(), "b.jsonl", b"{\"id\":3}\n".to_vec(), &[3]),
        case("a.csv.gz", gzip("id\n1\n")[..12].to_vec(), "b.csv", b"id\n3\n".to_vec(), &[3]),
        case("a.parquet", b"PAR1 and then nothing".to_vec(), "b.parquet", good.clone(), &[1, 2]),
        case("a.parquet", good[..good.len() - 20].to_vec(), "b.parquet", good.clone(), &[1, 2]),
    ];
    for Damaged { bad, bytes, other, good, readable } in cases {
        let named = format!("in/{bad}");
        let workshop = workshop("files: { path: \"in/*\" }", &[(bad, &bytes), (other, &good)]);
        let ended = workshop.run(&["run", "p.yaml"]);
        assert!(ended.code != Some(0) && !ended.stderr.contains("finished"), "{bad}: {}", ended.stderr);
        for told in [named.as_str(), "on_bad_file: set_aside"] {
            assert!(ended.stderr.contains(told), "{bad}: {told} in {}", ended.stderr);
        }
        assert_eq!((ids(&workshop), dead(&workshop)), (vec![], vec![]), "{bad}: nothing is written");

        let ended = workshop.run_well(&ASIDE);
        assert!(ended.stderr.contains("note: a: 1 damaged file was set aside"), "{bad}: {}", ended.stderr);
        let noted = vec![(json!(named), json!("bad-file"))];
        assert_eq!((ids(&workshop), dead(&workshop)), (readable.to_vec(), noted.clone()), "{bad}");
        let again = workshop.run_well(&ASIDE);
        assert!(again.stderr.contains("nothing new"), "{bad}: {}", again.stderr);
        assert_eq!((ids(&workshop), dead(&workshop)), (readable.to_vec(), noted), "{bad}: noted once");
    }
}

#[test]
fn a_damaged_file_alone_gives_the_columns_of_what_lies_before_the_damage_or_an_error() {
    let whole = workshop("files: { path: \"in/*\" }", &[("a.jsonl.gz", &cut())]);
    let ended = whole.run(&["run", "p.yaml"]);
    assert!(ended.code != Some(0) && ended.stderr.contains("in/a.jsonl.gz"), "{}", ended.stderr);
    whole.run_well(&ASIDE);
    assert_eq!((ids(&whole), dead(&whole)), (vec![1, 2], vec![(json!("in/a.jsonl.gz"), json!("bad-file"))]));
    let nothing = workshop("files: { path: \"in/*\" }", &[("a.parquet", b"PAR1 and then nothing")]);
    let ended = nothing.run(&ASIDE);
    assert!(ended.code != Some(0) && ended.stderr.contains("the columns can't be inferred"), "{}", ended.stderr);
}

fn warned(ended: &Ended) -> bool {
    ended.stderr.contains("warning[column-missing]: `a` has no column `id` in any of the 1 sampled records")
        && ended.stderr.contains("`items` holds objects: if these are the records, unwrap them")
}

#[test]
fn a_run_reports_that_the_records_lie_inside_of_the_record() {
    let page = b"{\"items\":[{\"id\":1},{\"id\":2}],\"next\":null}";
    let declared = workshop("files: { path: \"in/*\" }, schema: { id: int64 }", &[("a.json", page)]);
    let ended = declared.run_well(&["run", "p.yaml"]);
    assert!(warned(&ended), "{}", ended.stderr);
    assert_eq!(declared.delta_rows("out/t"), [json!({"items": [{"id": 1}, {"id": 2}], "next": null, "id": null})]);
    // Where nobody names the columns, nothing of it is lost.
    let told = workshop("files: { path: \"in/*\" }", &[("a.json", page)]);
    let ended = told.run_well(&["run", "p.yaml"]);
    assert!(!warned(&ended), "{}", ended.stderr);
    assert_eq!(told.delta_rows("out/t"), [json!({"items": [{"id": 1}, {"id": 2}], "next": null})]);
}
