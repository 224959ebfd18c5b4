//! Files that are damaged, empty, of another kind, or have other columns than the first ones: every record ends in the table or in the
//! dead letters with a reason, or the run ends with an error.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Running, Workshop};

/// A pipeline from the files of `in/` into `out/t`.
fn pipeline(source: &str, sink: &str) -> String {
    format!(
        "name: odd\nsources:\n  a: {{ {source}, max_reject_share: 100% }}\nsinks:\n  t: {{ from: a, delta: {{ uri: out/t{sink} }} }}\n\
        dead_letters: {{ files: {{ path: out/dead, format: jsonl }} }}\n"
    )
}

fn workshop(source: &str, sink: &str, files: &[(&str, &[u8])]) -> Workshop {
    let workshop = Workshop::new();
    workshop.write("p.yaml", &pipeline(source, sink));
    for (name, bytes) in files {
        let path = workshop.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    workshop
}

/// The rows of the table, ordered by their text.
fn rows(workshop: &Workshop) -> Vec<Value> {
    let mut rows = workshop.delta_rows("out/t");
    rows.sort_by_key(Value::to_string);
    rows
}

fn codes(workshop: &Workshop) -> Vec<(String, String)> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    workshop.jsonl_rows("out/dead").iter().map(|row| (text(row, "partition"), text(row, "code"))).collect()
}

