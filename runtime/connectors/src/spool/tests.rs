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

#[test]
fn what_was_written_is_read_and_then_removed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::of(folder.path(), "p", "s");
    let mut writer = spool.create(7, 1).unwrap();
    let long = vec![7_u8; 3 * CHUNK_BYTES + 5];
    writer.write(b"ab", 1).unwrap();
    writer.write(&long, 2).unwrap();
    let file = writer.finish().unwrap();
    assert_eq!((file.bytes, file.rows), (long.len() as u64 + 2, 3));
    spool.seal(std::slice::from_ref(&file)).unwrap();
    let read = all(&mut Spool::of(folder.path(), "p", "s").open(&file).unwrap()).unwrap();
    assert_eq!((&read[..2], &read[2..]), (b"ab".as_slice(), long.as_slice()));
    spool.remove(std::slice::from_ref(&file));
    spool.remove(std::slice::from_ref(&file));
    let error = spool.open(&file).err().unwrap();
    assert!(error.message().contains("is gone"), "{error}");
}

#[test]
fn a_file_that_was_touched_is_never_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::of(folder.path(), "p", "s");
    let mut writer = spool.create(1, 0).unwrap();
    writer.write(b"0123456789", 1).unwrap();
    let file = writer.finish().unwrap();
    let path = spool.folder.join(&file.name);
    for (content, complaint) in [("012345678", "has 9 bytes"), ("0123456788", "digest"), ("01234567890", "has 11 bytes")] {
        fs::write(&path, content).unwrap();
        let error = spool.open(&file).and_then(|mut reader| all(&mut reader)).unwrap_err();
        assert!(error.message().contains(complaint), "{error}");
    }
    fs::write(&path, "0123456789").unwrap();
    assert_eq!(all(&mut spool.open(&file).unwrap()).unwrap(), b"0123456789");
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
