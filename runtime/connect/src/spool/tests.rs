use super::reader::CHUNK_BYTES;
use std::fs;
use std::path::{Path, PathBuf};

use wasmill_engine::LocalDepot;

use super::*;

fn depot(folder: &Path) -> Arc<dyn Depot> {
    Arc::new(LocalDepot::new(folder))
}

fn spool(folder: &Path) -> Spool {
    Spool::of(&depot(folder), "p", "s")
}

fn path(spool: &Spool, file: &SpoolFile) -> PathBuf {
    PathBuf::from(spool.depot.shown(&spool.name(file)))
}

fn all(reader: &mut SpoolReader) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next_bytes()? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn files(spool: &Spool) -> usize {
    spool.depot.list(&spool.folder).unwrap().len()
}

/// Bytes that no compression shortens.
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
    let spool = spool(folder.path());
    for long in [vec![7_u8; 3 * CHUNK_BYTES + 5], noise(3 * CHUNK_BYTES + 5)] {
        let mut writer = spool.create(Uuid::nil(), 7).unwrap();
        writer.write(b"ab", 1).unwrap();
        writer.write(&long, 2).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!((file.bytes, file.rows), (fs::metadata(path(&spool, &file)).unwrap().len(), 3));
        spool.seal(std::slice::from_ref(&file)).unwrap();
        let mut reader = super::tests::spool(folder.path()).open(&file).unwrap();
        let read = all(&mut reader).unwrap();
        assert_eq!((&read[..2], &read[2..]), (b"ab".as_slice(), long.as_slice()));
        assert!(reader.next_bytes().unwrap().is_none(), "it stays at its end");
        spool.remove(std::slice::from_ref(&file));
        spool.remove(std::slice::from_ref(&file));
        let error = spool.open(&file).err().unwrap();
        assert!(error.message().contains("is gone"), "{error}");
    }
}

#[test]
fn rows_take_less_room_than_they_have_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = spool(folder.path()).create(Uuid::nil(), 1).unwrap();
    for row in 0..10_000 {
        writer.write(format!("{row}: a post of somebody\n").as_bytes(), 1).unwrap();
    }
    assert!(writer.finish().unwrap().bytes < 100_000);
}

#[test]
fn a_file_that_was_touched_is_never_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path());
    let mut writer = spool.create(Uuid::nil(), 1).unwrap();
    let rows = noise(1000);
    writer.write(&rows, 1).unwrap();
    let file = writer.finish().unwrap();
    let path = path(&spool, &file);
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
    let spool = spool(folder.path());
    fs::create_dir_all(folder.path().join("spool/p.s")).unwrap();
    fs::write(folder.path().join("spool/p.s/x.rows"), "0123456789").unwrap();
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
    let depot = depot(folder.path());
    let (mine, other) = (Spool::of(&depot, "p", "s"), Spool::of(&depot, "p", "t"));
    let incarnation = Uuid::now_v7();
    drop(mine.create(incarnation, 1).unwrap());
    assert_eq!(files(&mine), 0);
    // Lanes of a process that ended may have been one epoch ahead of the one that it did not commit.
    let of = |epoch| mine.create(incarnation, epoch).unwrap().finish().unwrap();
    let (_, _, successors) = (of(1), of(2), of(3));
    let kept = other.create(incarnation, 1).unwrap().finish().unwrap();
    let claim = Token { pipeline: "p".into(), sink: "s".into(), incarnation, epoch: 1, previous: 0 };
    mine.clean_up(&claim).unwrap();
    mine.clean_up(&claim).unwrap();
    assert_eq!(files(&mine), 1);
    mine.check(&[successors]).unwrap();
    other.check(&[kept]).unwrap();
}
