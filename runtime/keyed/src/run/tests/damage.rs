//! Foreign bytes: files that were changed in any way are an error, or hold what was written.

use proptest::prelude::*;
use twox_hash::XxHash3_64;

use super::*;
use crate::codes::RUN_DAMAGED;
use crate::run::footer::{self, HEADER_BYTES, TRAILER_BYTES};

fn sample() -> (Vec<Entry>, Vec<u8>) {
    let entry = |end: i64, key: u8| {
        Entry::new(end, &[key], key.is_multiple_of(3), vec![(Some(key.into()), vec![format!("text {key}")]); (key % 3).into()])
    };
    let mut all: Vec<Entry> = (0..40).map(|key| entry(i64::from(key % 4) * 10, key)).collect();
    all.sort();
    let (_, bytes) = run_in_file(&all, 10);
    (all, bytes.to_vec())
}

/// What reading a file gives: its entries, or an error of the one kind that names the file.
fn read(bytes: &[u8]) -> Option<Vec<Entry>> {
    match open(bytes).and_then(|run| entries(&run)) {
        Ok(entries) => Some(entries),
        Err(error) => {
            assert_eq!(error.kind(), Some(RUN_DAMAGED), "{error}");
            assert!(error.message().starts_with("the run stage/7.run is damaged at "), "{error}");
            None
        }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let (_, bytes) = sample();
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert_eq!(read(&damaged), None, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn every_truncation_is_found() {
    let (_, bytes) = sample();
    for length in 0..bytes.len() {
        assert_eq!(read(&bytes[..length]), None, "{length} bytes");
        assert_eq!(read(&bytes[bytes.len() - length..]), None, "the last {length} bytes");
    }
}

#[test]
fn blocks_of_another_run_are_found() {
    let (all, bytes) = sample();
    let mut others = all.clone();
    others.iter_mut().flat_map(|entry| &mut entry.rows).for_each(|row| row.0 = Some(77));
    let (_, other) = run_in_file(&others, 10);
    let mut mixed = bytes.clone();
    let length = mixed.len().min(other.len()) - 600;
    mixed[HEADER_BYTES..length].copy_from_slice(&other[HEADER_BYTES..length]);
    assert_eq!(read(&mixed), None);
}

/// Puts a footer with a right checksum and a right trailer behind blocks.
fn with_footer(blocks: &[u8], footer: &[u8]) -> Vec<u8> {
    [blocks, footer, &footer::trailer(footer)].concat()
}

fn parts(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let trailer_at = bytes.len() - TRAILER_BYTES;
    let length = u64::from_le_bytes(bytes[trailer_at..trailer_at + 8].try_into().unwrap()) as usize;
    (bytes[..trailer_at - length].to_vec(), bytes[trailer_at - length..trailer_at].to_vec())
}

/// Rewrites a file with one of its blocks changed before compression, and with checksums and lengths that are right for it.
fn with_block(bytes: &[u8], number: usize, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (blocks, footer) = parts(bytes);
    let (schema, index, mut segments) = footer::decode(&footer, blocks.len() as u64).unwrap();
    let mut written = blocks[..HEADER_BYTES].to_vec();
    let mut change = Some(change);
    for (i, segment) in segments.iter_mut().enumerate() {
        let mut compressed = blocks[segment.offset as usize..][..segment.length as usize].to_vec();
        if i == number {
            let mut raw = zstd::bulk::decompress(&compressed, segment.raw_length as usize).unwrap();
            (change.take().unwrap())(&mut raw);
            segment.raw_length = raw.len() as u32;
            compressed = zstd::bulk::compress(&raw, 1).unwrap();
        }
        segment.offset = written.len() as u64;
        segment.length = compressed.len() as u32;
        segment.checksum = XxHash3_64::oneshot(&compressed);
        written.extend(compressed);
    }
    let footer = footer::encode(&schema, &index, &segments);
    with_footer(&written, &footer)
}

#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Word(prop::sample::Index, u64),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let word = prop_oneof![Just(0_u64), Just(u64::MAX), Just(1 << 31), Just(1 << 63), any::<u64>(), 0..5000_u64];
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<prop::sample::Index>(), word).prop_map(|(at, word)| Mutation::Word(at, word)),
        any::<prop::sample::Index>().prop_map(Mutation::Cut),
        (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(one, other)| Mutation::Swap(one, other)),
    ]
}

