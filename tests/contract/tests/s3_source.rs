//! The source `s3` on a real store: the contract of every source in every format, many small objects, large ones, and changes under
//! a checkpoint.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wasmill_contract as contract;
mod store;

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use contract::{check_source, read_all};
use store::Prefix;
use wasmill_connect::{LateColumns, NewColumns, Sampling};
use wasmill_engine::{Class, Mode, Progress, Retired, Source, SplitState};
use wasmill_formats::{Format, WriteOptions, record_writer};
use wasmill_reading::OnBadFile;
use wasmill_s3::source::{S3Source, S3SourceConfig, infer_schema, survey};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("_source.path", DataType::Utf8, false),
        Field::new("id", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("_source.position", DataType::Int64, false),
    ]))
}

fn config(prefix: &Prefix, name: &str) -> S3SourceConfig {
    S3SourceConfig::of_uri(prefix.uri(name), store::config())
}

fn source(config: &S3SourceConfig, mode: Mode) -> Box<dyn Source> {
    Box::new(S3Source::new("pins", config.clone(), schema(), mode).unwrap())
}

/// Lines with blank ones, bad ones, both line ends, characters of several bytes and no line feed at the end.
fn lines() -> Vec<u8> {
    let mut text = b"\xef\xbb\xbf".to_vec();
    for id in 0..60 {
        match id % 10 {
            3 => text.extend_from_slice(b"\n  \r\n"),
            5 => text.extend_from_slice(b"{\"id\": 5, \"text\": \"bad \xff byte\"}\r\n"),
            7 => text.extend_from_slice(b"{\"id\": \"seven\"}\n"),
            _ => writeln!(text, "{{\"id\": {id}, \"text\": \"\u{fc}\u{1f600} {id}\", \"else\": [{id}]}}").unwrap(),
        }
    }
    text.extend_from_slice(b"{\"id\": 1000}");
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// How many records the contract saw in all, and how many of them were rejects.
fn count(config: &S3SourceConfig) -> (usize, usize) {
    let all: Vec<_> = check_source(|| source(config, Mode::Batch)).into_values().flatten().collect();
    (all.len(), all.iter().filter(|(.., record)| !record.starts_with('{')).count())
}

fn json_lines_plain_and_compressed_hold_the_contract() {
    for (name, bytes) in [("a.jsonl", lines()), ("a.jsonl.gz", gzip(&lines())), ("a.jsonl.zst", zstd::encode_all(&lines()[..], 1).unwrap())]
    {
        let prefix = Prefix::new();
        prefix.put(name, bytes);
        assert_eq!(count(&config(&prefix, name)), (55, 12), "{name}");
    }
}

fn json_arrays_and_objects_one_after_the_other_hold_the_contract() {
    let prefix = Prefix::new();
    prefix.put("in/array.json", "[{\"id\": 1, \"text\": \"a\"}, {\"id\": \"x\"}, {\"id\": 3}]\n");
    prefix.put("in/connect.json", "{\"id\":4,\"text\":\"a\"}\n{\"id\":5,\"text\":\"b\"}\n{\"id\":\"x\"}");
    prefix.put("in/one.json", "\u{feff}{\n  \"id\": 6,\n  \"text\": \"}{\"\n}\n");
    prefix.put("in/packed.json.gz", gzip(b"{\"id\":7} {\"id\":8}"));
    prefix.put("in/_SUCCESS", "");
    prefix.put("in/_log/hidden.json", "{\"id\":9}");
    assert_eq!(count(&config(&prefix, "in/")), (9, 2));
}

fn csv_holds_the_contract() {
    let prefix = Prefix::new();
    let text = "text,else,id\r\n\"two\nlines, \"\"quoted\"\"\",,3\n\ntoo few,6\nbad number,,seven\r\nlast,x,9";
    prefix.put("a.csv", text);
    prefix.put("b.csv.gz", gzip(text.as_bytes()));
    assert_eq!(count(&config(&prefix, "*.csv*")), (8, 4));
}

fn parquet(rows: std::ops::Range<i64>, group: usize) -> Vec<u8> {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.clone().map(|id| format!("text {id}"))));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
    encoded(&RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap(), group)
}

