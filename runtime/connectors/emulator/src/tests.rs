//! What the rows must be, measured: shape, proportions of dirt, and that they join.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::*;

const ROWS: u64 = 20_000;

fn generator(dirt: Dirt) -> Generator {
    Generator::new(42, &dirt)
}

fn line(generator: &Generator, table: Table, row: u64) -> Vec<u8> {
    let mut out = Vec::new();
    generator.write(table, row, &mut out);
    out
}

fn objects(dirt: Level, table: Table, rows: u64) -> Vec<Map<String, Value>> {
    let generator = generator(Dirt::Level(dirt));
    (0..rows)
        .map(|row| {
            let line = line(&generator, table, row);
            serde_json::from_slice(&line).unwrap_or_else(|error| panic!("row {row}: {error}: {}", String::from_utf8_lossy(&line)))
        })
        .collect()
}

fn only(kind: &str, share: f64) -> Dirt {
    serde_json::from_value(serde_json::json!({ kind: share })).unwrap()
}

fn share_of<T>(rows: &[T], matching: impl Fn(&T) -> bool) -> f64 {
    rows.iter().filter(|row| matching(row)).count() as f64 / rows.len() as f64
}

/// Asserts that a share is the configured one, within four standard deviations.
#[track_caller]
fn assert_share(found: f64, expected: f64, rows: usize) {
    let tolerance = 4.0 * (expected * (1.0 - expected) / rows as f64).sqrt();
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected} ± {tolerance}");
}

#[test]
fn a_row_depends_on_seed_table_and_number_only() {
    let one = generator(Dirt::Level(Level::Heavy));
    let backwards: Vec<_> = (0..500).rev().map(|row| line(&one, Table::Pin, row)).collect();
    let forwards: Vec<_> = (0..500).map(|row| line(&one.clone(), Table::Pin, row)).collect();
    assert_eq!(forwards, backwards.into_iter().rev().collect::<Vec<_>>());
    let other = Generator::new(43, &Dirt::Level(Level::Heavy));
    assert_ne!(forwards[7], line(&other, Table::Pin, 7));
}

#[test]
fn rows_of_earlier_releases_stay_the_same() {
    let clean = generator(Dirt::Level(Level::None));
    let row = |table| String::from_utf8(line(&clean, table, 3)).unwrap();
    assert_eq!(row(Table::Geo), GEO_3);
    assert_eq!(row(Table::User), USER_3);
    assert_eq!(row(Table::Pin), PIN_3);
}

#[test]
fn columns_are_those_of_the_real_tables_in_their_order() {
    let columns = |table| objects(Level::None, table, 1)[0].keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        columns(Table::Pin),
        "index unique_id title description poster_name follower_count tag_list is_image_or_video image_src downloaded save_location category"
    );
    assert_eq!(columns(Table::Geo), "ind timestamp latitude longitude country");
    assert_eq!(columns(Table::User), "ind first_name last_name age date_joined");
}

#[test]
fn pins_have_the_size_of_real_ones() {
    let generator = generator(Dirt::Level(Level::Real));
    let bytes: usize = (0..ROWS).map(|row| line(&generator, Table::Pin, row).len() + 1).sum();
    let mean = bytes as f64 / ROWS as f64;
    assert!((730.0..750.0).contains(&mean), "{mean}");
    let pins = objects(Level::Real, Table::Pin, ROWS);
    for (column, real) in
        [("title", 51.8), ("description", 132.7), ("poster_name", 21.9), ("tag_list", 151.9), ("image_src", 76.5), ("follower_count", 3.0)]
    {
        let mean = pins.iter().filter_map(|pin| pin.get(column)?.as_str()).map(str::len).sum::<usize>() as f64 / ROWS as f64;
        assert!((mean - real).abs() < real * 0.08, "{column}: {mean} bytes on average instead of {real}");
    }
}

