//! Columns of times that nobody described: which texts a sample takes for times, and what becomes of later ones of another form.

use serde_json::{Value, json};

use crate::support::Workshop;
use crate::values::{moved, reasons};

/// The columns of the samples below: names and values of two records.
const COLUMNS: [(&str, [&str; 2]); 9] = [
    ("day", ["2022-07-07", "0001-01-01"]),
    ("local", ["2022-07-07T00:18:41", "2022-07-07 00:18:41.25"]),
    ("zoned", ["2022-07-07T00:18:41Z", "2022-07-07 02:18:41+02:00"]),
    ("mixed", ["2022-07-07T00:18:41", "2022-07-07T00:18:41Z"]),
    ("dayed", ["2022-07-07", "2022-07-07T00:18:41"]),
    ("nanos", ["2022-07-07T00:18:41.123456789", "2022-07-07T00:18:41"]),
    ("clock", ["00:18:41", "00:18"]),
    ("local_day", ["07/07/2022", "08/07/2022"]),
    ("number", ["20220707", "20220708"]),
];

fn csv() -> String {
    let line = |fields: Vec<&str>| fields.join(",") + "\n";
    line(COLUMNS.map(|(name, _)| name).to_vec())
        + &line(COLUMNS.map(|(_, values)| values[0]).to_vec())
        + &line(COLUMNS.map(|(_, values)| values[1]).to_vec())
}

fn json_lines() -> String {
    let line = |record: usize| {
        let value = |text: &str| text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number));
        let record: serde_json::Map<String, Value> =
            COLUMNS.iter().map(|(name, values)| ((*name).to_owned(), value(values[record]))).collect();
        serde_json::to_string(&record).unwrap() + "\n"
    };
    line(0) + &line(1)
}

#[test]
fn a_column_whose_texts_are_times_of_one_form_is_one_of_times() {
    let types =
        "day date, local timestamp, zoned timestamp(us, UTC), mixed text, dayed text, nanos text, clock text, local_day text, number int64";
    let expected = |record: usize| {
        let mut row: serde_json::Map<String, Value> =
            COLUMNS.iter().map(|(name, values)| ((*name).to_owned(), json!(values[record]))).collect();
        row.insert("number".into(), json!(20_220_707 + record));
        row.insert("local".into(), json!(["2022-07-07 00:18:41+00:00", "2022-07-07 00:18:41.250000+00:00"][record]));
        row.insert("zoned".into(), json!("2022-07-07 00:18:41+00:00"));
        Value::Object(row)
    };
    for (name, text) in [("a.csv", csv()), ("a.jsonl", json_lines())] {
        let workshop = Workshop::new();
        workshop.write(&format!("in/{name}"), &text);
        let (mut rows, dead) = moved(&workshop, "files: { path: \"in/*\" }");
        rows.sort_by_key(|row| row["number"].as_i64());
        assert_eq!((rows, dead), (vec![expected(0), expected(1)], vec![]), "{name}");
        let told = workshop.run_well(&["check", "p.yaml"]).stdout;
        let shown: Vec<&str> = told.lines().filter(|line| line.contains("day date")).collect();
        // JSON objects have no order of their own.
        assert!(name != "a.csv" || shown == [format!("  = help: {types}")], "{told}");
        // A type in `schema` is read as leniently as ever.
        let (rows, dead) =
            moved(&Workshop::of(&[(&format!("in/{name}"), &text)]), "files: { path: \"in/*\" }, schema: { mixed: timestamp, day: text }");
        assert_eq!((rows.len(), dead.len()), (2, 0), "{name}");
        assert!(rows.iter().all(|row| row["mixed"] == "2022-07-07 00:18:41+00:00"), "{rows:?}");
    }
}