fn encoded(batch: &RecordBatch, group: usize) -> Vec<u8> {
    let mut options = WriteOptions::default();
    options.parquet.row_group_rows = group;
    let mut writer = record_writer(Format::Parquet, &batch.schema(), Vec::new(), &options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap()
}

fn parquet_of_several_groups_holds_the_contract() {
    let prefix = Prefix::new();
    prefix.put("a.parquet", parquet(0..50, 20));
    prefix.put("b.parquet", parquet(50..51, 20));
    assert_eq!(count(&config(&prefix, "*.parquet")), (51, 0));
}

/// Reads everything that a source finds; gives its records, sorted, and the progress that a checkpoint would keep.
fn read(source: &mut dyn Source, restored: &Progress) -> (Vec<String>, Progress) {
    let (mut records, mut progress) = (Vec::new(), restored.clone());
    for split in source.discover(restored).unwrap().splits {
        let mut reader = source.opener().open(&split).unwrap();
        records.extend(read_all(source, reader.as_mut(), 1000).0.into_iter().map(|(.., record)| record));
        progress.insert(split.id, SplitState { position: reader.position(), done: true });
    }
    records.sort();
    (records, progress)
}

fn thousands_of_small_objects_take_little_room_in_a_checkpoint_and_are_read_once() {
    const OBJECTS: usize = 1_500;
    let prefix = Prefix::new();
    let put = |number: usize| prefix.put_object(&format!("raw/day={}/{number:06}.json", number % 3), format!("{{\"id\":{number}}}"));
    prefix.wait(async {
        for numbers in (0..OBJECTS).collect::<Vec<_>>().chunks(50) {
            futures::future::join_all(numbers.iter().map(|number| put(*number))).await;
        }
    });
    let config = config(&prefix, "raw/**/*.json");
    let begun = Instant::now();
    let (records, progress) = read(source(&config, Mode::Batch).as_mut(), &Progress::new());
    println!("{OBJECTS} objects in {:?}", begun.elapsed());
    assert_eq!(records.len(), OBJECTS);
    let mut retired = Vec::new();
    for (id, state) in &progress {
        assert!(source(&config, Mode::Batch).retire(id, state, &mut retired).unwrap());
    }
    assert_eq!(retired.len(), 12 * OBJECTS);
    let next = || {
        let mut source = source(&config, Mode::Batch);
        source.restore(Retired::new(source.record_form().unwrap(), &retired).unwrap());
        source
    };
    assert_eq!(read(next().as_mut(), &Progress::new()).0, Vec::<String>::new(), "nothing is new");
    // One whose key lies in the middle, and one object gone that was read long ago.
    prefix.put("raw/day=0/000000a.json", "{\"id\":-1}");
    prefix.remove("raw/day=1/000001.json");
    let (records, _) = read(next().as_mut(), &Progress::new());
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(records[0].contains("\"id\":-1"), "{records:?}");
    prefix.put("raw/day=2/000002.json", "{\"id\":-2}");
    let error = next().discover(&Progress::new()).unwrap_err();
    assert!(error.message().contains("raw/day=2/000002.json changed since it was read"), "{error}");
    assert_eq!(error.class(), Class::Environment);
}

fn an_object_that_changes_or_goes_while_it_is_read_stops_the_run() {
    let prefix = Prefix::new();
    prefix.put("a.jsonl", lines());
    let config = config(&prefix, "*.jsonl");
    let mut first = source(&config, Mode::Batch);
    let split = first.discover(&Progress::new()).unwrap().splits.remove(0);
    let mut reader = first.opener().open(&split).unwrap();
    reader.read(7).unwrap();
    let begun = Progress::from([(split.id.clone(), SplitState { position: reader.position(), done: false })]);
    prefix.put("a.jsonl", "{\"id\":1}");
    let error = source(&config, Mode::Batch).discover(&begun).unwrap_err();
    assert!(error.message().contains("changed since it was read"), "{error}");
    let error = first.opener().open(&split).unwrap().read(7).unwrap_err();
    assert!(error.message().contains("changed since it was read"), "found, then replaced: {error}");
    prefix.remove("a.jsonl");
    prefix.put("b.jsonl", "{\"id\":1}");
    let error = source(&config, Mode::Batch).discover(&begun).unwrap_err();
    assert!(error.message().contains("read in part and is missing"), "{error}");
}

fn large_objects_are_read_by_ranges() {
    let prefix = Prefix::new();
    let line = |id: usize| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", format!("{id:09}").repeat(20));
    let text: String = (0..100_000).map(line).collect();
    assert!(text.len() > 17 << 20, "{}", text.len());
    prefix.put("large.jsonl", text.clone());
    prefix.put("large.jsonl.gz", gzip(text.as_bytes()));
    prefix.put("large.parquet", parquet(0..600_000, 100_000));
    for (name, rows) in [("large.jsonl", 100_000), ("large.jsonl.gz", 100_000), ("large.parquet", 600_000)] {
        let config = config(&prefix, name);
        let mut source = source(&config, Mode::Batch);
        let split = source.discover(&Progress::new()).unwrap().splits.remove(0);
        let mut reader = source.opener().open(&split).unwrap();
        let (mut seen, mut middle) = (0, None);
        while let wasmill_engine::Read::Batch(batch) = reader.read(8192).unwrap() {
            assert!(batch.rejects.is_empty());
            seen += batch.batch.records.num_rows();
            if middle.is_none() && seen > rows / 2 {
                middle = Some((seen, reader.position()));
            }
        }
        assert_eq!(seen, rows, "{name}");
        let (before, position) = middle.unwrap();
        let split = wasmill_engine::Split { position, ..split };
        let mut rest = 0;
        let mut reader = source.opener().open(&split).unwrap();
        loop {
            match reader.read(8192).unwrap() {
                wasmill_engine::Read::Batch(batch) => rest += batch.batch.records.num_rows(),
                wasmill_engine::Read::Skipping => {}
                _ => break,
            }
        }
        assert_eq!(before + rest, rows, "{name} from its middle");
    }
}

fn keys_with_odd_characters_are_read_as_others() {
    let prefix = Prefix::new();
    let keys = [
        "plain",
        "a b ",
        "plus+and%25",
        "tab\there",
        "lines\n\r",
        "control\u{1}\u{1f}",
        "\u{7f}",
        "\u{fc}\u{20ac}\u{1f600}",
        "<q>&?=#",
        "a:b*",
    ];
    for (id, key) in keys.iter().enumerate() {
        prefix.put(&format!("odd/{key}.json"), format!("{{\"id\": {id}}}\n{{\"id\": {id}}}\n"));
    }
    // What programs put in the place of a folder.
    prefix.put("odd/folder/", "");
    let config = config(&prefix, "odd/");
    let (read_ids, progress) = read(source(&config, Mode::Batch).as_mut(), &Progress::new());
    assert_eq!(read_ids.len(), 2 * keys.len(), "{read_ids:?}");
    let (again, _) = read(source(&config, Mode::Batch).as_mut(), &progress);
    assert_eq!(again, Vec::<String>::new());
    let records = check_source(|| source(&config, Mode::Batch));
    let mut names: Vec<String> = keys.iter().map(|key| prefix.uri(&format!("odd/{key}.json"))).collect();
    names.sort_unstable();
    assert!(records.keys().eq(&names), "{:?}", records.keys());
}

fn columns_are_inferred_from_a_sample() {
    let prefix = Prefix::new();
    prefix.put("a.json", "{\"id\":1,\"text\":\"a\"}\n{\"id\":2.5,\"new\":true}");
    let types =
        |schema: SchemaRef| schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect::<Vec<_>>();
    assert_eq!(types(infer_schema(&config(&prefix, "*.json")).unwrap()), ["id Float64", "text Utf8", "new Boolean"]);
    prefix.put("b.parquet", parquet(0..3, 10));
    assert_eq!(types(infer_schema(&config(&prefix, "b.parquet")).unwrap()), ["id Int64", "text Utf8"]);
    let error = infer_schema(&config(&prefix, "none/")).unwrap_err();
    assert_eq!(error.class(), Class::Configuration);
}

fn a_column_that_only_a_later_object_has_is_reported_with_its_count_or_stops_the_reading() {
    let prefix = Prefix::new();
    prefix.put("in/a.parquet", parquet(0..2, 10));
    let texts = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![2, 3, 4]));
    let columns = [("id", ids), ("text", texts(&["a", "b", "c"])), ("late", texts(&["x", "y", "z"]))];
    prefix.put("in/b.parquet", encoded(&RecordBatch::try_from_iter(columns).unwrap(), 2));
    let config = config(&prefix, "in/");
    let told = infer_schema(&config).unwrap();
    let sampling = |late| Sampling { late, ..Sampling::default() };
    let open = |late| S3Source::with_sampling("pins", config.clone(), Arc::clone(&told), (Mode::Batch, sampling(late))).unwrap();

    let mut reports = open(LateColumns::Report);
    let (records, _) = read(&mut reports, &Progress::new());
    let row = |id: i64, text: &str| format!("{{\"id\":{id},\"text\":{text}}}");
    let expected = [row(0, "\"text 0\""), row(1, "\"text 1\""), row(2, "\"a\""), row(3, "\"b\""), row(4, "\"c\"")];
    let rows: Vec<&str> = records.iter().map(|record| record.split(" <- ").next().unwrap()).collect();
    assert_eq!(rows, expected);
    let notes = reports.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    let note = format!("the column `late` of 3 records was not read: it occurred in {}", prefix.uri("in/b.parquet"));
    assert!(notes[0].starts_with(&note), "{notes:?}");

    let mut fails = open(LateColumns::Fail);
    let splits = fails.discover(&Progress::new()).unwrap().splits;
    assert_eq!(splits.len(), 2);
    let errors = splits.iter().filter_map(|split| fails.opener().open(split).and_then(|mut reader| reader.read(10)).err());
    let errors: Vec<_> = errors.collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let new = NewColumns::of(&errors[0]).unwrap();
    assert_eq!((&*new.source, &new.fields[..]), ("pins", &[Field::new("late", DataType::Utf8, true)][..]));
}

