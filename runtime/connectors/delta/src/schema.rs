//! What the columns of a pipeline become in a Delta table, and how they differ from those of a table that is there.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use delta_kernel::engine::arrow_conversion::{TryFromArrow, TryIntoArrow};
use delta_kernel::schema::{DataType as DeltaType, StructType};
use wasmill_connect::codes::PREPARED_UNREADABLE;
use wasmill_engine::{Error, Result};
use wasmill_formats::TypeName;

use crate::codes::UNSUPPORTED_COLUMNS;

/// The characters that no Delta reader expects in a column's name unless the table maps columns, which takes a higher protocol.
const FORBIDDEN_IN_NAMES: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// The largest precision of a Delta decimal.
const MAX_PRECISION: u8 = 38;

/// The columns of a table that a pipeline writes.
#[derive(Debug, Clone)]
pub(crate) struct TableSchema {
    /// The columns as data files hold them, partition columns included.
    pub arrow: SchemaRef,
    /// The same in Delta's own terms.
    pub delta: StructType,
    /// The same as a table's log keeps it.
    pub json: String,
    /// The partition columns, in their order in paths.
    pub partition_by: Vec<String>,
}

impl TableSchema {
    /// Maps the columns of a pipeline. All that can't be mapped is reported in one error of class
    /// configuration.
    ///
    /// | in the pipeline | in the table |
    /// |---|---|
    /// | unsigned integers of 8, 16, 32 bits | the next larger signed integer |
    /// | unsigned integers of 64 bits | decimal(20, 0) |
    /// | half floats | float |
    /// | timestamps of any unit and zone, or none | timestamp (UTC, microseconds; a time without a zone is taken as UTC) |
    /// | dates of 32 bits | date |
    /// | dates of 64 bits, which are milliseconds and may hold a time of day | timestamp, as in every other sink |
    /// | text and binary of any layout, dictionaries | string, binary |
    /// | decimals of up to 38 digits and a scale of 0 or more | decimal |
    /// | lists of any layout, structs, maps | array, struct, map |
    /// | times of day, durations, intervals, unions, columns that are always null | refused |
    pub(crate) fn new(schema: &Schema, partition_by: &[String]) -> Result<Self> {
        let mut problems = Vec::new();
        let mut fields = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            match map_field(field, field.name()) {
                Ok(field) => fields.push(field),
                Err(problem) => problems.push(problem),
            }
        }
        check_names(schema, &mut problems);
        check_partitioning(&fields, schema, partition_by, &mut problems);
        if !problems.is_empty() {
            return Err(Error::configuration(format!("a Delta table can't hold these columns: {}", problems.join("; ")))
                .code(UNSUPPORTED_COLUMNS)
                .hint("convert, rename or drop them in a stage before the sink"));
        }
        let arrow = Arc::new(Schema::new(fields));
        let delta = StructType::try_from_arrow(arrow.as_ref())
            .map_err(|error| Error::bug(format!("the mapped schema is not a Delta schema: {error}")))?;
        let json = serde_json::to_string(&delta).map_err(|error| Error::bug(format!("the Delta schema is not JSON: {error}")))?;
        Ok(Self { arrow, delta, json, partition_by: partition_by.to_vec() })
    }

    /// The columns as a prepared commit keeps them.
    pub(crate) fn read(json: &str, partition_by: &[String]) -> Result<Self> {
        let unreadable = |error: &dyn fmt::Display| {
            Error::environment(format!("the schema of a prepared commit can't be read: {error}")).code(PREPARED_UNREADABLE)
        };
        let delta: StructType = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
        let arrow: Schema = (&delta).try_into_arrow().map_err(|error| unreadable(&error))?;
        Ok(Self { arrow: Arc::new(arrow), delta, json: json.to_owned(), partition_by: partition_by.to_vec() })
    }

    /// The columns that data files hold: all but the partition columns, whose values are in the
    /// table's log.
    pub(crate) fn file_schema(&self) -> SchemaRef {
        let kept: Fields = self.arrow.fields().iter().filter(|field| !self.partition_by.contains(field.name())).cloned().collect();
        Arc::new(Schema::new(kept))
    }
}

fn map_field(field: &Field, path: &str) -> Result<FieldRef, String> {
    // Metadata of a field (Parquet's field ids, an origin) only matters to its creator, and would
    // bind the table to it.
    Ok(Arc::new(Field::new(field.name(), map_type(field.data_type(), path)?, field.is_nullable())))
}