pub fn gzip(text: &str) -> Vec<u8> {
    let mut child =
        std::process::Command::new("gzip").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn empty_files_beside_good_ones_have_no_rows() {
    for schema in ["", ", schema: { id: int64, name: text }"] {
        let source = format!("files: {{ path: \"in/*\" }}{schema}");
        let files: [(&str, &[u8]); 7] = [
            ("in/a.csv", b""),
            ("in/b.csv", b"\n"),
            ("in/c.csv", b"id,name\n2,b\n"),
            ("in/d.csv.gz", b""),
            ("in/e.jsonl.gz", b""),
            ("in/f.parquet", b""),
            ("in/g.json", b" \n"),
        ];
        let workshop = workshop(&source, "", &files);
        let ended = workshop.run_well(&["run", "p.yaml"]);
        assert!(ended.stderr.contains("finished"), "{}", ended.stderr);
        assert_eq!(rows(&workshop), [json!({"id": 2, "name": "b"})]);
        assert_eq!(codes(&workshop), []);
        // One that is filled later is read then.
        workshop.write("in/a.csv", "id,name\n1,a\n");
        workshop.run_well(&["run", "p.yaml"]);
        assert_eq!(rows(&workshop), [json!({"id": 1, "name": "a"}), json!({"id": 2, "name": "b"})]);
    }
}

#[test]
fn a_stream_waits_for_files_that_are_still_empty() {
    let workshop = workshop("files: { path: \"in/*\", follow: 100ms }, schema: { id: int64 }", "", &[("in/a.csv", b"id\n1\n")]);
    workshop.write("in/b.csv", "");
    workshop.write("in/c.csv", "\n");
    let running = Running::spawn(workshop.wasmill(&["run", "p.yaml", "--mode", "stream", "--set", "epoch.every=200ms"]));
    wait_for(&workshop, 1);
    workshop.write("in/b.tmp", "id\n2\n");
    std::fs::rename(workshop.path("in/b.tmp"), workshop.path("in/b.csv")).unwrap();
    std::fs::write(workshop.path("in/c.csv"), "id\n3\n").unwrap();
    wait_for(&workshop, 3);
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(rows(&workshop), [json!({"id": 1}), json!({"id": 2}), json!({"id": 3})]);
}

fn wait_for(workshop: &Workshop, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while workshop.delta_rows("out/t").len() < count {
        assert!(Instant::now() < deadline, "{count} rows within a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_damaged_file_stops_the_run_or_is_set_aside_once() {
    let packed = gzip("{\"id\":1}\n{\"id\":2}\n");
    let mut cut = gzip(&(0..50_000).map(|id| format!("{{\"id\":{}}}\n", 1000 + id)).collect::<String>());
    cut.truncate(cut.len() / 2);
    let files: [(&str, &[u8]); 6] = [
        ("in/a.jsonl.gz", &packed),
        ("in/cut.jsonl.gz", &cut),
        ("in/damaged.parquet", b"PAR1 and then nothing"),
        ("in/gzip.jsonl", &packed),
        ("in/garbage.jsonl.gz", b"no gzip at all"),
        ("in/unclosed.json", b"[{\"id\":7},{\"id\":8},{\"id\":"),
    ];
    let workshop = workshop("files: { path: \"in/*\" }, schema: { id: int64 }", "", &files);
    let ended = workshop.run(&["run", "p.yaml"]);
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains("on_bad_file: set_aside") && !ended.stderr.contains("finished"), "{}", ended.stderr);

    let aside = ["run", "p.yaml", "--set", "sources.a.files.on_bad_file=set_aside"];
    let ended = workshop.run_well(&aside);
    assert!(ended.stderr.contains("note: a: 5 damaged files were set aside"), "{}", ended.stderr);
    let mut dead = codes(&workshop);
    dead.sort();
    let bad = |name: &str| (format!("in/{name}"), "bad-file".to_owned());
    let expected = ["cut.jsonl.gz", "damaged.parquet", "garbage.jsonl.gz", "gzip.jsonl", "unclosed.json"];
    assert_eq!(dead, expected.map(bad));
    let message = |file: &str| {
        let rows = workshop.jsonl_rows("out/dead");
        rows.iter().find(|row| row["partition"] == format!("in/{file}")).unwrap()["message"].as_str().unwrap().to_owned()
    };
    assert!(message("gzip.jsonl").contains("is gzip"), "{}", message("gzip.jsonl"));
    let ids: Vec<i64> = rows(&workshop).iter().map(|row| row["id"].as_i64().unwrap()).collect();
    let whole: Vec<i64> = ids.iter().copied().filter(|id| *id < 1000).collect();
    assert_eq!(whole, [1, 2, 7, 8], "what lies before the damage is kept");
    assert!(ids.contains(&1000) && ids.len() < 50_000, "of a file that is cut short, the rows before the cut: {}", ids.len());

    let again = workshop.run_well(&aside);
    assert!(again.stderr.contains("nothing new"), "{}", again.stderr);
    assert_eq!(codes(&workshop).len(), 5, "each is noted once");
}

/// What Python's own modules pack: the name of the file, and how.
const PACK: &str = r#"
import bz2, gzip, io, lzma, sys, tarfile, zipfile
text, folder = b"id\n1\n", sys.argv[1]
def tar():
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        entry = tarfile.TarInfo("data.csv"); entry.size = len(text); archive.addfile(entry, io.BytesIO(text))
    return whole.getvalue()
def zipped(*names):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name in names: archive.writestr(name, text)
    return whole.getvalue()
made = {
    "zip": zipped("data.csv"), "csv.zip": zipped("data.csv"), "empty.zip": zipped(), "csv": zipped("data.csv"), "csv.gz": zipped("data.csv"),
    "parquet": zipped("data.csv"), "xlsx": zipped("[Content_Types].xml", "xl/workbook.xml"), "csv.xz": lzma.compress(text), "csv.bz2": bz2.compress(text),
    "tar": tar(), "tar.gz": gzip.compress(tar()), "tgz": gzip.compress(tar()), "jsonl.gz": gzip.compress(tar()), "json": tar(),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(64), "twice.csv.gz": gzip.compress(gzip.compress(text)),
}
for name, content in made.items(): open(f"{folder}/{name}", "wb").write(content)
"#;

#[test]
fn archives_and_workbooks_are_named_with_what_to_do() {
    let packed = Workshop::new();
    let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python: `make test` sets it");
    let made = std::process::Command::new(python).args(["-c", PACK]).arg(packed.path("")).status().unwrap();
    assert!(made.success());
    let zip = ("a ZIP archive", "unpack it, as with `unzip`");
    let tar = ("a tar archive", "unpack it, as with `tar -xf`");
    let cases = [
        ("zip", zip),
        ("csv.zip", zip),
        ("empty.zip", zip),
        ("csv", zip),
        ("csv.gz", zip),
        ("parquet", zip),
        ("xlsx", ("an Excel workbook", "save its sheets as CSV")),
        ("csv.xz", ("xz", "unpack it, or pack it by gzip")),
        ("csv.bz2", ("bzip2", "unpack it, or pack it by gzip")),
        ("tar", tar),
        ("tar.gz", tar),
        ("tgz", tar),
        ("jsonl.gz", tar),
        ("json", tar),
        ("7z", ("a 7z archive", "unpack it")),
        ("twice.csv.gz", ("holds gzip", "it is packed twice")),
    ];
    for (form, (kind, hint)) in cases {
        for schema in ["", ", schema: { id: int64 }, columns: [id]"] {
            let file = format!("in/a.{form}");
            let workshop = workshop(&format!("files: {{ path: \"in/*\" }}{schema}"), "", &[("in/b.csv", b"id\n2\n")]);
            std::fs::copy(packed.path(form), workshop.path(&file)).unwrap();
            let ended = workshop.run(&["run", "p.yaml"]);
            assert!(ended.code != Some(0) && !ended.stderr.contains("finished"), "{form}: {}", ended.stderr);
            for told in [&file, kind, hint, "on_bad_file: set_aside"] {
                assert!(ended.stderr.contains(told), "{form}{schema}: {told} in {}", ended.stderr);
            }
            workshop.run_well(&["run", "p.yaml", "--set", "sources.a.files.on_bad_file=set_aside"]);
            assert_eq!(rows(&workshop), [json!({"id": 2})], "{form}{schema}");
            assert_eq!(codes(&workshop), [(file, "bad-file".to_owned())], "{form}{schema}");
        }
    }
}

#[test]
fn zeros_behind_a_gzip_file_are_padding() {
    let mut packed = gzip("{\"id\":1}\n");
    packed.extend(gzip("{\"id\":2}\n"));
    packed.extend([0; 512]);
    let workshop = workshop("files: { path: \"in/*\" }", "", &[("in/a.jsonl.gz", &packed)]);
    workshop.run_well(&["run", "p.yaml"]);
    assert_eq!(rows(&workshop), [json!({"id": 1}), json!({"id": 2})]);
}

#[test]
fn a_broken_element_of_an_array_costs_itself_only() {
    let files: [(&str, &[u8]); 4] = [
        ("in/a.json", b"[{\"id\":1},{\"id\":2}]\n[{\"id\":3}]\n"),
        ("in/b.json", b"[\n{\"id\":4}\n{\"id\":5}\n]\n"),
        ("in/c.json", b"[\n{\"id\":6},\n{\"id\":7,\"t\":\"open},\n{\"id\":8},\n{\"id\":9,\"o\":{,\n{\"id\":10}\n]\n"),
        ("in/d.json", b"[{\"id\":11},{\"id\":nonsense},{\"id\":12}]"),
    ];
    let workshop = workshop("files: { path: \"in/*\" }, schema: { id: int64 }", "", &files);
    workshop.run_well(&["run", "p.yaml"]);
    let mut ids: Vec<i64> = rows(&workshop).iter().map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 8, 10, 11, 12]);
    let mut records: Vec<String> = workshop.jsonl_rows("out/dead").iter().map(|row| row["record"].as_str().unwrap().to_owned()).collect();
    records.sort();
    assert_eq!(records, ["{\"id\":7,\"t\":\"open}", "{\"id\":9,\"o\":{", "{\"id\":nonsense}"]);
}