fn a_batch_without_objects_says_so() {
    let prefix = Prefix::new();
    let error = source(&config(&prefix, "none/"), Mode::Batch).discover(&Progress::new()).unwrap_err();
    assert!(error.message().contains("no object matches"), "{error}");
    let empty = S3SourceConfig { allow_empty: true, ..config(&prefix, "none/") };
    assert!(source(&empty, Mode::Batch).discover(&Progress::new()).unwrap().splits.is_empty());
}

fn damaged_objects_are_set_aside_and_empty_ones_have_no_rows() {
    let prefix = Prefix::new();
    prefix.put("in/a.jsonl", "{\"id\": 1}\n");
    prefix.put("in/b.jsonl.gz", "no gzip");
    prefix.put("in/c.parquet", "PAR1 and nothing");
    prefix.put("in/d.jsonl", gzip(b"{\"id\": 2}"));
    prefix.put("in/e.csv", "");
    prefix.put("in/f.parquet", "");
    prefix.put("in/text=x/g.csv", "id\r3\r");
    let config = config(&prefix, "in/");
    let mut stops = source(&config, Mode::Batch);
    let splits = stops.discover(&Progress::new()).unwrap().splits;
    assert_eq!(splits.len(), 5, "empty objects have nothing to read");
    let error = splits.iter().find_map(|split| stops.opener().open(split).unwrap().read(10).err()).unwrap();
    assert!(error.class() == Class::Environment && error.hint_text().unwrap().contains("on_bad_file"), "{error}");
    let aside = S3SourceConfig { on_bad_file: OnBadFile::SetAside, ..config };
    let all: Vec<_> = check_source(|| source(&aside, Mode::Batch)).into_values().flatten().map(|(.., record)| record).collect();
    let bad = all.iter().filter(|record| record.starts_with("bad-file")).count();
    assert_eq!((all.len(), bad), (5, 3), "{all:?}");
    assert!(all.iter().any(|record| record.contains("\"id\":3,\"text\":\"x\"")), "a folder's column: {all:?}");
    // What is put in the place of an empty object is read.
    let mut first = source(&aside, Mode::Batch);
    let (_, progress) = read(first.as_mut(), &Progress::new());
    prefix.put("in/e.csv", "id\n5\n");
    let (records, _) = read(source(&aside, Mode::Batch).as_mut(), &progress);
    assert!(records.len() == 1 && records[0].contains("\"id\":5"), "{records:?}");
}

