//! Rows of a PostgreSQL server into a Delta table, wherever the copying is killed.

use serde_json::json;

use crate::support::{Database, Running, Workshop};

const PIPELINE: &str = r#"
name: copy
lanes: 2
batch_rows: 300
sources:
  rows: { postgres: { connection: { url: "${env:PG_URL}" }, query: "SELECT ind, title, ind % 2 = 0 AS even FROM posts", order_by: [ind] } }
sinks:
  copy: { from: rows, delta: { uri: out/copy } }
dead_letters:
  files: { path: out/dead, format: jsonl }
epoch: { rows: 1000 }
"#;

#[test]
fn a_query_is_copied_exactly_once_wherever_the_copying_is_killed() {
    let (workshop, database) = (Workshop::new(), Database::new());
    database.run("CREATE TABLE posts (ind bigint PRIMARY KEY, title text); INSERT INTO posts SELECT n, 'Title ' || n FROM generate_series(0, 5999) n");
    workshop.write("copy.yaml", PIPELINE);
    let run = |failpoints: Option<&str>| {
        let mut command = workshop.wasmill(&["run", "copy.yaml"]);
        command.env("PG_URL", database.url());
        if let Some(points) = failpoints {
            command.env("FAILPOINTS", points);
        }
        Running::spawn(command).wait()
    };
    for point in [
        "lane-after-batch=5*off->return(kill)",
        "engine-before-checkpoint=1*off->return(kill)",
        "engine-after-checkpoint=1*off->return(kill)",
        "delta-commit-after-log=1*off->return(kill)",
    ] {
        let ended = run(Some(point));
        assert_eq!(ended.code, None, "{point}: {}", ended.stderr);
    }
    let ended = run(None);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(workshop.delta_numbers("out/copy").into_iter().eq(0..6_000), "each row once");
    // It is done: nothing is read again.
    let ended = run(None);
    assert!(ended.code == Some(0) && ended.stderr.contains("nothing new"), "{}", ended.stderr);
}

#[test]
fn a_check_finds_a_schema_that_is_missing_on_the_server() {
    let (workshop, database) = (Workshop::new(), Database::new());
    workshop.write("in/a.jsonl", "{\"id\":1}\n");
    workshop.write(
        "p.yaml",
        "name: there\nsources:\n  rows: { files: { path: \"in/*\" }, schema: { id: int64 } }\nsinks:\n\
         \x20 t: { from: rows, postgres: { connection: { url: \"${env:PG_URL}\" }, table: archive.posts } }\n\
         dead_letters: { files: { path: out/dead, format: jsonl } }\n",
    );
    let run = |command: &str| {
        let mut command = workshop.wasmill(&[command, "p.yaml"]);
        command.env("PG_URL", database.url());
        Running::spawn(command).wait()
    };
    for (ended, printed) in [("check", true), ("run", false)].map(|(command, on_stdout)| (run(command), on_stdout)) {
        let text = if printed { &ended.stdout } else { &ended.stderr };
        assert_eq!(ended.code, Some(2), "{text}");
        for told in ["error[postgres/missing]: `t`: `table`: the schema archive does not exist", "p.yaml:5", "CREATE SCHEMA archive"] {
            assert!(text.contains(told), "{told} in {text}");
        }
    }
    database.run("CREATE SCHEMA archive");
    let ended = run("check");
    assert!(ended.code == Some(0) && ended.stdout.contains("no mistakes"), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(run("run").code, Some(0));
    assert_eq!(database.numbers("archive.posts", "id"), [1]);
}

#[test]
fn a_schema_gives_types_to_single_columns_of_a_table_and_columns_picks_some() {
    let (workshop, database) = (Workshop::new(), Database::new());
    database.run("CREATE TABLE posts (id bigint, code text, at date); INSERT INTO posts VALUES (1, '7', '2022-07-07'), (2, 'x', NULL)");
    let run = |command: &str, keys: &str, sink: &str| {
        let pipeline = format!(
            "name: {sink}\nsources:\n  rows: {{ postgres: {{ connection: {{ url: \"${{env:PG_URL}}\" }}, table: posts }}, {keys}, max_reject_share: 100% }}\n\
             sinks:\n  t: {{ from: rows, delta: {{ uri: out/{sink} }} }}\ndead_letters: {{ files: {{ path: out/dead, format: jsonl }} }}\n"
        );
        workshop.write(&format!("{sink}.yaml"), &pipeline);
        let mut command = workshop.wasmill(&[command, &format!("{sink}.yaml")]);
        command.env("PG_URL", database.url());
        Running::spawn(command).wait()
    };
    let ended = run("run", "schema: { code: int64 }", "typed");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(workshop.delta_rows("out/typed"), [json!({"id": 1, "code": 7, "at": "2022-07-07"})]);
    let ended = run("run", "columns: [at, id]", "picked");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut rows = workshop.delta_rows("out/picked");
    rows.sort_by_key(|row| row["id"].as_i64());
    assert_eq!(rows, [json!({"id": 1, "at": "2022-07-07"}), json!({"id": 2, "at": null})]);
    let ended = run("check", "columns: [id], schema: { cod: int64 }", "odd");
    assert!(ended.code == Some(2) && ended.stdout.contains("`columns` does not pick it"), "{}", ended.stdout);
    let ended = run("check", "schema: { cod: int64 }", "missing");
    assert!(ended.code == Some(2) && ended.stdout.contains("error[column-missing]: `rows` has no column `cod`"), "{}", ended.stdout);
}