#[test]
fn a_stray_quote_in_a_large_csv_costs_its_line() {
    let mut text = String::from("id,name\n");
    for id in 0..1_000_000 {
        let quote = if id == 10 { "\"" } else { "" };
        text += &format!("{id},{quote}the name of {id}\n");
    }
    let workshop = workshop("files: { path: \"in/*\" }, schema: { id: int64, name: text }", "", &[("in/a.csv", text.as_bytes())]);
    assert!(text.len() > 17 << 20, "longer than a record may be");
    let ended = workshop.run_well(&["run", "p.yaml", "--json"]);
    let dead = workshop.jsonl_rows("out/dead");
    assert_eq!(dead.len(), 1, "{}", dead.len());
    assert_eq!((&dead[0]["record"], &dead[0]["code"]), (&json!("10,\"the name of 10"), &json!("malformed-csv")));
    let finished: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    let nodes = finished["summary"]["nodes"].as_array().unwrap();
    let table = nodes.iter().find(|node| node["name"] == "t").unwrap();
    assert_eq!(table["counts"]["rows_out"], 999_999);
}

#[test]
fn lines_may_end_with_carriage_returns() {
    for schema in ["", ", schema: { id: int64, name: text }"] {
        let source = format!("files: {{ path: \"in/*\" }}{schema}");
        let workshop = workshop(&source, "", &[("in/a.csv", b"id,name\r1,\"x\ny\"\r2,z\r")]);
        workshop.run_well(&["run", "p.yaml"]);
        assert_eq!(rows(&workshop), [json!({"id": 1, "name": "x\ny"}), json!({"id": 2, "name": "z"})]);
    }
    let mixed = workshop("files: { path: \"in/*\" }, schema: { id: int64 }", "", &[("in/a.csv", b"id\r1\n2\r")]);
    let ended = mixed.run(&["run", "p.yaml"]);
    assert!(ended.code != Some(0) && ended.stderr.contains("carriage returns"), "{}", ended.stderr);
}