fn the_first_object_tells_which_columns_there_are() {
    let prefix = Prefix::new();
    assert!(survey(&config(&prefix, "in/")).unwrap().is_none());
    prefix.put("in/day=1/a.jsonl", "{\"id\": 1}\n{\"other\": 2}\n");
    let found = survey(&config(&prefix, "in/")).unwrap().unwrap();
    assert_eq!((found.columns, found.records, found.is_complete), (vec!["day".into(), "id".into(), "other".into()], 2, false));
    // Parquet says it in its footer, of one object.
    prefix.put("parquet/day=1/a.parquet", parquet(0..3, 10));
    let certain = config(&prefix, "parquet/**/*.parquet");
    let found = survey(&certain).unwrap().unwrap();
    assert_eq!((found.columns, found.records, found.is_complete), (vec!["day".into(), "id".into(), "text".into()], 0, false));
    assert!(certain.is_certain() && !config(&prefix, "in/").is_certain());
}

store::on_each_store![
    json_lines_plain_and_compressed_hold_the_contract,
    json_arrays_and_objects_one_after_the_other_hold_the_contract,
    csv_holds_the_contract,
    parquet_of_several_groups_holds_the_contract,
    thousands_of_small_objects_take_little_room_in_a_checkpoint_and_are_read_once,
    an_object_that_changes_or_goes_while_it_is_read_stops_the_run,
    large_objects_are_read_by_ranges,
    keys_with_odd_characters_are_read_as_others,
    columns_are_inferred_from_a_sample,
    a_column_that_only_a_later_object_has_is_reported_with_its_count_or_stops_the_reading,
    a_batch_without_objects_says_so,
    damaged_objects_are_set_aside_and_empty_ones_have_no_rows,
    the_first_object_tells_which_columns_there_are,
];
