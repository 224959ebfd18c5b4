//! The fields of a record struct, with their attributes.

use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Type};

/// A field and its column.
pub(crate) struct RecordField {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) column: String,
    pub(crate) dropped: bool,
}

/// The named fields of a struct.
pub(crate) fn of(input: &DeriveInput) -> Result<Vec<RecordField>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "a record is a struct with named fields"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "a record is a struct with named fields"));
    };
    fields.named.iter().map(field).collect()
}

fn field(field: &syn::Field) -> Result<RecordField> {
    let Some(ident) = field.ident.clone() else {
        return Err(Error::new_spanned(field, "a field of a record has a name"));
    };
    let name = ident.to_string();
    let mut record = RecordField { column: name.trim_start_matches("r#").to_owned(), ident, ty: field.ty.clone(), dropped: false };
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("column")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                record.column = meta.value()?.parse::<LitStr>()?.value();
            } else if meta.path.is_ident("drop") {
                record.dropped = true;
            } else {
                return Err(meta.error("expected `name = \"…\"` or `drop`"));
            }
            Ok(())
        })?;
    }
    Ok(record)
}