#[test]
fn columns_stand_in_the_names_of_folders() {
    for (name, bytes) in [("x.jsonl", &b"{\"id\":1}\n"[..]), ("x.csv", b"id\n1\n"), ("x.json", b"[{\"id\":1}]")] {
        let (first, second) = (format!("in/year=2024/month=07/{name}"), format!("in/year=2025/month=__HIVE_DEFAULT_PARTITION__/{name}"));
        let files: [(&str, &[u8]); 2] = [(&first, bytes), (&second, bytes)];
        let expected = [json!({"id": 1, "month": "07", "year": 2024}), json!({"id": 1, "month": null, "year": 2025})];
        for schema in ["", ", schema: { id: int64, year: int64, month: text }"] {
            let workshop = workshop(&format!("files: {{ path: \"in/**/*\" }}{schema}"), "", &files);
            workshop.run_well(&["run", "p.yaml"]);
            let mut rows = rows(&workshop);
            rows.sort_by_key(|row| row["year"].as_i64());
            assert_eq!(rows, expected, "{name}{schema}");
        }
    }
    let unfit = workshop("files: { path: \"in/**/*\" }, schema: { id: int64, year: int64 }", "", &[("in/year=old/a.csv", b"id\n1\n")]);
    let ended = unfit.run(&["run", "p.yaml"]);
    assert!(ended.code != Some(0) && ended.stderr.contains("`year=old`"), "{}", ended.stderr);
}

#[test]
fn names_of_files_need_not_be_utf8() {
    use std::os::unix::ffi::OsStringExt;
    let workshop = workshop("files: { path: \"in/*\" }, schema: { id: int64, _source.path: text }", "", &[("in/a.jsonl", b"{\"id\":1}\n")]);
    for (byte, id) in [(0xe4, 2), (0xe5, 3)] {
        let name = std::ffi::OsString::from_vec([b"in/", &[byte][..], b".jsonl"].concat());
        std::fs::write(workshop.path("").join(name), format!("{{\"id\":{id}}}\n")).unwrap();
    }
    workshop.run_well(&["run", "p.yaml"]);
    let expected = [
        json!({"id": 1, "_source.path": "in/a.jsonl"}),
        json!({"id": 2, "_source.path": "in/\u{fffd}E4.jsonl"}),
        json!({"id": 3, "_source.path": "in/\u{fffd}E5.jsonl"}),
    ];
    let mut found = rows(&workshop);
    found.sort_by_key(|row| row["id"].as_i64());
    assert_eq!(found, expected);
    assert!(workshop.run_well(&["run", "p.yaml"]).stderr.contains("nothing new"));
}

/// Files whose last records have a column that the sample of 1,000 did not show.
fn late(name: &str) -> Vec<u8> {
    let is_csv = name.ends_with(".csv");
    let mut text = String::from(if is_csv { "id\n" } else { "" });
    (0..1500).for_each(|id| text += &if is_csv { format!("{id}\n") } else { format!("{{\"id\":{id}}}\n") });
    if !is_csv {
        (1500..1600).for_each(|id| text += &format!("{{\"id\":{id},\"late\":\"x{id}\",\"none\":null}}\n"));
    }
    text.into_bytes()
}

#[test]
fn a_column_that_comes_up_late_is_reported_with_its_count() {
    let (lines, table) = (late("a.jsonl"), late("a.csv"));
    for (files, count) in [
        (vec![("in/a.jsonl", &lines[..])], 100),
        (vec![("in/a.jsonl", &lines[..]), ("in/b.jsonl", b"{\"id\":-1,\"late\":\"y\"}\n")], 101),
        (vec![("in/a.csv", &table[..]), ("in/b.csv", b"id,late\n1,x\n2,y\n")], 2),
    ] {
        let workshop = workshop("files: { path: \"in/*\" }", "", &files);
        let ended = workshop.run_well(&["run", "p.yaml"]);
        let notes: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("note: ")).collect();
        assert_eq!(notes.len(), 1, "{}", ended.stderr);
        assert!(notes[0].contains(&format!("the column `late` of {count} records was not read")), "{}", notes[0]);
        let ended = workshop.run_well(&["check", "p.yaml"]);
        assert!(ended.stdout.contains("note[sampled-columns]: the columns of `a` come from a sample"), "{}", ended.stdout);
    }
}