#[test]
fn a_later_time_of_another_form_is_rejected_with_its_reason() {
    let odd = [
        ("2022-07-08T10:00:00", "2022-07-08", "2022-07-08"),
        ("2022-07-08", "2022-07-08T10:00:00+02:00", "2022-07-08T10:00:00"),
        ("NA", "2022-07-08T10:00:00.1234567", "08.07.2022"),
        ("2022-07-08", "2022-07-08 10:00:00.5", "2022-07-08T10:00:00-05:00"),
    ];
    let good = ("2022-07-07", "2022-07-07T00:18:41", "2022-07-07T00:18:41Z");
    let records: Vec<_> = std::iter::repeat_n(good, 1_500).chain(odd).enumerate().collect();
    let csv = records.iter().map(|(id, (day, local, zoned))| format!("{id},{day},{local},{zoned}\n"));
    let csv = String::from("id,day,local,zoned\n") + &csv.collect::<String>();
    let line = |(id, (day, local, zoned)): &(usize, (&str, &str, &str))| {
        format!("{{\"id\":{id},\"day\":\"{day}\",\"local\":\"{local}\",\"zoned\":\"{zoned}\"}}\n")
    };
    let lines: String = records.iter().map(line).collect();
    for (name, text) in [("a.csv", csv), ("a.jsonl", lines)] {
        let (rows, dead) = moved(&Workshop::of(&[(&format!("in/{name}"), &text)]), "files: { path: \"in/*\" }");
        assert_eq!(rows.len(), 1_501, "{name}");
        let last =
            json!({"id": 1_503, "day": "2022-07-08", "local": "2022-07-08 10:00:00.500000+00:00", "zoned": "2022-07-08 15:00:00+00:00"});
        assert_eq!(rows.last(), Some(&last), "{name}");
        let sampled = |column: &str| format!("; the type comes from a sample: name another one in `schema: {{ {column}: … }}`");
        let told = [
            "bad-value day: \"2022-07-08T10:00:00\" is not a date such as 2022-07-07".to_owned() + &sampled("day"),
            "bad-value local: \"2022-07-08T10:00:00+02:00\" has a time zone, and the column is read as timestamp".to_owned()
                + &sampled("local"),
            "bad-value day: \"NA\" is not a date such as 2022-07-07".to_owned() + &sampled("day"),
        ];
        assert_eq!(reasons(&dead), told, "{name}");
    }
    for (value, why) in [
        ("2022-07-08", "has no time of day, and the column is read as timestamp(us, UTC)"),
        ("2022-07-08T10:00:00", "has no time zone, and the column is read as timestamp(us, UTC)"),
    ] {
        let text: String = (0..1_200).map(|_| "{\"o\":[{\"at\":\"2022-07-07T00:18:41Z\"}]}\n".to_owned()).collect();
        let text = text + &format!("{{\"o\":[{{\"at\":\"{value}\"}}]}}\n");
        let (rows, dead) = moved(&Workshop::of(&[("in/a.jsonl", &text)]), "files: { path: \"in/*\" }");
        assert_eq!(rows.len(), 1_200);
        assert_eq!(rows[0], json!({"o": [{"at": "2022-07-07 00:18:41+00:00"}]}));
        let told = format!("bad-value o[].at: {value:?} {why}; the type comes from a sample: name another one in `schema: {{ o: … }}`");
        assert_eq!(reasons(&dead), [told]);
    }
}

#[test]
fn dates_in_the_names_of_folders_are_dates() {
    let files = [("in/day=2022-07-07/a.csv", "id\n1\n"), ("in/day=2022-07-08/a.csv", "id\n2\n")];
    let (rows, dead) = moved(&Workshop::of(&files), "files: { path: \"in/**/*\" }");
    assert_eq!((rows, dead), (vec![json!({"id": 1, "day": "2022-07-07"}), json!({"id": 2, "day": "2022-07-08"})], vec![]));
    let workshop = Workshop::of(&files);
    moved(&workshop, "files: { path: \"in/**/*\" }");
    let told = workshop.run_well(&["check", "p.yaml"]).stdout;
    assert!(told.contains("id int64, day date"), "{told}");
}
