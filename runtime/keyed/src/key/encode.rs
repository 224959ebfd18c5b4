//! Columns to encoded keys.

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteArrayType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type};
use arrow_array::{Array, ArrayAccessor, ArrayRef, GenericByteArray};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::DataType;

use super::codec::Form;
use super::{ESCAPED, Keys, NULL, VALUE, words};

const END: [u8; 2] = [0, 0];
const WIDE_SIGN: u128 = 1 << 127;

/// Calls `$body` with `$array` as the array of texts or binaries that it is.
macro_rules! with_bytes {
    ($column:expr, $array:ident => $body:expr) => {
        match $column.data_type() {
            DataType::Utf8 => {
                let $array = $column.as_string::<i32>();
                $body
            }
            DataType::LargeUtf8 => {
                let $array = $column.as_string::<i64>();
                $body
            }
            DataType::Utf8View => {
                let $array = $column.as_string_view();
                $body
            }
            DataType::Binary => {
                let $array = $column.as_binary::<i32>();
                $body
            }
            DataType::LargeBinary => {
                let $array = $column.as_binary::<i64>();
                $body
            }
            DataType::BinaryView => {
                let $array = $column.as_binary_view();
                $body
            }
            _ => {
                let $array = $column.as_fixed_size_binary();
                $body
            }
        }
    };
}

/// The columns have the types that the forms are for.
pub(super) fn encode(forms: &[Form], columns: &[ArrayRef], rows: usize, keys: &mut Keys) {
    keys.clear();
    if let ([Form::Bytes], [column]) = (forms, columns) {
        let has_zeros = has_zeros(column);
        return with_bytes!(column, array => only_bytes(array, has_zeros, keys));
    }
    let mut lengths = vec![0; rows];
    for (&form, column) in forms.iter().zip(columns) {
        add_lengths(form, column, &mut lengths);
    }
    let mut end = 0;
    // From here on `lengths` holds where the next column of each key begins.
    keys.offsets.extend(lengths.iter_mut().map(|length| {
        let start = end;
        end += *length;
        *length = start;
        end
    }));
    keys.bytes.resize(end, 0);
    for (&form, column) in forms.iter().zip(columns) {
        write(form, column, &mut lengths, &mut keys.bytes);
    }
}

/// A single column of texts needs no second pass: keys are appended.
fn only_bytes<A: ArrayAccessor>(array: A, has_zeros: bool, keys: &mut Keys)
where
    A::Item: AsRef<[u8]>,
{
    keys.offsets.reserve(array.len());
    for row in 0..array.len() {
        if array.is_null(row) {
            keys.bytes.push(NULL);
        } else {
            keys.bytes.push(VALUE);
            let value = array.value(row);
            if has_zeros {
                push_escaped(value.as_ref(), &mut keys.bytes);
            } else {
                keys.bytes.extend_from_slice(value.as_ref());
            }
            keys.bytes.extend_from_slice(&END);
        }
        keys.offsets.push(keys.bytes.len());
    }
}

/// Whether a column of texts or binaries may hold a zero, which is escaped: one search over all of them is quicker than one for each.
fn has_zeros(column: &ArrayRef) -> bool {
    fn any<T: ByteArrayType>(array: &GenericByteArray<T>) -> bool {
        let ends = array.value_offsets();
        let of = |at: usize| ends[at].as_usize();
        memchr::memchr(0, &array.value_data()[of(0)..of(array.len())]).is_some()
    }
    match column.data_type() {
        DataType::Utf8 => any(column.as_string::<i32>()),
        DataType::LargeUtf8 => any(column.as_string::<i64>()),
        DataType::Binary => any(column.as_binary::<i32>()),
        DataType::LargeBinary => any(column.as_binary::<i64>()),
        _ => true,
    }
}

fn push_escaped(mut value: &[u8], into: &mut Vec<u8>) {
    while let Some(zero) = memchr::memchr(0, value) {
        into.extend_from_slice(&value[..=zero]);
        into.push(ESCAPED);
        value = &value[zero + 1..];
    }
    into.extend_from_slice(value);
}

