//! Damages an input: bytes, numbers, lines, fields and brackets, and words of the format.

use std::ops::Range;

use crate::random::Random;

/// Numbers at the edges of types.
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "1",
    "-1",
    "127",
    "255",
    "32768",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "1e308",
    "1e309",
    "-1e-400",
    "0.1",
    "1.50",
    "00",
];

/// An input with one to eight damages; some take parts of the other one.
pub fn mutated(random: &mut Random, input: &[u8], other: &[u8], dictionary: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(8) {
        damage(random, &mut bytes, other, dictionary);
    }
    bytes
}

fn damage(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8], dictionary: &[&str]) {
    let word = dictionary[random.below(dictionary.len() as u64) as usize].as_bytes();
    if bytes.is_empty() {
        bytes.extend_from_slice(word);
        return;
    }
    let (place, range) = (random.below(bytes.len() as u64) as usize, part(random, bytes.len()));
    match random.below(14) {
        0 => bytes[place] ^= 1 << random.below(8),
        1 => bytes[place] = [0, 0x0a, 0x0d, b'"', b',', 0x7f, 0x80, 0xc3, 0xff][random.below(9) as usize],
        2 => drop(bytes.splice(place..place, word.iter().copied())),
        3 => drop(bytes.splice(range, word.iter().copied())),
        4 => drop(bytes.drain(range)),
        5 => {
            let copy = bytes[range].to_vec();
            drop(bytes.splice(place..place, copy));
        }
        6 if !other.is_empty() => {
            let copy = other[part(random, other.len())].to_vec();
            drop(bytes.splice(place..place, copy));
        }
        7 => {
            let number = NUMBERS[random.below(NUMBERS.len() as u64) as usize];
            let at = run_of(bytes, place, |byte| byte.is_ascii_digit());
            drop(bytes.splice(at, number.bytes()));
        }
        8 => exchange(random, bytes, b'\n'),
        9 => {
            let separator = [b',', b':', b' ', b'-', b'T'][random.below(5) as usize];
            exchange(random, bytes, separator);
        }
        10 => {
            // A word of four or eight bytes, as lengths and offsets are.
            let value =
                [0, 1, u64::MAX, i64::MAX as u64, i32::MAX as u64, u64::from(u32::MAX), random.below(1 << 20)][random.below(7) as usize];
            let length = [1, 2, 4, 8][random.below(4) as usize].min(bytes.len() - place);
            bytes[place..place + length].copy_from_slice(&value.to_le_bytes()[..length]);
        }
        11 => bytes.truncate(place),
        12 => {
            // Deep nesting.
            let bracket = [b'[', b'{', b'(', b'-'][random.below(4) as usize];
            let count = random.below(200) as usize;
            drop(bytes.splice(place..place, std::iter::repeat_n(bracket, count)));
        }
        _ => {
            let at = run_of(bytes, place, |byte| byte.is_ascii_alphanumeric());
            drop(bytes.splice(at, word.iter().copied()));
        }
    }
}

/// A part of so many bytes: mostly a short one.
fn part(random: &mut Random, length: usize) -> Range<usize> {
    let from = random.below(length as u64) as usize;
    let longest = if random.below(4) == 0 { length } else { 16 };
    from..(from + 1 + random.below(longest as u64) as usize).min(length)
}

/// The bytes of a kind around a place; nothing where the place is of another kind.
fn run_of(bytes: &[u8], place: usize, is_of: impl Fn(&u8) -> bool) -> Range<usize> {
    let before = bytes[..place].iter().rev().take_while(|byte| is_of(byte)).count();
    let behind = bytes[place..].iter().take_while(|byte| is_of(byte)).count();
    if behind == 0 { place..place } else { place - before..place + behind }
}

/// Repeats, drops or moves what stands between separators.
fn exchange(random: &mut Random, bytes: &mut Vec<u8>, separator: u8) {
    let mut parts: Vec<Vec<u8>> = bytes.split(|byte| *byte == separator).map(<[u8]>::to_vec).collect();
    let (one, other) = (random.below(parts.len() as u64) as usize, random.below(parts.len() as u64) as usize);
    match random.below(3) {
        0 => parts.swap(one, other),
        1 => drop(parts.remove(one)),
        _ => parts.insert(other, parts[one].clone()),
    }
    *bytes = parts.join(&separator);
}
