//! Columns of Parquet files that stand in the names of folders, or only in later files: in the table, or reported.

use serde_json::{Value, json};

use crate::support::{Ended, Workshop};
use crate::values::{input, moved};

#[test]
fn columns_of_parquet_stand_in_the_names_of_folders_unless_the_file_has_them() {
    let row = |id: i64, year: i64, month: Option<&str>| json!({"id": id, "year": year, "month": month});
    let expected = [
        row(1, 2024, Some("07")),
        row(2, 2024, Some("07")),
        row(3, 2025, None),
        row(4, 2026, Some("12")),
        row(5, 2026, None),
        row(6, 1999, Some("02")),
    ];
    for schema in ["", ", schema: { id: int64, year: int64, month: text }"] {
        let workshop = Workshop::new();
        input(&workshop, "hive");
        let (rows, dead) = moved(&workshop, &format!("files: {{ path: \"in/**/*.parquet\" }}{schema}"));
        assert_eq!(rows, expected, "{schema}");
        assert_eq!(dead, [Value::Null; 0], "{schema}");
    }
    let workshop = Workshop::new();
    input(&workshop, "hive");
    std::fs::rename(workshop.path("in/year=2024"), workshop.path("in/year=old")).unwrap();
    workshop.write("p.yaml", &pipeline("in/**/*.parquet", ", schema: { id: int64, year: int64 }", ""));
    let ended = workshop.run(&["run", "p.yaml"]);
    assert!(ended.code != Some(0) && ended.stderr.contains("the folder `year=old` of in/year=old/month=07/a.parquet"), "{}", ended.stderr);
}

fn pipeline(path: &str, schema: &str, sink: &str) -> String {
    format!(
        "name: parquet\nlanes: 1\nsources:\n  a: {{ files: {{ path: \"{path}\" }}{schema} }}\nsinks:\n  t: {{ from: a, delta: {{ uri: out/t{sink} }} }}\n\
         dead_letters: {{ files: {{ path: out/dead, format: jsonl }} }}\n"
    )
}

const GROWS: &str = ", schema_evolution: add_columns";

/// Runs an input whose later files have more than the first; gives the rows in the order of their ids.
fn grown(workshop: &Workshop, name: &str, sink: &str) -> (Vec<Value>, Ended) {
    input(workshop, name);
    workshop.write("p.yaml", &pipeline("in/*", "", sink));
    let ended = workshop.run_well(&["run", "p.yaml"]);
    assert_eq!(workshop.jsonl_rows("out/dead"), [Value::Null; 0]);
    (rows(workshop), ended)
}

fn rows(workshop: &Workshop) -> Vec<Value> {
    let mut rows = workshop.delta_rows("out/t");
    rows.sort_by_key(|row| row["id"].as_i64());
    rows
}

fn notes(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter(|line| line.starts_with("note: ")).collect()
}

#[test]
fn a_column_that_only_later_parquet_files_have_is_reported_once_with_its_count() {
    let workshop = Workshop::new();
    let (rows, ended) = grown(&workshop, "late-column", "");
    assert_eq!(rows, (1..=6).map(|id| json!({"id": id})).collect::<Vec<_>>());
    let note = |name: &str, records: u64, file: u64| {
        format!(
            "note: a: the column `{name}` of {records} records was not read: it occurred in in/{file}.parquet, and the sample did not have it; \
             list it in `schema`, or set `schema_evolution: add_columns` on the Delta sink"
        )
    };
    assert_eq!(notes(&ended), [note("late", 4, 2), note("later", 2, 3)]);
}

#[test]
fn a_column_that_only_later_parquet_files_have_is_added_where_the_table_may_grow() {
    let workshop = Workshop::new();
    let (found, ended) = grown(&workshop, "late-column", GROWS);
    let row = |id: i64, late: Option<&str>, later: Option<f64>| json!({"id": id, "late": late, "later": later});
    let last = [row(5, Some("y"), Some(1.5)), row(6, Some("z"), Some(2.5))];
    let mut expected = vec![row(1, None, None), row(2, None, None), row(3, Some("x"), None), row(4, None, None)];
    expected.extend(last.clone());
    assert_eq!(found, expected);
    assert_eq!(notes(&ended), [""; 0]);
    for told in ["a has new columns in in/2.parquet: late text;", "a has new columns in in/3.parquet: later float64;"] {
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
    // The next run takes its columns from the first file again.
    std::fs::copy(workshop.path("in/3.parquet"), workshop.path("in/4.parquet")).unwrap();
    workshop.run_well(&["run", "p.yaml"]);
    expected.extend(last);
    expected.sort_by_key(|row| row["id"].as_i64());
    assert_eq!(rows(&workshop), expected);
}

#[test]
fn a_field_within_a_column_that_only_later_parquet_files_have_is_reported_once_with_its_count() {
    for sink in ["", GROWS] {
        let workshop = Workshop::new();
        let (rows, ended) = grown(&workshop, "late-field", sink);
        let late = |id: i64| json!({"id": id, "s": {"a": 1}, "l": [{"a": 2}], "m": [["k", {"a": 3}]]});
        assert_eq!(rows, [json!({"id": 1, "s": null, "l": null, "m": null}), late(2), late(3)]);
        let note = |name: &str| {
            format!(
                "note: a: the column `{name}` of 2 records was not read: it occurred in in/2.parquet, and the sample did not have it; list it in `schema`"
            )
        };
        assert_eq!(notes(&ended), [note("l.c"), note("m.c"), note("s.c")]);
    }
}

/// Files of which only the last one lies in a folder that names a column, behind the sample; the records of the first one, and how to read them.
fn late_folder(workshop: &Workshop, form: &str) -> i64 {
    let lines =
        |ids: std::ops::RangeInclusive<i64>, before: &str, after: &str| ids.map(|id| format!("{before}{id}{after}\n")).collect::<String>();
    match form {
        "parquet" => input(workshop, "late-folder"),
        "csv" => {
            workshop.write("in/a.csv", &format!("id\n{}", lines(1..=1000, "", "")));
            workshop.write("in/day=2/b.csv", "id\n1001\n1002\n");
        }
        _ => {
            workshop.write("in/a.jsonl", &lines(1..=1000, "{\"id\":", "}"));
            workshop.write("in/day=2/b.jsonl", &lines(1001..=1002, "{\"id\":", "}"));
        }
    }
    if form == "parquet" { 1 } else { 1000 }
}

#[test]
fn a_column_in_the_names_of_later_folders_is_reported_or_added() {
    for form in ["parquet", "csv", "jsonl"] {
        let workshop = Workshop::new();
        let first = late_folder(&workshop, form);
        workshop.write("p.yaml", &pipeline("in/**/*", "", ""));
        let ended = workshop.run_well(&["run", "p.yaml"]);
        assert_eq!(rows(&workshop), (1..=first + 2).map(|id| json!({"id": id})).collect::<Vec<_>>(), "{form}");
        let note = "note: a: the column `day` of 2 records was not read: it occurred in in/day=2/b.";
        assert!(notes(&ended).len() == 1 && notes(&ended)[0].starts_with(note), "{form}: {}", ended.stderr);

        let workshop = Workshop::new();
        late_folder(&workshop, form);
        workshop.write("p.yaml", &pipeline("in/**/*", "", GROWS));
        let ended = workshop.run_well(&["run", "p.yaml"]);
        let row = |id: i64| json!({"id": id, "day": (id > first).then_some(2)});
        assert_eq!(rows(&workshop), (1..=first + 2).map(row).collect::<Vec<_>>(), "{form}");
        assert_eq!(notes(&ended), [""; 0], "{form}");
    }
}
