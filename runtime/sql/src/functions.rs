//! The functions that are offered, and those that are known and refused.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion_expr::{ScalarUDF, Volatility};
use sqlparser::ast::{Expr, Function, FunctionArguments, ObjectNamePart, Value};

use crate::aggregate::{AGGREGATES, is_aggregate};
use crate::columns::{Inside, arguments};
use crate::nearest::nearest;
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::syntax::Places;

/// A function as people read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Its name, and its other names.
    pub names: &'static [&'static str],
    /// The group that it is listed in.
    pub group: Group,
    /// A call with literals.
    pub example: &'static str,
    /// What that call gives, as text; `NULL` for no value.
    pub result: &'static str,
}

/// What functions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Nulls, and the choice among values.
    Choice,
    /// Texts.
    Text,
    /// Regular expressions.
    Regex,
    /// Numbers.
    Number,
    /// Dates and times.
    Time,
}

macro_rules! functions {
    ($($group:ident: $([$($name:literal),*], $example:literal = $result:literal;)*)*) => {
        /// All that are offered.
        pub const FUNCTIONS: &[FunctionDoc] = &[$($(
            FunctionDoc { names: &[$($name),*], group: Group::$group, example: $example, result: $result },
        )*)*];
    };
}

functions! {
    Choice:
    ["coalesce", "nvl", "ifnull"], "coalesce(NULL, 2, 3)" = "2";
    ["nvl2"], "nvl2(NULL, 1, 2)" = "2";
    ["nullif"], "nullif('n/a', 'n/a')" = "NULL";
    ["greatest"], "greatest(1, 3, 2)" = "3";
    ["least"], "least(1, 3, 2)" = "1";
    Text:
    ["ascii"], "ascii('a')" = "97";
    ["bit_length"], "bit_length('é')" = "16";
    ["btrim", "trim"], "btrim('  a ')" = "a";
    ["character_length", "char_length", "length"], "length('né')" = "2";
    ["chr"], "chr(233)" = "é";
    ["concat"], "concat('a', 1, NULL)" = "a1";
    ["concat_ws"], "concat_ws('-', 'a', 'b')" = "a-b";
    ["contains"], "contains('plum', 'lu')" = "true";
    ["ends_with"], "ends_with('plum', 'um')" = "true";
    ["find_in_set"], "find_in_set('b', 'a,b,c')" = "2";
    ["initcap"], "initcap('new york')" = "New York";
    ["left"], "left('plum', 2)" = "pl";
    ["levenshtein"], "levenshtein('plum', 'plumb')" = "1";
    ["lower"], "lower('PLUM')" = "plum";
    ["lpad"], "lpad('7', 3, '0')" = "007";
    ["ltrim"], "ltrim('  a')" = "a";
    ["octet_length"], "octet_length('é')" = "2";
    ["overlay"], "overlay('plum' PLACING 'ea' FROM 2 FOR 2)" = "peam";
    ["repeat"], "repeat('ab', 2)" = "abab";
    ["replace"], "replace('1,234', ',', '')" = "1234";
    ["reverse"], "reverse('plum')" = "mulp";
    ["right"], "right('plum', 2)" = "um";
    ["rpad"], "rpad('7', 3, '.')" = "7..";
    ["rtrim"], "rtrim('a  ')" = "a";
    ["split_part"], "split_part('a/b/c', '/', 2)" = "b";
    ["starts_with"], "starts_with('plum', 'pl')" = "true";
    ["strpos", "instr", "position"], "strpos('plum', 'u')" = "3";
    ["substr", "substring"], "substr('plum', 2, 2)" = "lu";
    ["substr_index", "substring_index"], "substr_index('a.b.c', '.', 2)" = "a.b";
    ["to_hex"], "to_hex(255)" = "ff";
    ["translate"], "translate('1.234,5', '.,', '_.')" = "1_234.5";
    ["upper"], "upper('plum')" = "PLUM";
    Regex:
    ["regexp_count"], "regexp_count('a1b22', '[0-9]+')" = "2";
    ["regexp_instr"], "regexp_instr('plum 12', '[0-9]+')" = "6";
    ["regexp_like"], "regexp_like('plum', '^p')" = "true";
    ["regexp_replace"], "regexp_replace('a1b22', '[0-9]+', '#', 'g')" = "a#b#";
    Number:
    ["abs"], "abs(-3)" = "3";
    ["acos"], "acos(1.0)" = "0.0";
    ["acosh"], "acosh(1.0)" = "0.0";
    ["asin"], "asin(0.0)" = "0.0";
    ["asinh"], "asinh(0.0)" = "0.0";
    ["atan"], "atan(0.0)" = "0.0";
    ["atanh"], "atanh(0.0)" = "0.0";
    ["atan2"], "atan2(0.0, 1.0)" = "0.0";
    ["cbrt"], "cbrt(27.0)" = "3.0";
    ["ceil"], "ceil(2.1e0)" = "3.0";
    ["cos"], "cos(0.0)" = "1.0";
    ["cosh"], "cosh(0.0)" = "1.0";
    ["degrees"], "degrees(pi())" = "180.0";
    ["exp"], "exp(0.0)" = "1.0";
    ["floor"], "floor(2.9e0)" = "2.0";
    ["isnan"], "isnan(CAST('NaN' AS DOUBLE))" = "true";
    ["ln"], "ln(1.0)" = "0.0";
    ["log"], "log(2.0, 8.0)" = "3.0";
    ["log10"], "log10(100.0)" = "2.0";
    ["log2"], "log2(8.0)" = "3.0";
    ["nanvl"], "nanvl(CAST('NaN' AS DOUBLE), 1e0)" = "1.0";
    ["pi"], "pi()" = "3.141592653589793";
    ["power", "pow"], "power(2.0, 10.0)" = "1024.0";
    ["radians"], "radians(0.0)" = "0.0";
    ["round"], "round(2.345e0, 2)" = "2.35";
    ["signum"], "signum(-2.5e0)" = "-1.0";
    ["sin"], "sin(0.0)" = "0.0";
    ["sinh"], "sinh(0.0)" = "0.0";
    ["sqrt"], "sqrt(9.0)" = "3.0";
    ["tan"], "tan(0.0)" = "0.0";
    ["tanh"], "tanh(0.0)" = "0.0";
    ["trunc"], "trunc(2.9e0)" = "2.0";
    Time:
    ["date_bin"], "date_bin(INTERVAL '15 minutes', TIMESTAMP '2026-01-02T03:44:05')" = "2026-01-02T03:30:00";
    ["date_part", "datepart", "extract"], "extract(year FROM TIMESTAMP '2026-01-02T03:04:05')" = "2026";
    ["date_trunc", "datetrunc"], "date_trunc('month', TIMESTAMP '2026-01-02T03:04:05')" = "2026-01-01T00:00:00";
    ["from_unixtime"], "from_unixtime(1767323045)" = "2026-01-02T03:04:05";
    ["make_date"], "make_date(2026, 1, 2)" = "2026-01-02";
    ["to_char", "date_format"], "to_char(DATE '2026-01-02', '%d.%m.%Y')" = "02.01.2026";
    ["to_date"], "to_date('02/01/2026', '%d/%m/%Y')" = "2026-01-02";
    ["to_timestamp"], "to_timestamp('2026-01-02T03:04:05Z')" = "2026-01-02T03:04:05";
    ["to_timestamp_seconds"], "to_timestamp_seconds(1767323045)" = "2026-01-02T03:04:05";
    ["to_timestamp_millis"], "to_timestamp_millis(1767323045006)" = "2026-01-02T03:04:05.006";
    ["to_timestamp_micros"], "to_timestamp_micros(1767323045000006)" = "2026-01-02T03:04:05.000006";
    ["to_timestamp_nanos"], "to_timestamp_nanos(1767323045000000006)" = "2026-01-02T03:04:05.000000006";
    ["to_unixtime"], "to_unixtime('2026-01-02T03:04:05Z')" = "1767323045";
}

