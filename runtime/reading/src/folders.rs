//! Columns in the names of folders: `category=a/year=2024/…`, as Hive and Spark write them.

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

/// A column in the name of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderColumn {
    pub name: String,
    /// `None` for a null.
    pub value: Option<String>,
}

/// The columns in the names of a path's folders, outermost first. Of a column that occurs twice the
/// last counts.
pub fn columns_of(path: &Path) -> Vec<FolderColumn> {
    let name = name_of(path);
    let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
    let mut columns: Vec<FolderColumn> = Vec::new();
    for (name, value) in folders.split('/').filter_map(|folder| folder.split_once('=')) {
        let name = unescape(name);
        columns.retain(|known| known.name != name);
        if !name.is_empty() {
            columns.push(FolderColumn { name, value: (value != NULL).then(|| unescape(value)) });
        }
    }
    columns
}

/// Decodes escapes such as `%3D`. What is not an escape, or would not be UTF-8, stays as it is.
fn unescape(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// The value of a wanted column in the names of a path's folders, as an array of one; `None` if it
/// has none.
///
/// # Errors
/// Environment: the value does not fit the column.
pub fn value_of(path: &Path, wanted: &FieldRef) -> Result<Option<ArrayRef>> {
    let Some(FolderColumn { value, .. }) = columns_of(path).into_iter().find(|column| column.name == *wanted.name()) else {
        return Ok(None);
    };
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
        let some = |name: &str, value: &str| FolderColumn { name: name.to_owned(), value: Some(value.to_owned()) };
        assert_eq!(columns("in/year=2024/month=07/a=b.parquet"), [some("year", "2024"), some("month", "07")]);
        assert_eq!(columns("s3://lake/t/c=a%20b%2Fc/d=%E4/x.json"), [some("c", "a b/c"), some("d", "%E4")]);
        assert_eq!(columns("c=1/c=2/x"), [some("c", "2")]);
        assert_eq!(columns("c=__HIVE_DEFAULT_PARTITION__/x"), [FolderColumn { name: "c".to_owned(), value: None }]);
        assert_eq!(columns("a/=b/x"), []);
        assert_eq!(columns("x=1"), []);
    }
}
