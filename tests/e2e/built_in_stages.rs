//! The built-in stages `rename` and `drop` in whole runs: rows, dead letters, and what sources are asked for.

use serde_json::json;

use crate::support::{Pins, Workshop, expected};

fn pipeline(workshop: &Workshop, text: &str) {
    workshop.write("p.yaml", &format!("{text}\ndead_letters: {{ files: {{ path: out/dead_letters, format: jsonl }} }}\n"));
}

#[test]
fn columns_are_renamed_and_dropped_before_a_sink() {
    let workshop = Workshop::new();
    workshop.write("in/a.csv", "id,title,note\n1,one,x\n2,,y\n");
    workshop.write("in/b.jsonl", "{\"id\":3,\"title\":\"three\",\"note\":{\"deep\":1}}\n{\"title\":null,\"id\":4}\n");
    for (file, rows) in [
        ("in/a.csv", json!([{ "id": 1, "headline": "one" }, { "id": 2, "headline": null }])),
        ("in/b.jsonl", json!([{ "id": 3, "headline": "three" }, { "id": 4, "headline": null }])),
    ] {
        let name = file.replace(['/', '.'], "-");
        pipeline(
            &workshop,
            &format!(
                "name: {name}\nsources: {{ a: {{ files: {{ path: {file} }} }} }}\n\
                 stages:\n  named: {{ from: a, rename: {{ title: headline }} }}\n  fewer: {{ from: named, drop: [note] }}\n\
                 sinks: {{ t: {{ from: fewer, delta: {{ uri: out/{name} }} }} }}"
            ),
        );
        let ended = workshop.run_well(&["run", "p.yaml"]);
        assert!(!ended.stderr.contains("note"), "a column that is left out on purpose is nothing to report: {}", ended.stderr);
        let mut found = workshop.delta_rows(&format!("out/{name}"));
        found.sort_by_key(|row| row["id"].as_i64());
        assert_eq!(json!(found), rows, "{file}");
        let plan = workshop.run_well(&["plan", "p.yaml"]).stdout;
        assert!(plan.contains("decodes  2 columns") && plan.contains("(drops note)"), "{plan}");
    }
}

/// The bytes of a record that is rejected behind built-in stages are those of the source.
#[test]
fn rows_keep_their_origins_through_built_in_stages() {
    let workshop = Workshop::new();
    workshop.write("data/a.jsonl", &Pins(0..1000).lines().replace("\"index\":", "\"number\":"));
    pipeline(
        &workshop,
        "name: pins\nsources: { pins: { files: { path: data/a.jsonl } } }\nstages:\n  \
         named: { from: pins, rename: { number: index } }\n  \
         clean_pins: { from: named, plugin: clean-pin }\n  \
         last: { from: clean_pins, rename: { ind: id } }\n  \
         first: { from: last, rename: { id: ind } }\n\
         sinks: { pin_table: { from: first, delta: { uri: out/pin_table } } }",
    );
    workshop.run_well(&["run", "p.yaml"]);
    let dead: Vec<_> = workshop
        .jsonl_rows("out/dead_letters")
        .into_iter()
        .map(|mut row| {
            let record = row["record"].as_str().unwrap().to_owned();
            assert!(record.contains("\"number\":"), "the record as the source has it: {record}");
            row["record"] = json!(record.replace("\"number\":", "\"index\":"));
            row
        })
        .collect();
    expected(0..1000).check(&workshop.delta_rows("out/pin_table"), &dead);
}

/// A value that can't be read costs nothing where nobody wants its column.
#[test]
fn a_column_that_is_dropped_on_every_way_is_not_read() {
    let workshop = Workshop::new();
    workshop.write("in/a.csv", "id,number\n1,5\n2,many\n");
    let text = |second: &str| {
        format!(
            "name: p{}\nsources: {{ a: {{ files: {{ path: in/a.csv }}, schema: {{ id: int64, number: int64 }}, max_reject_share: 100% }} }}\n\
             stages:\n  fewer: {{ from: a, drop: [number] }}\n\
             sinks:\n  t: {{ from: fewer, files: {{ path: out/t{}, format: jsonl }} }}\n{second}",
            second.len(),
            second.len()
        )
    };
    pipeline(&workshop, &text(""));
    workshop.run_well(&["run", "p.yaml"]);
    assert_eq!(json!(workshop.jsonl_rows("out/t0")), json!([{ "id": 1 }, { "id": 2 }]));
    // Another way wants it.
    let second = "  u: { from: a, files: { path: out/u, format: jsonl } }\n";
    pipeline(&workshop, &text(second));
    workshop.run_well(&["run", "p.yaml"]);
    assert_eq!(json!(workshop.jsonl_rows(&format!("out/t{}", second.len()))), json!([{ "id": 1 }]));
    assert_eq!(json!(workshop.jsonl_rows("out/u")), json!([{ "id": 1, "number": 5 }]));
    assert_eq!(workshop.jsonl_rows("out/dead_letters").len(), 1);
}

/// A table that grows gets columns that come up later through built-in stages, and none that these leave out.
#[test]
fn a_table_behind_built_in_stages_grows_by_columns_that_come_up() {
    let workshop = Workshop::new();
    workshop.write("in/a.jsonl", "{\"id\":1,\"note\":\"x\",\"title\":\"a\"}\n");
    pipeline(
        &workshop,
        "name: grows\nsources: { a: { files: { path: \"in/*.jsonl\" } } }\nstages:\n  named: { from: a, rename: { title: headline } }\n  \
         fewer: { from: named, drop: [note] }\nsinks: { t: { from: fewer, delta: { uri: out/t, schema_evolution: add_columns } } }",
    );
    workshop.run_well(&["run", "p.yaml"]);
    let lines: String = (2..3000).map(|id| format!("{{\"id\":{id},\"note\":\"y\",\"title\":\"b\"}}\n")).collect();
    workshop.write("in/b.jsonl", &(lines + "{\"id\":3000,\"note\":\"z\",\"title\":\"c\",\"late\":7}\n"));
    workshop.run_well(&["run", "p.yaml"]);
    let mut rows = workshop.delta_rows("out/t");
    rows.sort_by_key(|row| row["id"].as_i64());
    assert_eq!(rows.len(), 3000);
    assert_eq!(rows[0], json!({ "id": 1, "headline": "a", "late": null }));
    assert_eq!(rows[2999], json!({ "id": 3000, "headline": "c", "late": 7 }));
}