fn map_type(data_type: &DataType, path: &str) -> Result<DataType, String> {
    let mapped = match data_type {
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => data_type.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 | DataType::Float32 => DataType::Float32,
        DataType::Float64 => DataType::Float64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date32 => DataType::Date32,
        DataType::Date64 | DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            if *precision > MAX_PRECISION || *scale < 0 || *scale > *precision as i8 {
                return Err(format!(
                    "`{path}` is decimal({precision}, {scale}), but a table's decimals have 38 digits and a scale of 0 or more"
                ));
            }
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => map_type(values, path)?,
        DataType::RunEndEncoded(_, values) => map_type(values.data_type(), path)?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            let item_type = map_type(item.data_type(), &format!("{path}.element"))?;
            DataType::List(Arc::new(Field::new("element", item_type, item.is_nullable())))
        }
        DataType::Struct(fields) => {
            let mapped: Result<Fields, String> = fields.iter().map(|field| map_field(field, &format!("{path}.{}", field.name()))).collect();
            DataType::Struct(mapped?)
        }
        DataType::Map(entries, _) => map_map(entries, path)?,
        DataType::Null => return Err(format!("`{path}` is always null and so has no type")),
        other => return Err(format!("`{path}` is {}, for which Delta has no type", TypeName(other))),
    };
    Ok(mapped)
}

fn map_map(entries: &Field, path: &str) -> Result<DataType, String> {
    let DataType::Struct(fields) = entries.data_type() else { return Err(format!("`{path}` is a map without keys and values")) };
    let [key, value] = fields.as_ref() else { return Err(format!("`{path}` is a map without keys and values")) };
    let key = Field::new("key", map_type(key.data_type(), &format!("{path}.key"))?, false);
    let value = Field::new("value", map_type(value.data_type(), &format!("{path}.value"))?, value.is_nullable());
    let entries = Field::new("key_value", DataType::Struct(Fields::from(vec![key, value])), false);
    Ok(DataType::Map(Arc::new(entries), false))
}

/// Names at the top and inside of structs, wherever these lie, by the same rules.
fn check_names(schema: &Schema, problems: &mut Vec<String>) {
    if schema.fields().is_empty() {
        problems.push("there are none".to_owned());
    }
    check_fields(schema.fields(), "", problems);
}

fn check_fields(fields: &Fields, path: &str, problems: &mut Vec<String>) {
    let mut seen: HashMap<String, String> = HashMap::new();
    for field in fields {
        let name = format!("{path}{}", field.name());
        if field.name().is_empty() {
            let whose = path.strip_suffix('.').map(|of| format!("a field of `{of}`"));
            problems.push(format!("{} has no name", whose.as_deref().unwrap_or("a column")));
        }
        if let Some(bad) = field.name().chars().find(|c| FORBIDDEN_IN_NAMES.contains(c)) {
            problems.push(format!("`{name}` has {bad:?} in its name"));
        }
        match seen.insert(field.name().to_lowercase(), name.clone()) {
            Some(other) if other == name => problems.push(format!("`{name}` is there twice")),
            Some(other) => problems.push(format!("`{other}` and `{name}` differ only by their case, which readers of tables do not see")),
            None => {}
        }
        check_inside(field.data_type(), &name, problems);
    }
}

fn check_inside(data_type: &DataType, path: &str, problems: &mut Vec<String>) {
    match data_type {
        DataType::Struct(fields) => check_fields(fields, &format!("{path}."), problems),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => check_inside(item.data_type(), &format!("{path}.element"), problems),
        DataType::Map(entries, _) => {
            let DataType::Struct(entries) = entries.data_type() else { return };
            for (entry, name) in entries.iter().zip(["key", "value"]) {
                check_inside(entry.data_type(), &format!("{path}.{name}"), problems);
            }
        }
        DataType::Dictionary(_, values) => check_inside(values, path, problems),
        DataType::RunEndEncoded(_, values) => check_inside(values.data_type(), path, problems),
        _ => {}
    }
}

/// Whether a column, or something inside of one, is a date of 64 bits.
pub(crate) fn holds_date64(fields: &Fields) -> bool {
    fn holds(data_type: &DataType) -> bool {
        match data_type {
            DataType::Date64 => true,
            DataType::Struct(fields) => holds_date64(fields),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _)
            | DataType::RunEndEncoded(_, item)
            | DataType::Map(item, _) => holds(item.data_type()),
            DataType::Dictionary(_, values) => holds(values),
            _ => false,
        }
    }
    fields.iter().any(|field| holds(field.data_type()))
}

fn check_partitioning(fields: &[FieldRef], schema: &Schema, partition_by: &[String], problems: &mut Vec<String>) {
    for column in partition_by {
        if schema.field_with_name(column).is_err() {
            problems.push(format!("`partition_by` names `{column}`, which is not among the columns"));
        } else if let Some(field) = fields.iter().find(|field| field.name() == column)
            && (field.data_type().is_nested() || field.data_type() == &DataType::Binary)
        {
            problems.push(format!("`partition_by` names `{column}`, whose type {} can't name a folder", TypeName(field.data_type())));
        }
    }
    let are_known = partition_by.iter().all(|column| schema.field_with_name(column).is_ok());
    if !partition_by.is_empty() && are_known && partition_by.len() >= schema.fields().len() {
        problems.push("`partition_by` names every column, which leaves none for the data files".to_owned());
    }
}

