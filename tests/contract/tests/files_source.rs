//! The source `files` as the world changes around it: files that grow, change, vanish, arrive; records that are too long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use wasmill_engine::{Class, Error, Mode, OriginalRecord, Progress, Read, Source, Split, SplitReader, SplitState};
use wasmill_files::{FilesConfig, FilesSource, infer_schema};

fn try_source(config: FilesConfig, mode: Mode) -> Result<FilesSource, Error> {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    FilesSource::new("pins", config, schema, mode)
}

fn source(pattern: &Path, mode: Mode) -> FilesSource {
    let config = FilesConfig { follow: Some("0s".into()), ..FilesConfig::of_path(pattern.to_str().unwrap()) };
    try_source(config, mode).unwrap()
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Reads until there is nothing more now: the ids, the codes of rejects, and whether the split has ended.
fn drain(reader: &mut dyn SplitReader) -> (Vec<i64>, Vec<String>, bool) {
    let (mut ids, mut codes) = (Vec::new(), Vec::new());
    loop {
        match reader.read(100).unwrap() {
            Read::Batch(batch) => {
                ids.extend(batch.batch.records.column(0).as_primitive::<Int64Type>().values());
                codes.extend(batch.rejects.into_iter().map(|reject| reject.code));
            }
            Read::Skipping => {}
            Read::Idle => return (ids, codes, false),
            Read::End => return (ids, codes, true),
        }
    }
}

/// One run of a batch from `progress`: the ids that it read, and its progress.
fn run(pattern: &Path, progress: &Progress) -> Result<(Vec<i64>, Progress), Error> {
    let mut source = source(pattern, Mode::Batch);
    let (mut ids, mut progress) = (Vec::new(), progress.clone());
    for split in source.discover(&progress.clone())?.splits {
        let mut reader = source.opener().open(&split)?;
        let (new, codes, ended) = drain(reader.as_mut());
        assert!(ended && codes.is_empty());
        ids.extend(new);
        progress.insert(split.id, SplitState { position: reader.position(), done: true });
    }
    Ok((ids, progress))
}

fn changed(result: Result<(Vec<i64>, Progress), Error>, why: &str) {
    let error = result.err().unwrap();
    assert_eq!(error.class(), Class::Environment);
    assert!(error.to_string().contains(why) && error.hint_text().is_some(), "{error}");
}

#[test]
fn a_batch_resumes_where_files_have_grown() {
    let folder = tempfile::tempdir().unwrap();
    let (path, pattern) = (folder.path().join("a.jsonl"), folder.path().join("*.jsonl"));
    append(&path, "{\"id\":1}\n{\"id\":2}\n");
    let (ids, progress) = run(&pattern, &Progress::new()).unwrap();
    assert_eq!(ids, [1, 2]);
    assert_eq!(run(&pattern, &progress).unwrap().0, Vec::<i64>::new());
    append(&path, "{\"id\":3}");
    append(&folder.path().join("b.jsonl"), "{\"id\":10}\n");
    let (ids, progress) = run(&pattern, &progress).unwrap();
    assert_eq!(ids, [3, 10]);
    // The last line was whole without its line feed.
    append(&path, "\n{\"id\":4}");
    let (ids, progress) = run(&pattern, &progress).unwrap();
    assert_eq!(ids, [4]);
    append(&path, "5}\n");
    changed(run(&pattern, &progress), "its last line had no line feed");
}

#[test]
fn a_file_that_grows_over_the_end_of_its_split() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let line = |id: usize| format!("{{\"id\":{id},\"skip\":\"{}\"}}\n", "x".repeat(1 << 19));
    (0..30).for_each(|id| append(&path, &line(id)));
    let (ids, progress) = run(&path, &Progress::new()).unwrap();
    assert_eq!((ids.len(), progress.len()), (30, 4));
    (30..70).for_each(|id| append(&path, &line(id)));
    let (ids, progress) = run(&path, &progress).unwrap();
    assert_eq!(ids, (30..70).collect::<Vec<_>>());
    assert_eq!(progress.len(), 9, "pieces of 4 MiB");
    assert_eq!(run(&path, &progress).unwrap().0, Vec::<i64>::new());
}

#[test]
fn changed_files_stop_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    append(&path, "{\"id\":1}\n{\"id\":2}\n");
    let (_, progress) = run(&path, &Progress::new()).unwrap();
    std::fs::write(&path, "{\"id\":7}\n{\"id\":2}\n").unwrap();
    changed(run(&path, &progress), "a.jsonl changed since it was read");
    std::fs::write(&path, "{\"id\":1}\n").unwrap();
    changed(run(&path, &progress), "a.jsonl changed since it was read");
    // What is not read by lines may not grow.
    let path = folder.path().join("a.json");
    append(&path, "[{\"id\":1}]");
    let (ids, progress) = run(&path, &Progress::new()).unwrap();
    assert_eq!(ids, [1]);
    append(&path, "\n");
    changed(run(&path, &progress), "it had 10 bytes and has 11");
}

