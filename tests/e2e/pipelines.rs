//! Every file under `pipelines/` runs.

use crate::kafka_broker::{Producer, address, committed, create};
use crate::s3_to_delta::put_topics;
use crate::support::{Database, KinesisStream, MysqlDatabase, Pins, Running, Store, Workshop, kinesis_address, repository};

#[test]
fn every_shipped_pipeline_is_without_mistakes_and_runs() {
    let mut pipelines: Vec<_> = std::fs::read_dir(repository().join("pipelines")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pipelines.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(!pipelines.is_empty());
    for path in pipelines {
        let workshop = Workshop::new();
        // What the shipped pipelines read: the folders that `wasmill emulate` fills, here with rows of our own.
        workshop.run_well(&["emulate", "--out", "data", "--rows", "2000", "--seed", "7"]);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::copy(&path, workshop.path(&name)).unwrap();
        let store = Store::new();
        let streams = if name.starts_with("kinesis-") { kinesis_streams(&workshop) } else { Vec::new() };
        let mut servers = match name.split('-').next() {
            Some("kafka") => kafka_topics(&workshop),
            Some("popularity.yaml") => kafka_topics(&workshop).into_iter().filter(|set| set.starts_with("sources.pins.")).collect(),
            Some("kinesis") => kinesis_endpoints(),
            Some("s3") => put_topics(&workshop, &store),
            _ => Vec::new(),
        };
        if name == "kafka-to-s3.yaml" {
            let places = ["pin", "geo", "user"].map(|table| format!("sinks.raw_{table}s.s3.uri={}/{table}/topics", store.prefix));
            servers.extend(places);
            servers.push(format!("dead_letters.s3.uri={}/dead", store.prefix));
        }
        workshop.write("data/pin/more.jsonl", &Pins(0..100).lines());
        let set = servers.iter().flat_map(|server| ["--set", server.as_str()]);
        let arguments: Vec<&str> = ["run", &name, "--mode", "batch"].into_iter().chain(set).collect();
        let database = Database::new();
        let mut command = workshop.wasmill(&arguments);
        command.env("PG_URL", database.url());
        let tables = (name == "mysql-to-delta.yaml").then(|| mysql_tables(&workshop));
        command.envs(tables.iter().map(|tables| ("MYSQL_URL", tables.url())));
        Store::environment(&mut command);
        let ended = Running::spawn(command).wait();
        assert_eq!(ended.code, Some(0), "{name}:\n{}\n{}", ended.stdout, ended.stderr);
        if name == "kafka-to-s3.yaml" {
            check_landed(&workshop, &store);
        }
        assert!(ended.stderr.contains("rows in"), "{name}: no closing table:\n{}", ended.stderr);
        if tables.is_some() {
            let rows = ["pin", "geo", "user"].map(|table| workshop.delta_rows(&format!("out/mysql/{table}_table")).len());
            assert_eq!(rows, [2_000; 3], "{name}");
        }
        if !streams.is_empty() {
            let tables = ["pin", "geo", "user"].map(|table| workshop.delta_rows(&format!("out/kinesis/{table}_table")).len());
            assert!(tables.iter().all(|rows| *rows > 0), "{name}: {tables:?}");
            let landed = tables.iter().sum::<usize>() + workshop.jsonl_rows("out/kinesis/dead_letters").len();
            assert_eq!(landed, streams.iter().map(|(_, rows)| rows).sum::<usize>(), "{name}: every record ends once");
        }
    }
}

/// Fills the topics of the shipped pipelines with the rows in the workshop, once: every pipeline reads the same. Answers what to set.
fn kafka_topics(workshop: &Workshop) -> Vec<String> {
    static FILLED: std::sync::Once = std::sync::Once::new();
    FILLED.call_once(|| fill_topics(workshop));
    ["pins", "geos", "users"].map(|source| format!("sources.{source}.kafka.connection.brokers={}", address())).into()
}

fn fill_topics(workshop: &Workshop) {
    let producer = Producer::new(&[]);
    for table in ["pin", "geo", "user"] {
        let topic = format!("pinterest.{table}");
        create(&topic, 2);
        let rows = workshop.jsonl_rows(&format!("data/{table}"));
        assert!(!rows.is_empty(), "the emulator has made rows of {table}");
        rows.iter().enumerate().for_each(|(number, row)| producer.send(&topic, number as i32 % 2, row.to_string().as_bytes()));
    }
    producer.flush();
}

/// Every record of the topics is a line of an object, as it was.
fn check_landed(workshop: &Workshop, store: &Store) {
    for table in ["pin", "geo", "user"] {
        let folder = workshop.path(&format!("landed/{table}"));
        store.copy_to(&format!("{table}/topics"), &folder);
        let texts = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let mut landed: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let records = committed(&format!("pinterest.{table}")).into_iter();
        let mut sent: Vec<String> = records.map(|record| String::from_utf8(record.value.unwrap()).unwrap()).collect();
        landed.sort_unstable();
        sent.sort_unstable();
        assert!(!sent.is_empty() && landed == sent, "{table}: other records landed than were sent");
    }
}

/// Fills the streams of the shipped pipeline with the rows in the workshop. Answers them, and how many rows each has.
fn kinesis_streams(workshop: &Workshop) -> Vec<(KinesisStream, usize)> {
    let fill = |table| {
        let stream = KinesisStream::named(&format!("streaming-mill-{table}"), 2);
        let rows = workshop.jsonl_rows(&format!("data/{table}"));
        assert!(!rows.is_empty(), "the emulator has made rows of {table}");
        let records: Vec<_> = rows.iter().enumerate().map(|(number, row)| (format!("partition-{number}"), row.to_string())).collect();
        stream.put(&records);
        (stream, rows.len())
    };
    ["pin", "geo", "user"].map(fill).into()
}

fn kinesis_endpoints() -> Vec<String> {
    ["pins", "geos", "users"].map(|source| format!("sources.{source}.kinesis.connection.endpoint={}", kinesis_address())).into()
}

/// The tables of the shipped pipeline, with clean rows: types of columns leave little room for dirt.
fn mysql_tables(workshop: &Workshop) -> MysqlDatabase {
    let database = MysqlDatabase::new();
    database.run(
        "CREATE TABLE pinterest_data (`index` bigint PRIMARY KEY, unique_id text, title text, description text, poster_name text, follower_count text, \
         tag_list text, is_image_or_video text, image_src text, downloaded int, save_location text, category text); \
         CREATE TABLE geolocation_data (ind bigint PRIMARY KEY, timestamp datetime, latitude double, longitude double, country text); \
         CREATE TABLE user_data (ind bigint PRIMARY KEY, first_name text, last_name text, age int, date_joined datetime)",
    );
    workshop.run_well(&["emulate", "--out", "clean", "--rows", "2000", "--seed", "7", "--dirt", "none"]);
    for (table, name) in [("pin", "pinterest_data"), ("geo", "geolocation_data"), ("user", "user_data")] {
        let rows = workshop.jsonl_rows(&format!("clean/{table}"));
        let columns: Vec<String> = rows[0].as_object().unwrap().keys().map(|column| format!("`{column}`")).collect();
        let row = |row: &serde_json::Value| {
            let value = |value: &serde_json::Value| match value.as_str() {
                Some(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
                None => value.to_string(),
            };
            format!("({})", row.as_object().unwrap().values().map(value).collect::<Vec<_>>().join(", "))
        };
        let rows: Vec<String> = rows.iter().map(row).collect();
        database.run(&format!("INSERT INTO {name} ({}) VALUES {}", columns.join(", "), rows.join(", ")));
    }
    database
}