#[test]
fn a_column_that_comes_up_late_is_added_where_the_table_may_grow() {
    let (lines, table) = (late("a.jsonl"), late("a.csv"));
    let grow = ", schema_evolution: add_columns";
    for (files, count) in [
        (vec![("in/a.jsonl", &lines[..])], 100),
        (vec![("in/a.jsonl", &lines[..]), ("in/b.jsonl", b"{\"id\":-1,\"late\":\"y\",\"later\":7}\n")], 101),
        (vec![("in/a.csv", &table[..]), ("in/b.csv", b"id,late\n1,x\n2,y\n")], 2),
    ] {
        let workshop = workshop("files: { path: \"in/*\" }", grow, &files);
        let ended = workshop.run_well(&["run", "p.yaml", "--set", "epoch.rows=200", "--set", "batch_rows=100"]);
        assert!(ended.stderr.contains("a has new columns in in/") && !ended.stderr.contains("note: "), "{}", ended.stderr);
        let all: usize =
            files.iter().map(|(name, bytes)| bytes.split(|byte| *byte == b'\n').count() - 1 - usize::from(name.ends_with("csv"))).sum();
        let rows = rows(&workshop);
        assert_eq!(rows.len(), all, "every row once");
        assert_eq!(rows.iter().filter(|row| row["late"].is_string()).count(), count);
        let mut ids: Vec<i64> = rows.iter().filter(|row| row["late"].is_null()).map(|row| row["id"].as_i64().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..1500).collect::<Vec<_>>());
        // The next run knows the column from nothing but new records, too.
        workshop.write(
            if files[0].0.ends_with("csv") { "in/c.csv" } else { "in/c.jsonl" },
            if files[0].0.ends_with("csv") { "id,late\n5,z\n" } else { "{\"id\":5,\"late\":\"z\"}\n" },
        );
        workshop.run_well(&["run", "p.yaml"]);
        assert_eq!(workshop.delta_rows("out/t").iter().filter(|row| row["late"] == "z").count(), 1);
    }
}

#[test]
fn a_stream_takes_columns_up_as_they_come() {
    let workshop =
        workshop("files: { path: \"in/*\", follow: 100ms }", ", schema_evolution: add_columns", &[("in/a.jsonl", b"{\"id\":1}\n")]);
    let running = Running::spawn(workshop.wasmill(&["run", "p.yaml", "--mode", "stream", "--set", "epoch.every=200ms"]));
    wait_for(&workshop, 1);
    let mut file = std::fs::OpenOptions::new().append(true).open(workshop.path("in/a.jsonl")).unwrap();
    file.write_all(b"{\"id\":2,\"new\":true}\n").unwrap();
    wait_for(&workshop, 2);
    workshop.write("in/b.jsonl", "{\"id\":3,\"newer\":1.5}\n");
    wait_for(&workshop, 3);
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut found = rows(&workshop);
    found.sort_by_key(|row| row["id"].as_i64());
    let row = |id: i64, new: Value, newer: Value| json!({"id": id, "new": new, "newer": newer});
    assert_eq!(found, [row(1, Value::Null, Value::Null), row(2, json!(true), Value::Null), row(3, Value::Null, json!(1.5))]);
}

#[test]
fn a_table_may_lie_beside_the_folder() {
    let workshop = Workshop::new();
    workshop.write("sub/in/a.jsonl", "{\"id\":1}\n");
    workshop.write("sub/p.yaml", &pipeline("files: { path: \"in/*\" }", "").replace("out/t", "../lake/t"));
    let mut command = workshop.wasmill(&["run", "p.yaml"]);
    command.current_dir(workshop.path("sub"));
    let ended = Running::spawn(command).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(workshop.delta_rows("lake/t"), [json!({"id": 1})]);
    workshop.write(
        "sub/q.yaml",
        "name: q\nsources: { a: { delta: { uri: ../lake/t } } }\nsinks: { t: { from: a, files: { path: out, format: jsonl } } }\n",
    );
    let mut command = workshop.wasmill(&["run", "q.yaml"]);
    command.current_dir(workshop.path("sub"));
    let ended = Running::spawn(command).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(workshop.jsonl_rows("sub/out"), [json!({"id": 1})]);
}
