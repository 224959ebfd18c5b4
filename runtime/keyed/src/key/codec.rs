//! Which columns make a key, and how each is encoded.

use std::fmt::Write;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Fields};
use wasmill_types::TypeName;

use super::{Keys, decode, encode};
use crate::codes::{KEY_TYPE, RUN_DAMAGED};
use crate::{Error, Result};

/// Encodes and decodes the keys of one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCodec {
    fields: Fields,
    forms: Vec<Form>,
}

/// How a column's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    /// Everything of up to 64 bits that is ordered like an integer.
    Word,
    /// Decimals of 128 bits and less.
    Wide,
    /// Decimals of 256 bits.
    Widest,
    /// Text and binary.
    Bytes,
}

impl KeyCodec {
    /// A codec for keys of these columns; none at all is one key for all rows.
    ///
    /// # Errors
    /// Configuration: a column can't be a key. The error names it and its type.
    pub fn new(fields: impl Into<Fields>) -> Result<Self> {
        let fields = fields.into();
        let forms = fields
            .iter()
            .map(|field| {
                form(field.data_type()).ok_or_else(|| {
                    Error::configuration(format!("column `{}` of type {} can't be a key", field.name(), TypeName(field.data_type())))
                        .code(KEY_TYPE)
                        .hint("convert it to an integer, a decimal or a text in a `select` before the stage")
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { fields, forms })
    }

    /// The key columns.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Whether keys of both are equal exactly where their values are, as the two sides of a join need it: the same types in the same order,
    /// whatever the columns are called.
    pub fn compares_with(&self, other: &Self) -> bool {
        let types = |codec: &Self| codec.fields.iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        types(self) == types(other)
    }

    /// Whether a key is one value of 64 bits, which [`words`](super::words) gives.
    pub(crate) fn is_word(&self) -> bool {
        self.forms == [Form::Word]
    }

    /// Encodes the keys of `rows` rows over what `keys` held. The columns are those of [`fields`](Self::fields), in order.
    ///
    /// # Errors
    /// Bug: the columns have other types.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize, keys: &mut Keys) -> Result<()> {
        self.check(columns)?;
        encode::encode(&self.forms, columns, rows, keys);
        Ok(())
    }

    pub(crate) fn check(&self, columns: &[ArrayRef]) -> Result<()> {
        let found = || columns.iter().map(|column| column.data_type());
        if found().ne(self.fields.iter().map(|field| field.data_type())) {
            let found: Vec<String> = found().map(|of| TypeName(of).to_string()).collect();
            return Err(Error::bug(format!("key columns of types {} where others were planned", found.join(", "))));
        }
        Ok(())
    }

    /// Decodes keys into columns.
    ///
    /// # Errors
    /// Environment: a key is not of this encoding; it was read from a damaged run.
    pub fn decode<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let mut rest: Vec<&[u8]> = keys.into_iter().collect();
        let columns = self.fields.iter().zip(&self.forms).map(|(field, &form)| {
            decode::column(form, field.data_type(), &mut rest).map_err(|message| damaged(&format!("column `{}` {message}", field.name())))
        });
        let columns = columns.collect::<Result<_>>()?;
        match rest.iter().find(|rest| !rest.is_empty()) {
            Some(rest) => Err(damaged(&format!("has {} bytes too many", rest.len()))),
            None => Ok(columns),
        }
    }

    /// A key for people: `user=7, country=null`. A key that can't be decoded is shown in hexadecimal.
    pub fn in_words(&self, key: &[u8]) -> String {
        let Ok(columns) = self.decode([key]) else {
            return key.iter().fold("0x".to_owned(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
        };
        let columns = self.fields.iter().zip(&columns).map(|(field, column)| format!("{}={}", field.name(), decode::shown(column)));
        columns.collect::<Vec<_>>().join(", ")
    }
}

fn damaged(what: &str) -> Error {
    Error::environment(format!("a key in the state is damaged: {what}")).code(RUN_DAMAGED)
}

fn form(data_type: &DataType) -> Option<Form> {
    use DataType::*;
    match data_type {
        Boolean => Some(Form::Bool),
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => Some(Form::Word),
        Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) | Duration(_) => Some(Form::Word),
        Decimal32(..) | Decimal64(..) | Decimal128(..) => Some(Form::Wide),
        Decimal256(..) => Some(Form::Widest),
        Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Some(Form::Bytes),
        _ => None,
    }
}
