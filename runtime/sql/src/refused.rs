//! What is SQL and nothing that one row can be computed by: named, with what to write instead.

use std::ops::Range;

use sqlparser::ast::Expr;

use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::syntax::Places;

/// A query inside of an expression.
pub(crate) fn subquery(span: Range<usize>) -> SqlProblem {
    let problem = SqlProblem::new(ProblemKind::Unsupported, "a subquery can't be used here: each row is computed alone", span);
    problem.help("a fixed set of values is written out: `x IN (1, 2, 3)`")
}

/// A part that is not offered.
pub(crate) fn refused_part(part: &Expr, places: &Places) -> SqlProblem {
    let span = places.of_part(part);
    let refused = |what: &str, help: &str| {
        let problem = SqlProblem::new(ProblemKind::Unsupported, format!("{what} can't be used here"), span.clone());
        if help.is_empty() { problem } else { problem.help(help) }
    };
    match part {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => subquery(span),
        Expr::AnyOp { .. } | Expr::AllOp { .. } => refused("`ANY` and `ALL`", "write `x IN (…)`, or the comparisons with `OR` or `AND`"),
        Expr::Like { any: true, .. } | Expr::ILike { any: true, .. } => refused("`LIKE ANY`", "write the patterns with `OR`"),
        Expr::SimilarTo { .. } => refused("`SIMILAR TO`", "use `regexp_like(text, pattern)`"),
        Expr::RLike { .. } => refused("`RLIKE` and `REGEXP`", "use `regexp_like(text, pattern)`"),
        Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
            refused("`*`", "name the columns; `filter`, `rename` and `drop` pass all others")
        }
        Expr::Cast { format: Some(_), .. } => refused("`CAST … FORMAT`", "use `to_timestamp(text, format)` or `to_char(time, format)`"),
        Expr::Convert { .. } => refused("`CONVERT`", "use `CAST(value AS type)`"),
        Expr::Collate { .. } => refused("`COLLATE`", "texts are compared by their bytes"),
        Expr::CompoundFieldAccess { .. } | Expr::JsonAccess { .. } => refused(
            "a part of a nested value",
            "use a plugin for nested columns; a column with a point in its name is written in double quotes",
        ),
        Expr::Array(_) | Expr::Struct { .. } | Expr::Map(_) | Expr::Dictionary(_) | Expr::Tuple(_) => {
            refused("a nested value", "use a plugin for nested columns")
        }
        _ => refused(&format!("`{}`", shorten(&part.to_string(), 60)), ""),
    }
}