fn apply(mutations: &[Mutation], bytes: &mut Vec<u8>) {
    for mutation in mutations {
        if bytes.is_empty() {
            return;
        }
        match mutation {
            Mutation::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Mutation::Word(at, word) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + 8);
                bytes[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
            }
            Mutation::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Mutation::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Mutation::Swap(one, other) => {
                let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
                bytes.swap(one, other);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn mutated_files_are_errors_or_as_they_were(mutations in prop::collection::vec(mutation(), 1..4)) {
        let (all, mut bytes) = sample();
        apply(&mutations, &mut bytes);
        if let Some(found) = read(&bytes) {
            prop_assert_eq!(found, all);
        }
    }

    /// A lying footer whose checksum is right: every claim of it is held against the rest.
    #[test]
    fn footers_that_lie_are_errors_or_change_nothing(mutations in prop::collection::vec(mutation(), 1..3)) {
        let (all, bytes) = sample();
        let (blocks, mut footer) = parts(&bytes);
        apply(&mutations, &mut footer);
        if let Some(found) = read(&with_footer(&blocks, &footer)) {
            prop_assert_eq!(found, all);
        }
    }

    /// A lying block whose checksum is right: values can be others, but nothing panics, and keys are those of the index and in order.
    #[test]
    fn blocks_that_lie_do_no_harm(mutations in prop::collection::vec(mutation(), 1..3), number in 0..4usize) {
        let (_, bytes) = sample();
        let bytes = with_block(&bytes, number, |raw| apply(&mutations, raw));
        let Ok(run) = open(&bytes) else { panic!("the footer is right") };
        for index in 0..run.blocks() {
            match run.block(index) {
                Ok(block) => prop_assert!((0..block.len()).map(|entry| block.place(entry)).is_sorted()),
                Err(error) => prop_assert_eq!(error.kind(), Some(RUN_DAMAGED)),
            }
        }
    }
}

#[test]
fn a_file_that_is_rewritten_without_a_change_is_the_same() {
    let (all, bytes) = sample();
    let again = with_block(&bytes, 1, |_| ());
    assert_eq!(read(&again), Some(all));
    let (blocks, footer) = parts(&bytes);
    assert_eq!(with_footer(&blocks, &footer), bytes);
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    let (_, bytes) = sample();
    let (blocks, footer) = parts(&bytes);
    let (schema, index, mut segments) = footer::decode(&footer, blocks.len() as u64).unwrap();
    segments[2].raw_length = u32::MAX;
    let lying = with_footer(&blocks, &footer::encode(&schema, &index, &segments));
    let error = open(&lying).unwrap().block(2).unwrap_err();
    assert!(error.message().contains("another length than the 4294967295 bytes"), "{error}");
}

#[test]
fn another_stage_s_columns_are_refused_with_both() {
    let (_, bytes) = sample();
    let other: SchemaRef = Arc::new(Schema::new(vec![Field::new("number", DataType::Int32, true)]));
    let error = Run::open(Arc::new(BytesFile::new("x".to_owned(), bytes)), other, None).unwrap_err();
    assert_eq!(
        error.details(),
        ["the stage has:\n\"number\": int32\n", "the file has:\n\"number\": int64\n\"texts\": list<\"item\": text,> not null\n"]
    );
}

/// Two runs of one length, one in the place of the other.
#[test]
fn another_run_is_not_the_one_that_was_noted() {
    let run = |number| {
        let all = [Entry::new(5, b"key", false, vec![(Some(number), vec![])])];
        let (run, bytes) = run_in_file(&all, 1);
        (run.checksum(), bytes)
    };
    let ((noted, bytes), (_, other)) = (run(1), run(2));
    assert_eq!(bytes.len(), other.len());
    let open = |bytes: &[u8], checksum| Run::open(Arc::new(BytesFile::new("x".to_owned(), bytes)), state_schema(), checksum);
    let windows = |bytes: &[u8], checksum| Run::windows_of(&BytesFile::new("x".to_owned(), bytes), checksum);
    assert_eq!(open(&bytes, noted).unwrap().checksum(), noted);
    assert_eq!(windows(&bytes, noted).unwrap().len(), 1);
    assert!(noted.is_some() && open(&other, None).is_ok(), "nothing was noted");
    for error in [open(&other, noted).unwrap_err(), windows(&other, noted).unwrap_err()] {
        assert_eq!(error.kind(), Some(RUN_DAMAGED));
        assert!(error.message().ends_with(": it holds another run than the checkpoint names"), "{error}");
    }
}

#[test]
fn a_newer_version_is_named() {
    let (_, mut bytes) = sample();
    bytes[8] = 2;
    assert!(open(&bytes).unwrap_err().message().ends_with("it is of version 2; this Wasmill reads version 1"));
}
