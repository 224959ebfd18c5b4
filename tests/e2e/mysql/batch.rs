//! Tables and queries in batch.

use std::time::Duration;

use serde_json::{Value, json};

use super::same_rows;
use crate::support::{Database, MysqlDatabase, MysqlServer, Proxy, Random, Running, Workshop, number_from_environment};

/// A pipeline of one table, with a sink in YAML.
fn pipeline(sink: &str) -> String {
    format!(
        r#"
name: copy
lanes: 2
batch_rows: 300
connections:
  rds: {{ url: "${{env:MYSQL_URL}}" }}
sources:
  rows: {{ mysql: {{ connection: rds, query: "SELECT ind, title, amount, born, seen, ind % 2 = 0 AS even FROM posts", order_by: [ind] }} }}
sinks:
  copy: {{ from: rows, {sink} }}
dead_letters:
  files: {{ path: out/dead, format: jsonl }}
epoch: {{ rows: 1000 }}
"#
    )
}

const ROWS: u64 = 6_000;

fn filled(database: &MysqlDatabase) {
    database.run(&format!(
        "CREATE TABLE posts (ind bigint unsigned PRIMARY KEY, title varchar(50), amount decimal(12,3), born date, seen datetime(6)); \
         INSERT INTO posts SELECT seq + 18446744073709540000, CONCAT('Tïtle ', seq, ' 😀'), seq / 7, '2000-01-01' + INTERVAL seq DAY, \
         IF(seq % 11 = 0, NULL, '2022-07-07 00:00:00.000001' + INTERVAL seq SECOND) FROM seq_1_to_{ROWS}"
    ));
}

struct Copy {
    workshop: Workshop,
    database: MysqlDatabase,
    postgres: Option<Database>,
}

impl Copy {
    fn new(sink: &str) -> Self {
        let (workshop, database) = (Workshop::new(), MysqlDatabase::new());
        filled(&database);
        workshop.write("copy.yaml", &pipeline(sink));
        let postgres = sink.contains("postgres").then(Database::new);
        Self { workshop, database, postgres }
    }

    fn start(&self, failpoints: &str) -> Running {
        let mut command = self.workshop.wasmill(&["run", "copy.yaml"]);
        command.env("MYSQL_URL", self.database.url()).env("FAILPOINTS", failpoints);
        command.envs(self.postgres.iter().map(|postgres| ("PG_URL", postgres.url())));
        Running::spawn(command)
    }

    /// Kills it at points of every phase and at random, and lets it come to its end.
    fn kill_again_and_again(&self, name: &str, points: &[&str]) {
        for point in points {
            let ended = self.start(&format!("{point}return(kill)")).wait();
            assert_eq!(ended.code, None, "{point}: {}", ended.stderr);
        }
        let mut random = Random::of(name);
        for _ in 0..number_from_environment("WASMILL_CRASH_KILLS", 3) {
            let mut running = self.start("");
            let ended = running.ends_within(Duration::from_millis(50 + random.below(500)));
            running.kill();
            if ended {
                break;
            }
        }
        let ended = self.start("").wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        // It is done: nothing is read again.
        let ended = self.start("").wait();
        assert!(ended.code == Some(0) && ended.stderr.contains("nothing new"), "{}", ended.stderr);
        assert!(self.workshop.jsonl_rows("out/dead").is_empty());
    }

    /// What another client reads, with the texts of JSON lines.
    fn expected(&self) -> Vec<Value> {
        let rows = self.database.rows(
            "SELECT ind, title, CAST(amount AS CHAR) AS amount, CAST(born AS CHAR) AS born, \
             DATE_FORMAT(seen, '%Y-%m-%dT%H:%i:%s.%f') AS seen, ind % 2 = 0 AS even FROM posts",
        );
        rows.into_iter()
            .map(|mut row| {
                row["even"] = json!(row["even"].as_i64());
                row
            })
            .collect()
    }
}

#[test]
fn a_query_is_copied_into_files_exactly_once_wherever_the_copying_is_killed() {
    let copy = Copy::new("files: { path: out/copy, format: jsonl }");
    copy.kill_again_and_again(
        "mysql into files",
        &[
            "lane-after-batch=5*off->",
            "engine-before-checkpoint=1*off->",
            "engine-after-checkpoint=1*off->",
            "files-commit-after-token=1*off->",
        ],
    );
    same_rows(copy.workshop.jsonl_rows("out/copy"), copy.expected());
}