/// One way in which a pipeline's columns do not fit a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaDifference {
    /// The table lacks a column that the pipeline writes.
    MissingInTable {
        /// The column, with the names of the structs around it.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// The table has a column that the pipeline does not write.
    MissingInPipeline {
        /// The column, with the names of the structs around it.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// The types differ.
    Type {
        /// The column, with the names of the structs around it.
        column: String,
        /// Its type in the table.
        table: String,
        /// Its type in the pipeline, as the sink would write it.
        pipeline: String,
    },
    /// The table allows no nulls where the pipeline may write them.
    Nullable {
        /// The column, with the names of the structs around it.
        column: String,
    },
    /// The partition columns differ.
    Partitioning {
        /// Those of the table.
        table: Vec<String>,
        /// Those of the pipeline.
        pipeline: Vec<String>,
    },
}

impl fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingInTable { column, data_type } => write!(f, "the table has no column `{column}` ({data_type})"),
            Self::MissingInPipeline { column, data_type } => {
                write!(f, "the table has a column `{column}` ({data_type}) that the pipeline does not write")
            }
            Self::Type { column, table, pipeline } => {
                write!(f, "`{column}` is {table} in the table and {pipeline} in the pipeline")
            }
            Self::Nullable { column } => write!(f, "`{column}` may be null in the pipeline but not in the table"),
            Self::Partitioning { table, pipeline } => {
                write!(f, "the table is partitioned by [{}], the pipeline by [{}]", table.join(", "), pipeline.join(", "))
            }
        }
    }
}

/// A type of a table as a pipeline file writes it.
pub(crate) fn type_name(data_type: &DeltaType) -> String {
    let arrow: Result<DataType, _> = data_type.try_into_arrow();
    arrow.map_or_else(|_| data_type.to_string(), |arrow| TypeName(&arrow).to_string())
}

/// How the columns that a pipeline writes differ from those of a table; columns are matched by name.
pub(crate) fn differences(table: &StructType, table_partition_by: &[String], pipeline: &TableSchema) -> Vec<SchemaDifference> {
    let mut found = Vec::new();
    compare_structs(table, &pipeline.delta, "", &mut found);
    if table_partition_by != pipeline.partition_by {
        found.push(SchemaDifference::Partitioning { table: table_partition_by.to_vec(), pipeline: pipeline.partition_by.clone() });
    }
    found
}

fn compare_structs(table: &StructType, pipeline: &StructType, path: &str, found: &mut Vec<SchemaDifference>) {
    for ours in pipeline.fields() {
        let column = format!("{path}{}", ours.name());
        match table.field(ours.name()) {
            None => found.push(SchemaDifference::MissingInTable { column, data_type: type_name(ours.data_type()) }),
            Some(theirs) => {
                if ours.is_nullable() && !theirs.is_nullable() {
                    found.push(SchemaDifference::Nullable { column: column.clone() });
                }
                compare_types(theirs.data_type(), ours.data_type(), &column, found);
            }
        }
    }
    for theirs in table.fields().filter(|theirs| pipeline.field(theirs.name()).is_none()) {
        let column = format!("{path}{}", theirs.name());
        found.push(SchemaDifference::MissingInPipeline { column, data_type: type_name(theirs.data_type()) });
    }
}

fn compare_types(table: &DeltaType, pipeline: &DeltaType, column: &str, found: &mut Vec<SchemaDifference>) {
    match (table, pipeline) {
        (DeltaType::Struct(table), DeltaType::Struct(pipeline)) => compare_structs(table, pipeline, &format!("{column}."), found),
        (DeltaType::Array(table), DeltaType::Array(pipeline)) => {
            let element = format!("{column}.element");
            if pipeline.contains_null() && !table.contains_null() {
                found.push(SchemaDifference::Nullable { column: element.clone() });
            }
            compare_types(table.element_type(), pipeline.element_type(), &element, found);
        }
        (DeltaType::Map(table), DeltaType::Map(pipeline)) => {
            let value = format!("{column}.value");
            if pipeline.value_contains_null() && !table.value_contains_null() {
                found.push(SchemaDifference::Nullable { column: value.clone() });
            }
            compare_types(table.key_type(), pipeline.key_type(), &format!("{column}.key"), found);
            compare_types(table.value_type(), pipeline.value_type(), &value, found);
        }
        (table, pipeline) if table == pipeline => {}
        (table, pipeline) => {
            found.push(SchemaDifference::Type { column: column.to_owned(), table: type_name(table), pipeline: type_name(pipeline) })
        }
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
