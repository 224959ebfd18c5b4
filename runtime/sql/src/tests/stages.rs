//! The stages: what passes, what is rejected, and what is not copied.

use arrow_array::Array;
use wasmill_engine::{RowReject, Stage, StageOutput};

use super::*;
use crate::{Filter, Select};

fn select(columns: &[(&str, &str)]) -> Select {
    let columns: Vec<(String, Parsed)> = columns.iter().map(|(name, text)| ((*name).to_owned(), Parsed::new(text).unwrap())).collect();
    Select::new(&columns, &posts().schema()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn filter(text: &str, hidden: &[&str]) -> Filter {
    let hidden: Vec<String> = hidden.iter().map(|name| (*name).to_owned()).collect();
    Filter::new(&Parsed::new(text).unwrap(), &posts().schema(), &hidden).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn process(stage: &dyn Stage) -> StageOutput {
    let output = stage.open(0).unwrap().process(&posts()).unwrap();
    assert_eq!(output.outputs[0].records.schema(), stage.ports()[0].1);
    output
}

fn reject(row: u32, code: &str, column: Option<&str>, message: &str) -> RowReject {
    RowReject { row, code: code.to_owned(), column: column.map(str::to_owned), message: message.to_owned() }
}

#[test]
fn select_gives_its_columns_in_order_and_copies_none_that_it_passes() {
    let stage = select(&[("year", "extract(year from timestamp)"), ("name", "Title"), ("ind", "ind")]);
    let output = process(&stage);
    let records = &output.outputs[0].records;
    let names: Vec<&str> = stage.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!((names, output.rejects.len()), (vec!["year", "name", "ind"], 0));
    assert!(output.outputs[0].origins.is_none(), "every row passes");
    let (passed, given) = (records.column(1).to_data(), posts().column(5).to_data());
    assert_eq!(passed, given);
    let posts = posts();
    let output = stage.open(0).unwrap().process(&posts).unwrap();
    assert!(Arc::ptr_eq(output.outputs[0].records.column(1), posts.column(5)));
}

#[test]
fn a_row_without_a_value_is_rejected_and_the_others_pass() {
    let stage = select(&[("number", "CAST(title AS BIGINT)"), ("share", "ind / (small - 10)"), ("title", "title")]);
    let output = process(&stage);
    let cast = "`CAST(title AS BIGINT)`: the value can't be converted: Cannot cast string 'Plum' to value of Int64 type";
    let other = "`CAST(title AS BIGINT)`: the value can't be converted: Cannot cast string 'été' to value of Int64 type";
    assert_eq!(output.rejects, [reject(0, "sql-cast", Some("number"), cast), reject(3, "sql-cast", Some("number"), other)]);
    let records = &output.outputs[0].records;
    assert_eq!(texts(records.column(0)), ["12", "NULL"]);
    assert_eq!(texts(records.column(1)), ["0", "NULL"]);
    assert_eq!(texts(records.column(2)), ["12", "NULL"]);
}

#[test]
fn filter_passes_what_is_true_and_leaves_out_what_is_false_or_null() {
    let output = process(&filter("ok", &[]));
    assert_eq!((output.outputs[0].origins.clone(), output.rejects.len()), (Some(vec![0, 3]), 0));
    assert_eq!(output.outputs[0].records.num_columns(), posts().num_columns());
    let output = process(&filter("1 / likes > 0", &[]));
    assert_eq!(output.outputs[0].origins, Some(vec![0]));
    assert_eq!(output.rejects, [reject(1, "sql-division-by-zero", None, "`1 / likes > 0`: division by zero")]);
    let nothing = process(&filter("false", &[]));
    assert_eq!((nothing.outputs[0].origins.clone(), nothing.outputs[0].records.num_rows()), (Some(Vec::new()), 0));
}

#[test]
fn filter_passes_all_rows_without_a_copy() {
    let posts = posts();
    let output = filter("small IS NOT NULL", &[]).open(0).unwrap().process(&posts).unwrap();
    assert!(output.outputs[0].origins.is_none() && output.rejects.is_empty());
    assert!(Arc::ptr_eq(output.outputs[0].records.column(4), posts.column(4)));
}

#[test]
fn a_column_that_a_filter_gets_for_itself_does_not_pass() {
    let stage = filter("_source.topic = 'b'", &["_source.topic"]);
    let output = process(&stage);
    assert_eq!(output.outputs[0].origins, Some(vec![2, 3]));
    assert!(stage.schema().index_of("_source.topic").is_err() && stage.schema().fields().len() == posts().num_columns() - 1);
}

#[test]
fn a_filter_that_is_no_question_is_refused() {
    let problems = Filter::new(&Parsed::new("ind + 1").unwrap(), &posts().schema(), &[]).unwrap_err();
    assert_eq!(problems[0].message, "a filter has to be true or false, and this is int64");
}

#[test]
fn a_batch_of_another_schema_is_a_bug_and_no_panic() {
    let mut instance = select(&[("a", "ind + 1"), ("b", "title")]).open(0).unwrap();
    assert!(instance.process(&posts().project(&[0]).unwrap()).is_err());
    assert!(instance.process(&posts().project(&[4, 1, 2, 3, 0]).unwrap()).is_err());
    let mut instance = filter("ind > 1", &[]).open(0).unwrap();
    assert!(instance.process(&posts().project(&[4]).unwrap()).is_err());
}