#[test]
fn markers_for_missing_values_come_in_real_proportions() {
    let shares = Level::Real.shares();
    // Without what hides them: rows of other tables and the text `None`.
    let dirt: Dirt =
        serde_json::from_value(serde_json::json!({ "base": "real", "wrong_table": 0, "none_text": 0, "duplicates": 0 })).unwrap();
    let generator = generator(dirt);
    let pins: Vec<Map<String, Value>> = (0..ROWS).map(|row| serde_json::from_slice(&line(&generator, Table::Pin, row)).unwrap()).collect();
    let text = |column: &'static str, wanted: &'static str| share_of(&pins, |pin| pin[column] == wanted);
    let n = pins.len();
    assert_share(text("title", "No Title Data Available"), shares.broken, n);
    assert_share(text("poster_name", "User Info Error"), shares.broken, n);
    assert_share(text("follower_count", "User Info Error"), shares.broken, n);
    assert_share(text("description", "No description available Story format"), shares.no_description, n);
    assert_share(text("is_image_or_video", "multi-video(story page format)"), shares.no_description, n);
    assert_share(text("image_src", "Image src error."), shares.image_error, n);
    assert_share(text("tag_list", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"), shares.no_tags, n);
    assert_share(share_of(&pins, |pin| pin["description"].as_str().unwrap().ends_with('\u{a0}')), shares.trailing_nbsp, n);
    assert_share(
        share_of(&pins, |pin| pin["poster_name"].as_str().unwrap().ends_with(' ')),
        shares.padded_poster * (1.0 - shares.broken),
        n,
    );
    assert_share(share_of(&pins, |pin| pin["title"].as_str().unwrap().contains('"')), shares.quotes * (1.0 - shares.broken), n);
    assert_share(share_of(&pins, |pin| pin.len() == 17), shares.merged, n);
    assert_share(text("follower_count", "0"), 13.0 / 2185.0, n);
    let broken = |pin: &Map<String, Value>| pin["title"] == "No Title Data Available";
    for pin in pins.iter().filter(|pin| broken(pin)) {
        for (column, marker) in
            [("image_src", "Image src error."), ("follower_count", "User Info Error"), ("tag_list", "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e")]
        {
            assert_eq!(pin[column], marker);
        }
    }
}

#[test]
fn transport_dirt_comes_in_the_shares_asked_for() {
    let rows = 4_000;
    let found = |kind: &str, table, matching: fn(&Map<String, Value>) -> bool| {
        let generator = generator(only(kind, 0.2));
        let objects: Vec<Map<String, Value>> =
            (0..rows).map(|row| serde_json::from_slice(&line(&generator, table, row)).unwrap()).collect();
        assert_share(share_of(&objects, matching), 0.2, rows as usize);
    };
    found("numbers_as_strings", Table::Pin, |row| row["index"].is_string() && row["downloaded"].is_string());
    found("numbers_as_strings", Table::Geo, |row| row["ind"].is_string() && row["latitude"].is_string());
    found("wrapped", Table::Geo, |row| row["country"].is_array());
    found("wrapped", Table::User, |row| row["first_name"].is_array());
    found("none_text", Table::Pin, |row| row.values().any(|value| value == "None"));
    found("none_text", Table::User, |row| row["age"] == "None");
    found("t_timestamps", Table::User, |row| row["date_joined"].as_str().unwrap().contains('T'));
    for table in Table::ALL {
        found("merged", table, |row| row.len() == 17 && row.contains_key("ind") && row.contains_key("index"));
    }
    // Each swap touches two of three tables.
    let generator = generator(only("wrong_table", 0.3));
    let objects: Vec<Map<String, Value>> =
        (0..rows).map(|row| serde_json::from_slice(&line(&generator, Table::User, row)).unwrap()).collect();
    assert_share(share_of(&objects, |row| !row.contains_key("age")), 0.2, rows as usize);
}

#[test]
fn malformed_lines_are_no_json_and_stay_lines() {
    let generator = generator(only("malformed", 0.5));
    let lines: Vec<_> = (0..4_000).map(|row| line(&generator, Table::Pin, row)).collect();
    assert!(lines.iter().all(|line| !line.is_empty() && !line.contains(&b'\n')));
    assert_share(share_of(&lines, |line| serde_json::from_slice::<Value>(line).is_err()), 0.5, lines.len());
    assert!(lines.iter().any(|line| std::str::from_utf8(line).is_err()));
}

#[test]
fn duplicates_repeat_recent_rows_byte_for_byte_in_all_tables() {
    let shares = Level::Real.shares();
    let generator = generator(Dirt::Level(Level::Real));
    let mut first_seen: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut repeats = 0;
    for row in 0..ROWS {
        if let Some(&first) = first_seen.get(&line(&generator, Table::Pin, row)) {
            repeats += 1;
            for table in Table::ALL {
                assert_eq!(line(&generator, table, row), line(&generator, table, first));
            }
        } else {
            first_seen.insert(line(&generator, Table::Pin, row), row);
        }
    }
    assert_share(f64::from(repeats) / ROWS as f64, shares.duplicates, ROWS as usize);
}

#[test]
fn the_tables_join() {
    let keys = |table: Table, key: &str| {
        let rows = objects(Level::Real, table, 5_000);
        let value = |row: &Map<String, Value>| row.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        rows.iter().filter_map(value).collect::<HashSet<_>>()
    };
    let (pin, geo, user) = (keys(Table::Pin, "index"), keys(Table::Geo, "ind"), keys(Table::User, "ind"));
    let joined = pin.iter().filter(|key| geo.contains(*key) && user.contains(*key)).count();
    // Only swapped rows are missing on one side.
    assert!(joined as f64 > 0.99 * pin.len() as f64, "{joined} of {}", pin.len());
}

#[test]
fn values_have_the_ranges_of_the_real_tables() {
    let geo = objects(Level::None, Table::Geo, 5_000);
    let number = |row: &Map<String, Value>, key: &str| row[key].as_f64().unwrap();
    assert!(geo.iter().all(|row| number(row, "latitude").abs() <= 90.0 && number(row, "longitude").abs() <= 180.0));
    assert!(geo.iter().all(|row| ("2017-10-20"..="2022-10-18").contains(&&row["timestamp"].as_str().unwrap()[..10])));
    let countries: HashSet<&str> = geo.iter().map(|row| row["country"].as_str().unwrap()).collect();
    assert!(countries.len() > 120 && countries.contains("Cote d'Ivoire"), "{}", countries.len());
    let users = objects(Level::None, Table::User, 5_000);
    let ages: HashSet<u64> = users.iter().map(|row| row["age"].as_u64().unwrap()).collect();
    assert!((20..=60).all(|age| ages.contains(&age)) && ages.len() == 41, "{ages:?}");
    let pins = objects(Level::None, Table::Pin, 5_000);
    let categories: HashSet<&str> = pins.iter().map(|row| row["category"].as_str().unwrap()).collect();
    assert_eq!(categories.len(), 13);
    assert!(pins.iter().enumerate().all(|(row, pin)| pin["index"] == row && pin["tag_list"].as_str().unwrap().split(',').count() == 9));
    let posters: HashMap<&str, &str> =
        pins.iter().map(|pin| (pin["poster_name"].as_str().unwrap(), pin["follower_count"].as_str().unwrap())).collect();
    assert!(posters.len() > 1_500, "{}", posters.len());
}

#[test]
fn files_hold_the_generators_rows_however_many_there_are() {
    let emulation = Emulation { tables: Table::ALL.to_vec(), rows: Some(103), rate: None, seed: 42, dirt: Dirt::default() };
    let mut seen = Vec::new();
    for files in [1, 4] {
        let folder = tempfile::tempdir().unwrap();
        let written = emulate(&emulation, Destination::Folder { path: folder.path().into(), files }).unwrap();
        assert_eq!((written.rows, written.files), (309, 3 * files));
        let mut text = Vec::new();
        for number in 0..files {
            text.extend(std::fs::read(folder.path().join(format!("geo/geo-{number:05}.jsonl"))).unwrap());
        }
        assert_eq!(std::fs::read_dir(folder.path().join("geo")).unwrap().count() as u64, files, "no file is left unfinished");
        seen.push(text);
    }
    assert_eq!(seen[0], seen[1]);
    let expected: Vec<u8> =
        (0..103).flat_map(|row| [line(&generator(Dirt::default()), Table::Geo, row), b"\n".to_vec()].concat()).collect();
    assert_eq!(seen[0], expected);
}

#[test]
fn a_console_gets_one_row_of_each_table_in_turn_at_the_rate() {
    let emulation =
        Emulation { tables: vec![Table::Geo, Table::User], rows: Some(4), rate: Some(50.0), seed: 42, dirt: Dirt::Level(Level::None) };
    let mut out = Vec::new();
    let began = std::time::Instant::now();
    let written = emulate(&emulation, Destination::Console(&mut out)).unwrap();
    assert!(began.elapsed() >= std::time::Duration::from_millis(55), "{:?}", began.elapsed());
    let text = String::from_utf8(out).unwrap();
    let kinds: Vec<bool> = text.lines().map(|line| line.contains("latitude")).collect();
    assert_eq!(kinds, [true, false, true, false, true, false, true, false]);
    assert_eq!((written.rows, written.bytes), (8, text.len() as u64));
}

#[test]
fn a_console_closed_early_is_no_error_and_endless_files_are() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let endless = Emulation { tables: vec![Table::Pin], rows: None, rate: None, seed: 0, dirt: Dirt::default() };
    emulate(&endless, Destination::Console(&mut Closed)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = emulate(&endless, Destination::Folder { path: folder.path().into(), files: 1 }).unwrap_err();
    assert!(error.to_string().contains("`rows` is missing"), "{error}");
}

const GEO_3: &str = r#"{"ind": 3, "timestamp": "2022-09-12 07:04:33", "latitude": -80.1955, "longitude": -177.465, "country": "Bolivia"}"#;
const USER_3: &str = r#"{"ind": 3, "first_name": "Yusuf", "last_name": "Brandt", "age": 34, "date_joined": "2017-05-10 21:48:35"}"#;
const PIN_3: &str = r#"{"index": 3, "unique_id": "fdef94cb-431c-4117-9886-e9278fd11053", "title": "Paper Star Tutorial For Kids | Velvet – Próximo Verão", "description": "You only need a Nutcracker, some patience and 100 minutes.", "poster_name": "The Meadow Home", "follower_count": "62k", "tag_list": "Paper Star Diy,Nutcracker Patterns,Quick Carol Book,Handmade Gift Tag,Diy Candle Holder,Cookie Tin Tips,Stocking Guide,Ornament,Porch Light Diy", "is_image_or_video": "image", "image_src": "https://i.pins.example/originals/0e/82/e6/0e82e64dde30068fa6e57c71bac400b5.jpg", "downloaded": 1, "save_location": "Local save in /data/christmas", "category": "christmas"}"#;