/// Functions that read the clock or chance.
const VARIABLE: [&str; 15] = [
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "today",
    "localtime",
    "localtimestamp",
    "getdate",
    "sysdate",
    "unix_timestamp",
    "random",
    "rand",
    "uuid",
    "newid",
    "gen_random_uuid",
];

/// Functions over a window of rows.
const WINDOWS: [&str; 8] = ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"];

/// The most characters that one argument may add to a text.
pub(crate) const MAX_ADDED: u64 = 1_000;

/// Arguments that multiply a text are written out, so that no record can ask for more memory than there is: the function, the argument.
const BOUNDED: [(&str, usize); 5] = [("repeat", 1), ("lpad", 1), ("rpad", 1), ("replace", 2), ("regexp_replace", 2)];

static OFFERED: LazyLock<HashMap<&'static str, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let mut by_name: HashMap<String, Arc<ScalarUDF>> = HashMap::new();
    for function in datafusion_functions::all_default_functions() {
        for name in function.aliases().iter().map(String::as_str).chain([function.name()]) {
            by_name.insert(name.to_owned(), Arc::clone(&function));
        }
    }
    let is_same_always = |function: &ScalarUDF| function.signature().volatility == Volatility::Immutable;
    let mut offered = HashMap::new();
    for doc in FUNCTIONS {
        let function = doc.names.iter().find_map(|name| by_name.get(*name)).filter(|function| is_same_always(function));
        if let Some(function) = function {
            offered.extend(doc.names.iter().map(|name| (*name, Arc::clone(function))));
        }
    }
    offered
});

