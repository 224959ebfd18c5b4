//! Columns that stand in the names of folders: `category=a/year=2024/…`, as Hive and Spark write them.

use std::borrow::Cow;
use std::path::Path;

use arrow_array::{Array, ArrayRef};
use arrow_schema::FieldRef;
use percent_encoding::percent_decode_str;
use wasmill_engine::Result;

use super::damage::damaged;
use super::naming::name_of;
use wasmill_formats::one_value;

/// What Hive writes for a null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns in the names of a path's folders, outermost first; a column that stands there twice counts where it stands last. The value
/// is `None` for a null.
pub fn columns_of(path: &Path) -> Vec<(String, Option<String>)> {
    let name = name_of(path);
    let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
    let mut columns: Vec<(String, Option<String>)> = Vec::new();
    for (column, value) in folders.split('/').filter_map(|folder| folder.split_once('=')) {
        let column = unescape(column);
        columns.retain(|(known, _)| *known != column);
        if !column.is_empty() {
            columns.push((column, (value != NULL).then(|| unescape(value))));
        }
    }
    columns
}

/// `%3D` and the like become the characters that they stand for; what is no such escape, or would not be UTF-8, stays as it is.
fn unescape(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// The value of a wanted column that stands in the names of a path's folders, as an array of one; `None`: it does not stand there.
///
/// # Errors
/// Environment: the value does not fit the column.
pub fn value_of(path: &Path, wanted: &FieldRef) -> Result<Option<ArrayRef>> {
    let Some((_, value)) = columns_of(path).into_iter().find(|(name, _)| name == wanted.name()) else { return Ok(None) };
    let field = wanted.as_ref().clone().with_nullable(true);
    let bad = |why: &str| {
        let shown = value.as_deref().unwrap_or(NULL);
        let message = format!("the folder `{}={shown}` of {} does not fit the column: {why}", wanted.name(), path.display());
        damaged(message, "give the column another type in `schema`, or rename the folder")
    };
    let array = one_value(field.into(), value.as_deref())?.map_err(|why| bad(&why.message))?;
    match wanted.is_nullable() || array.null_count() == 0 {
        true => Ok(Some(array)),
        false => Err(bad("it may not be null")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_columns() {
        let columns = |path: &str| columns_of(Path::new(path));
        let some = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(columns("in/year=2024/month=07/a=b.parquet"), [some("year", "2024"), some("month", "07")]);
        assert_eq!(columns("s3://lake/t/c=a%20b%2Fc/d=%E4/x.json"), [some("c", "a b/c"), some("d", "%E4")]);
        assert_eq!(columns("c=1/c=2/x"), [some("c", "2")]);
        assert_eq!(columns("c=__HIVE_DEFAULT_PARTITION__/x"), [("c".to_owned(), None)]);
        assert_eq!(columns("a/=b/x"), []);
        assert_eq!(columns("x=1"), []);
    }
}
