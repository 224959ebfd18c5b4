use super::reader::CHUNK_BYTES;
use super::*;

fn all(reader: &mut SpoolReader) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next()? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn names(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Bytes that no compression makes shorter.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(step).collect()
}

#[test]
fn what_was_written_is_read_and_then_removed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::of(folder.path(), "p", "s");
    for long in [vec![7_u8; 3 * CHUNK_BYTES + 5], noise(3 * CHUNK_BYTES + 5)] {
        let mut writer = spool.create(7, 1).unwrap();
        writer.write(b"ab", 1).unwrap();
        writer.write(&long, 2).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!((file.bytes, file.rows), (fs::metadata(spool.folder.join(&file.name)).unwrap().len(), 3));
        spool.seal(std::slice::from_ref(&file)).unwrap();
        let mut reader = Spool::of(folder.path(), "p", "s").open(&file).unwrap();
        let read = all(&mut reader).unwrap();
        assert_eq!((&read[..2], &read[2..]), (b"ab".as_slice(), long.as_slice()));
        assert!(reader.next().unwrap().is_none(), "it stays at its end");
        spool.remove(std::slice::from_ref(&file));
        spool.remove(std::slice::from_ref(&file));
        let error = spool.open(&file).err().unwrap();
        assert!(error.message().contains("is gone"), "{error}");
    }
}

#[test]
fn rows_take_less_room_than_they_have_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Spool::of(folder.path(), "p", "s").create(1, 0).unwrap();
    for row in 0..10_000 {
        writer.write(format!("{row}: a post of somebody\n").as_bytes(), 1).unwrap();
    }
    assert!(writer.finish().unwrap().bytes < 100_000);
}

#[test]
fn a_file_that_was_touched_is_never_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::of(folder.path(), "p", "s");
    let mut writer = spool.create(1, 0).unwrap();
    let rows = noise(1000);
    writer.write(&rows, 1).unwrap();
    let file = writer.finish().unwrap();
    let path = spool.folder.join(&file.name);
    let whole = fs::read(&path).unwrap();
    let read = || spool.open(&file).and_then(|mut reader| all(&mut reader));
    for length in [whole.len() - 1, whole.len() + 1] {
        let mut content = whole.clone();
        content.resize(length, 0);
        fs::write(&path, content).unwrap();
        let error = read().unwrap_err();
        assert!(error.message().contains(&format!("has {length} bytes")), "{error}");
    }
    for touched in 0..whole.len() {
        let mut content = whole.clone();
        content[touched] ^= 1;
        fs::write(&path, content).unwrap();
        let error = read().unwrap_err();
        assert!(error.message().contains("is damaged"), "{touched}: {error}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(read().unwrap(), rows);
}

#[test]
fn files_that_were_prepared_without_a_coding_are_read_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::of(folder.path(), "p", "s");
    create_folder(&spool.folder).unwrap();
    fs::write(spool.folder.join("x.rows"), "0123456789").unwrap();
    let prepared = |sha256: &str| serde_json::json!({ "name": "x.rows", "bytes": 10, "rows": 2, "sha256": sha256 });
    let open = |sha256| spool.open(&serde_json::from_value(prepared(sha256)).unwrap()).unwrap();
    let right = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
    assert_eq!(all(&mut open(right)).unwrap(), b"0123456789");
    let error = all(&mut open(&"0".repeat(64))).unwrap_err();
    assert!(error.message().contains("digest"), "{error}");
}

#[test]
fn a_dropped_writer_and_a_clean_up_leave_nothing_of_this_sink() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, other) = (Spool::of(folder.path(), "p", "s"), Spool::of(folder.path(), "p", "t"));
    drop(mine.create(1, 0).unwrap());
    assert_eq!(names(&mine.folder), 0);
    mine.create(1, 0).unwrap().finish().unwrap();
    let kept = other.create(1, 0).unwrap().finish().unwrap();
    mine.clean_up().unwrap();
    mine.clean_up().unwrap();
    assert_eq!(names(&mine.folder), 0);
    other.check(&[kept]).unwrap();
}