/// The function of a name, in lower case.
pub(crate) fn find(name: &str) -> Option<Arc<ScalarUDF>> {
    OFFERED.get(name).cloned()
}

/// The name of a function that is called: names of functions have no case.
pub(crate) fn name_of(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name.value.to_lowercase()),
        _ => None,
    }
}

/// Finds out whether a function is one that is offered and is called as one.
pub(crate) fn check_call(function: &Function, places: &Places, inside: Inside) -> Result<(), SqlProblem> {
    let span = places.of_part(&function.name);
    let name = name_of(function).unwrap_or_else(|| function.name.to_string());
    let shown = shorten(&name, 60);
    let refused = |message: String, help: &str| Err(SqlProblem::new(ProblemKind::Unsupported, message, span.clone()).help(help));
    if function.over.is_some() || WINDOWS.contains(&name.as_str()) {
        let why = if inside == Inside::Row { "each row is computed alone" } else { "a group has one value" };
        return refused(format!("`{shown}` is a function over a window of rows, and {why}"), "use a plugin that keeps the rows");
    }
    if is_aggregate(&name) {
        if inside != Inside::Row {
            let message = format!("`{shown}` aggregates what is aggregated already");
            return refused(message, "aggregate the results in a second stage `aggregate`");
        }
        let help = match name.as_str() {
            "max" => "the largest of several columns of a row is `greatest(a, b)`; a stage `aggregate` computes the largest of many rows",
            "min" => "the smallest of several columns of a row is `least(a, b)`; a stage `aggregate` computes the smallest of many rows",
            _ => "compute it in a stage `aggregate`",
        };
        return refused(format!("`{shown}` aggregates many rows, and each row is computed alone"), help);
    }
    if VARIABLE.contains(&name.as_str()) {
        let help = match name.as_str() {
            "random" | "rand" => "compute a share of rows from a column",
            "uuid" | "newid" | "gen_random_uuid" => "build a key from columns: `concat_ws('-', a, b)`",
            _ => "use a column that the record brings, such as `_source.timestamp`, or a value in the file: `TIMESTAMP '${env:DAY}'`",
        };
        return refused(
            format!("`{shown}` gives another value in every run, and rows have to come out the same when they are read again"),
            help,
        );
    }
    if !OFFERED.contains_key(name.as_str()) {
        let problem = SqlProblem::new(ProblemKind::Function, format!("there is no function `{shown}`"), span);
        let aggregates = if inside == Inside::Group { AGGREGATES } else { &[] };
        let aggregates = aggregates.iter().flat_map(|aggregate| aggregate.names).copied();
        let near = nearest(&name, OFFERED.keys().copied().chain(aggregates));
        return Err(problem.suggest(near).help("docs/sql.md lists the functions"));
    }
    let has_clauses = match &function.args {
        FunctionArguments::List(list) => list.duplicate_treatment.is_some() || !list.clauses.is_empty(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => false,
    };
    let is_plain = matches!(function.parameters, FunctionArguments::None) && !function.uses_odbc_syntax;
    if has_clauses || !is_plain || function.filter.is_some() || function.null_treatment.is_some() || !function.within_group.is_empty() {
        return Err(SqlProblem::new(ProblemKind::Function, format!("`{shown}` takes arguments and nothing else"), span));
    }
    check_bounds(function, &name, places)
}

/// Arguments that multiply a text.
fn check_bounds(function: &Function, name: &str, places: &Places) -> Result<(), SqlProblem> {
    for (_, index) in BOUNDED.iter().filter(|(bounded, _)| *bounded == name) {
        let Some(argument) = arguments(function, places)?.get(*index).copied() else { continue };
        let is_bounded = match argument {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => number.parse::<u64>().is_ok_and(|number| number <= MAX_ADDED),
                Value::SingleQuotedString(text) => text.chars().count() as u64 <= MAX_ADDED,
                Value::Null => true,
                _ => false,
            },
            _ => false,
        };
        if !is_bounded {
            let message = format!("this argument of `{name}` has to be written out, and {MAX_ADDED} is the most");
            let problem = SqlProblem::new(ProblemKind::Function, message, places.of_part(argument));
            return Err(problem.help("a column could ask for more memory than there is"));
        }
    }
    Ok(())
}