#[test]
fn a_query_is_copied_into_postgres_exactly_once_wherever_the_copying_is_killed() {
    let copy = Copy::new(r#"postgres: { connection: { url: "${env:PG_URL}" }, table: copy }"#);
    copy.kill_again_and_again(
        "mysql into postgres",
        &[
            "lane-after-batch=5*off->",
            "engine-before-checkpoint=1*off->",
            "postgres-commit-before-commit=1*off->",
            "postgres-commit-after-commit=1*off->",
        ],
    );
    let postgres = copy.postgres.as_ref().unwrap();
    let found = postgres.run(
        "SELECT json_build_object('ind', ind, 'title', title, 'amount', amount::text, 'born', born::text, \
         'seen', to_char(seen, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), 'even', even) FROM copy",
    );
    same_rows(crate::support::json_lines(found.as_bytes()), copy.expected());
}

#[test]
fn a_query_is_copied_into_delta_exactly_once_wherever_the_copying_is_killed() {
    // Delta has unsigned numbers of 64 bits as decimals, which its reader shows as texts.
    let copy = Copy::new("delta: { uri: out/copy }");
    copy.kill_again_and_again(
        "mysql into delta",
        &[
            "lane-after-batch=5*off->",
            "engine-after-checkpoint=1*off->",
            "delta-commit-before-log=1*off->",
            "delta-commit-after-log=1*off->",
        ],
    );
    let number = |row: &Value| row["ind"].as_str().and_then(|ind| ind.parse::<u64>().ok());
    let rows = copy.workshop.delta_rows("out/copy").into_iter();
    let found = rows.map(|row| json!({ "ind": number(&row), "title": row["title"], "amount": row["amount"], "born": row["born"] }));
    let expected = copy.database.rows("SELECT ind, title, CAST(amount AS CHAR) AS amount, CAST(born AS CHAR) AS born FROM posts");
    same_rows(found.collect(), expected);
}

#[test]
fn a_run_survives_a_server_that_is_killed_in_the_middle_of_it() {
    let mut server = MysqlServer::start();
    let database = server.database();
    let workshop = Workshop::new();
    filled(&database);
    workshop.write("copy.yaml", &pipeline("files: { path: out/copy, format: jsonl }"));
    let proxy = Proxy::before(database.server());
    // Slow enough to be in the middle of it for a while.
    proxy.throttle(150_000);
    let mut command = workshop.wasmill(&["run", "copy.yaml"]);
    command.env("MYSQL_URL", database.url_through(proxy.address()));
    let running = Running::spawn(command);
    crate::support::until("an epoch is there", || !workshop.jsonl_rows("out/copy").is_empty());
    server.kill();
    server.start_again();
    proxy.throttle(100_000_000);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut numbers: Vec<u64> = workshop.jsonl_rows("out/copy").iter().map(|row| row["ind"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq((1..=ROWS).map(|row| row + 18_446_744_073_709_540_000)), "each row once");
}

#[test]
fn a_check_finds_what_is_missing_on_the_server_and_asks_none_offline() {
    let (workshop, database) = (Workshop::new(), MysqlDatabase::new());
    let yaml = "name: there\nsources:\n  rows: { mysql: { connection: { url: \"${env:MYSQL_URL}\" }, table: posts, order_by: [id] } }\nsinks:\n\
                \x20 t: { from: rows, files: { path: out/t, format: jsonl } }\ndead_letters: { files: { path: out/dead, format: jsonl } }\n";
    workshop.write("p.yaml", yaml);
    let run = |arguments: &[&str], url: String| {
        let mut command = workshop.wasmill(arguments);
        command.env("MYSQL_URL", url);
        Running::spawn(command).wait()
    };
    let ended = run(&["check", "p.yaml"], database.url());
    for told in ["error[mysql/missing]", "posts' doesn't exist (error 1146)", "p.yaml:3"] {
        assert!(ended.code == Some(5) && ended.stdout.contains(told), "{told} in {}", ended.stdout);
    }
    database.run("CREATE TABLE posts (ind integer, shape double)");
    let ended = run(&["check", "p.yaml"], database.url());
    assert!(ended.code == Some(2) && ended.stdout.contains("error[mysql/order-by]: `rows`: `order_by` names `id`"), "{}", ended.stdout);
    let ended = run(&["check", "p.yaml", "--offline"], "mysql://nobody:hunter2@127.0.0.1:1/none".into());
    assert!(
        ended.code == Some(0) && ended.stdout.contains("mysql 127.0.0.1:1/none") && !ended.stdout.contains("hunter2"),
        "{}",
        ended.stdout
    );
    database.run("ALTER TABLE posts ADD COLUMN id integer NOT NULL PRIMARY KEY");
    let ended = run(&["doctor", "p.yaml"], database.url());
    assert!(ended.code == Some(0) && ended.stdout.contains("posts can be read: 3 columns"), "{}{}", ended.stdout, ended.stderr);
}