#[test]
fn vanished_files_matter_only_until_they_have_been_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, pattern) = (folder.path().join("a.jsonl"), folder.path().join("*.jsonl"));
    append(&path, "{\"id\":1}\n{\"id\":2}\n");
    append(&folder.path().join("b.jsonl"), "{\"id\":3}\n");
    let (_, done) = run(&pattern, &Progress::new()).unwrap();
    let mut source = source(&pattern, Mode::Batch);
    let split = source.discover(&Progress::new()).unwrap().splits.remove(0);
    let mut reader = source.opener().open(&split).unwrap();
    reader.read(1).unwrap();
    let half = Progress::from([(split.id, SplitState { position: reader.position(), done: false })]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(run(&pattern, &done).unwrap().0, Vec::<i64>::new());
    changed(run(&pattern, &half), "read up to 9 of 18 bytes and is missing");
    let foreign = Progress::from([("topic/3".into(), SplitState { position: serde_json::json!(7), done: false })]);
    changed(run(&pattern, &foreign), "is not a split of files");
}

#[test]
fn nothing_to_read_is_a_mistake_unless_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(&folder.path().join("*.jsonl"), &Progress::new()).err().unwrap();
    assert_eq!(error.class(), Class::Configuration);
    assert!(error.to_string().contains("no file matches"), "{error}");
    let error = run(folder.path(), &Progress::new()).err().unwrap();
    assert!(error.hint_text().unwrap().contains("it is a folder"), "{error:?}");
    let config = FilesConfig { allow_empty: true, ..FilesConfig::of_path(folder.path().join("*.csv").to_str().unwrap()) };
    assert!(try_source(config, Mode::Batch).unwrap().discover(&Progress::new()).unwrap().complete);
    append(&folder.path().join("a.txt"), "{}");
    let error = run(&folder.path().join("*.txt"), &Progress::new()).err().unwrap();
    assert!(error.to_string().contains("has no extension of a known format"), "{error}");
}

#[test]
fn a_stream_follows_lines_and_new_files() {
    let folder = tempfile::tempdir().unwrap();
    let (path, pattern) = (folder.path().join("a.jsonl"), folder.path().join("*.jsonl"));
    let mut stream = source(&pattern, Mode::Stream);
    assert!(!stream.discover(&Progress::new()).unwrap().complete);
    append(&path, "");
    let first: Vec<Split> = stream.discover(&Progress::new()).unwrap().splits;
    assert_eq!((first.len(), stream.known_bytes()), (1, Some(0)));
    let mut reader = stream.opener().open(&first[0]).unwrap();
    assert!(matches!(reader.read(10).unwrap(), Read::Idle));
    // A line counts once its line feed has come; its parts may come one by one.
    append(&path, "{\"id\":1}\n{\"id\"");
    assert_eq!(drain(reader.as_mut()), (vec![1], vec![], false));
    append(&path, ":2}");
    assert_eq!(drain(reader.as_mut()), (vec![], vec![], false));
    let position = reader.position();
    append(&path, "\n\n{\"id\":3}\nbad\n");
    assert_eq!(drain(reader.as_mut()), (vec![2, 3], vec!["malformed-json".to_owned()], false));
    assert!(stream.discover(&Progress::new()).unwrap().splits.is_empty());
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert_eq!(stream.known_bytes(), Some(size(&path)), "what a file grows by is told");
    append(&folder.path().join("b.jsonl"), "{\"id\":9}\n");
    let new = stream.discover(&Progress::new()).unwrap().splits;
    assert_eq!(stream.known_bytes(), Some(size(&path) + 9));
    assert_eq!(drain(stream.opener().open(&new[0]).unwrap().as_mut()), (vec![9], vec![], false));
    // Another process goes on from the position, though the file was empty when its split was made.
    let restored = Progress::from([(first[0].id.clone(), SplitState { position, done: false })]);
    let mut next = source(&pattern, Mode::Stream);
    let splits = next.discover(&restored).unwrap().splits;
    assert_eq!(next.known_bytes(), Some(size(&path) + 9 - 9), "less what had been read");
    assert_eq!(drain(next.opener().open(&splits[0]).unwrap().as_mut()).0, [2, 3]);
    // What was read up may go; what is cut short under the reader is an error.
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(reader.read(10).err().unwrap().class(), Class::Environment);
}

#[test]
fn a_stream_hands_the_next_split_of_a_growing_file_to_another_lane() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let line = |id: usize| format!("{{\"id\":{id},\"skip\":\"{}\"}}\n", "x".repeat(1 << 19));
    append(&path, &line(0));
    let mut stream = source(&path, Mode::Stream);
    let first = stream.discover(&Progress::new()).unwrap().splits.remove(0);
    let mut reader = stream.opener().open(&first).unwrap();
    assert_eq!(drain(reader.as_mut()), (vec![0], vec![], false));
    (1..40).for_each(|id| append(&path, &line(id)));
    let (mut ids, _, ended) = drain(reader.as_mut());
    assert!(ended);
    let next = stream.discover(&Progress::new()).unwrap().splits;
    assert_eq!(next.len(), 1);
    let mut second = stream.opener().open(&next[0]).unwrap();
    let (rest, _, ended) = drain(second.as_mut());
    assert!(!ended && !rest.is_empty());
    ids.extend(rest);
    assert_eq!(ids, (1..40).collect::<Vec<_>>());
    let restored: Progress = [(first, reader), (next[0].clone(), second)]
        .into_iter()
        .map(|(split, reader)| (split.id, SplitState { position: reader.position(), done: false }))
        .collect();
    append(&path, &line(40));
    let mut again = source(&path, Mode::Stream);
    let splits = again.discover(&restored).unwrap().splits;
    assert_eq!(splits.len(), 1);
    assert_eq!(drain(again.opener().open(&splits[0]).unwrap().as_mut()).0, [40]);
}