fn add_lengths(form: Form, column: &ArrayRef, lengths: &mut [usize]) {
    let fixed = match form {
        Form::Bool => 2,
        Form::Word => 9,
        Form::Wide => 17,
        Form::Widest => 33,
        Form::Bytes => {
            let has_zeros = has_zeros(column);
            return with_bytes!(column, array => add_lengths_of_bytes(array, has_zeros, lengths));
        }
    };
    match nulls(column) {
        None => lengths.iter_mut().for_each(|length| *length += fixed),
        Some(nulls) => lengths.iter_mut().zip(nulls).for_each(|(length, valid)| *length += if valid { fixed } else { 1 }),
    }
}

/// The nulls of a column that has some.
fn nulls(column: &dyn Array) -> Option<&NullBuffer> {
    column.nulls().filter(|nulls| nulls.null_count() > 0)
}

fn add_lengths_of_bytes<A: ArrayAccessor>(array: A, has_zeros: bool, lengths: &mut [usize])
where
    A::Item: AsRef<[u8]>,
{
    for (row, length) in lengths.iter_mut().enumerate() {
        *length += if array.is_null(row) {
            1
        } else {
            let value = array.value(row);
            let value = value.as_ref();
            let escapes = if has_zeros { memchr::memchr_iter(0, value).count() } else { 0 };
            1 + value.len() + escapes + END.len()
        };
    }
}

fn write(form: Form, column: &ArrayRef, at: &mut [usize], into: &mut [u8]) {
    match form {
        Form::Bool => {
            let values = column.as_boolean();
            write_fixed(column, at, into, |row| [u8::from(values.value(row))]);
        }
        Form::Word => {
            let mut values = Vec::new();
            words(column, &mut values);
            write_fixed(column, at, into, |row| values[row].to_be_bytes());
        }
        Form::Wide => match column.data_type() {
            DataType::Decimal32(..) => {
                let values = column.as_primitive::<Decimal32Type>().values();
                write_fixed(column, at, into, |row| wide(values[row].into()));
            }
            DataType::Decimal64(..) => {
                let values = column.as_primitive::<Decimal64Type>().values();
                write_fixed(column, at, into, |row| wide(values[row].into()));
            }
            _ => {
                let values = column.as_primitive::<Decimal128Type>().values();
                write_fixed(column, at, into, |row| wide(values[row]));
            }
        },
        Form::Widest => {
            let values = column.as_primitive::<Decimal256Type>().values();
            write_fixed(column, at, into, |row| {
                let mut bytes = values[row].to_be_bytes();
                bytes[0] ^= 0x80;
                bytes
            });
        }
        Form::Bytes => {
            let has_zeros = has_zeros(column);
            with_bytes!(column, array => write_bytes(array, has_zeros, at, into));
        }
    }
}

fn wide(value: i128) -> [u8; 16] {
    (value as u128 ^ WIDE_SIGN).to_be_bytes()
}

fn write_fixed<const N: usize>(column: &ArrayRef, at: &mut [usize], into: &mut [u8], value: impl Fn(usize) -> [u8; N]) {
    let nulls = nulls(column);
    for (row, at) in at.iter_mut().enumerate() {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            into[*at] = NULL;
            *at += 1;
        } else {
            let to = &mut into[*at..*at + 1 + N];
            to[0] = VALUE;
            to[1..].copy_from_slice(&value(row));
            *at += 1 + N;
        }
    }
}

fn write_bytes<A: ArrayAccessor>(array: A, has_zeros: bool, at: &mut [usize], into: &mut [u8])
where
    A::Item: AsRef<[u8]>,
{
    for (row, at) in at.iter_mut().enumerate() {
        if array.is_null(row) {
            into[*at] = NULL;
            *at += 1;
            continue;
        }
        let value = array.value(row);
        let value = value.as_ref();
        let to = &mut into[*at..];
        to[0] = VALUE;
        let length = if has_zeros {
            put_escaped(value, &mut to[1..])
        } else {
            to[1..][..value.len()].copy_from_slice(value);
            value.len()
        };
        to[1 + length..][..END.len()].copy_from_slice(&END);
        *at += 1 + length + END.len();
    }
}

/// Writes a text with its zeros escaped, and returns how many bytes that took.
fn put_escaped(value: &[u8], into: &mut [u8]) -> usize {
    let (mut rest, mut length) = (value, 0);
    while let Some(zero) = memchr::memchr(0, rest) {
        into[length..=length + zero].copy_from_slice(&rest[..=zero]);
        into[length + zero + 1] = ESCAPED;
        length += zero + 2;
        rest = &rest[zero + 1..];
    }
    into[length..length + rest.len()].copy_from_slice(rest);
    length + rest.len()
}