#[test]
fn a_record_that_is_too_long_is_skipped_without_being_held() {
    let folder = tempfile::tempdir().unwrap();
    let long = "y".repeat(5 << 20);
    let contents = BTreeMap::from([
        ("a.jsonl", format!("{{\"id\":1}}\n{{\"id\":\"{long}\"}}\n{{\"id\":2}}\n")),
        ("a.json", format!("[{{\"id\":1}},{{\"id\":\"{long}\"}},{{\"id\":2}}]")),
        ("a.csv", format!("id\n1\n\"{long}\"\n2\n")),
    ]);
    for (name, text) in contents {
        let path = folder.path().join(name);
        std::fs::write(&path, &text).unwrap();
        let config = FilesConfig { max_record: Some(bytesize::ByteSize::mib(1)), ..FilesConfig::of_path(path.to_str().unwrap()) };
        let mut source = try_source(config, Mode::Batch).unwrap();
        let mut ids = Vec::new();
        let mut rejects = Vec::new();
        for split in source.discover(&Progress::new()).unwrap().splits {
            let mut reader = source.opener().open(&split).unwrap();
            while let Read::Batch(batch) = reader.read(1).unwrap() {
                ids.extend_from_slice(batch.batch.records.column(0).as_primitive::<Int64Type>().values());
                rejects.extend(batch.rejects);
            }
        }
        assert_eq!((ids, rejects.len(), rejects[0].code.as_str()), (vec![1, 2], 1, "too-long"), "{name}");
        let OriginalRecord::Bytes(kept) = &rejects[0].record else { panic!("no bytes") };
        let start = rejects[0].position as usize;
        assert_eq!(kept[..], text.as_bytes()[start..start + (64 << 10)], "{name}");
    }
}

#[test]
fn damaged_archives_and_parquet_are_errors_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let packed = zstd::encode_all(&b"{\"id\":1}\n".repeat(1000)[..], 1).unwrap();
    for (name, bytes) in [("a.jsonl.zst", &packed[..packed.len() / 2]), ("a.jsonl.gz", b"no gzip"), ("a.parquet", b"PAR1 no parquet")] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut source = source(&path, Mode::Batch);
        let failed = source.discover(&Progress::new()).and_then(|found| {
            let mut reader = source.opener().open(&found.splits[0])?;
            while let Read::Batch(_) = reader.read(100)? {}
            Ok(())
        });
        let error = failed.err().unwrap();
        assert_eq!(error.class(), Class::Environment, "{name}");
        assert!(error.to_string().contains(name) && error.hint_text().is_some(), "{error}");
    }
}

#[test]
fn columns_are_inferred_from_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    let infer = |name: &str, text: &str| -> Result<Vec<String>, Error> {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let schema = infer_schema(&FilesConfig::of_path(path.to_str().unwrap()))?;
        Ok(schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect())
    };
    let text = r#"{"i":1,"f":1,"b":true,"t":"2022-07-07T00:18:41","n":null,"l":[1,2.5],"o":{"x":1}}
        not json
        {"i":-5,"f":1.5,"b":null,"t":7,"n":null,"l":[],"o":{"y":"z"},"big":18446744073709551615,"e":{}}"#;
    let expected = [
        "i Int64",
        "f Float64",
        "b Boolean",
        "t Utf8",
        "n Utf8",
        "l List(Float64)",
        "o Struct(\"x\": Int64, \"y\": Utf8)",
        "big Utf8",
        "e Map(\"entries\": non-null Struct(\"keys\": non-null Utf8, \"values\": Utf8), unsorted)",
    ];
    assert_eq!(infer("a.jsonl", text).unwrap(), expected);
    assert_eq!(
        infer("a.csv", "i,f,b,t,n,z\n1,1,true,x,,007\n2,1e3,false,1,,008\n1,2,3\n").unwrap(),
        ["i Int64", "f Float64", "b Boolean", "t Utf8", "n Utf8", "z Utf8"]
    );
    assert_eq!(infer("a.json", "[{\"i\":1},{\"j\":\"x\"}]").unwrap(), ["i Int64", "j Utf8"]);
    let error = infer("b.jsonl", "nothing\n").unwrap_err();
    assert_eq!(error.class(), Class::Configuration);
    assert!(error.to_string().contains("no record can be read"), "{error}");
}
