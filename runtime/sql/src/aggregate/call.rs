//! One call of an aggregate function, as it is written.

use std::ops::Range;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    CaseWhen, DuplicateTreatment, Expr, Function as SqlFunction, FunctionArg, FunctionArgExpr, FunctionArguments, OrderByExpr, Value,
};

use super::functions::{AGGREGATES, Function, find, refused};
use crate::columns::{Inside, arguments, columns_of};
use crate::functions::name_of;
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::syntax::{ColumnUse, Parsed, Places};

/// A call whose arguments are expressions over rows.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub function: Function,
    /// The function, as it is written.
    pub name: String,
    /// Whether equal values count once.
    pub is_distinct: bool,
    /// The values that it gets of a row, null where a filter leaves the row out. None: it counts all rows.
    pub arguments: Vec<Parsed>,
    /// Of percentiles: which.
    pub share: Option<f64>,
    /// The call as one word: equal calls have equal texts.
    pub text: String,
    /// The characters of the call.
    pub span: Range<usize>,
    /// The columns that it names.
    pub columns: Vec<ColumnUse>,
}

/// The text by which the value of a call is known around it.
pub(crate) fn text_of_call(function: &SqlFunction) -> String {
    function.to_string()
}

impl Call {
    /// # Errors
    /// It is not called as the function is, or an argument is nothing that a row can be computed by.
    pub fn new(written: &SqlFunction, places: &Places) -> Result<Self, SqlProblem> {
        let name = name_of(written).unwrap_or_default();
        let span = places.of_part(&written.name);
        let Some(function) = find(&name) else {
            let (why, help) = refused(&name).unwrap_or(("is not offered", "docs/sql.md lists the functions"));
            return Err(SqlProblem::new(ProblemKind::Unsupported, format!("`{name}` {why}"), span).help(help));
        };
        let reader = Reader { written, places, name: &name, function, span: span.clone() };
        let is_distinct = reader.modifiers()?;
        let (values, share) = reader.values()?;
        let mut columns = Vec::new();
        for part in values.iter().copied().chain(written.filter.as_deref()) {
            columns.extend(columns_of(part, places, Inside::Call)?);
        }
        columns.sort_by_key(|column| column.span.start);
        let text = text_of_call(written);
        let mut arguments = Vec::new();
        for ast in reader.filtered(&values) {
            let columns = columns_of(&ast, places, Inside::Call)?;
            arguments.push(Parsed::of(&text, ast, places.clone(), columns));
        }
        Ok(Self { function, name, is_distinct, arguments, share, text, span, columns })
    }
}

struct Reader<'a> {
    written: &'a SqlFunction,
    places: &'a Places,
    name: &'a str,
    function: Function,
    span: Range<usize>,
}

impl<'a> Reader<'a> {
    fn refused(&self, message: String) -> SqlProblem {
        let problem = SqlProblem::new(ProblemKind::Function, message, self.span.clone());
        let doc = AGGREGATES.iter().find(|doc| doc.names.contains(&self.name));
        problem.help(format!("it is called like this: `{}`", doc.map_or_else(String::new, |doc| doc.call.to_owned())))
    }

    /// What is written beside the arguments. Returns whether the call has `DISTINCT`.
    fn modifiers(&self) -> Result<bool, SqlProblem> {
        let (written, name) = (self.written, self.name);
        if written.null_treatment.is_some() {
            return Err(self.refused(format!("`{name}` leaves nulls out by itself, and takes no `IGNORE NULLS` or `RESPECT NULLS`")));
        }
        if !matches!(written.parameters, FunctionArguments::None) || written.uses_odbc_syntax {
            return Err(self.refused(format!("`{name}` takes arguments in one pair of brackets")));
        }
        let FunctionArguments::List(list) = &written.args else { return Err(self.refused(format!("`{name}` takes arguments"))) };
        if !list.clauses.is_empty() {
            let problem = self.refused(format!("`{name}` takes no clause within its brackets"));
            return Err(problem.help("its result does not depend on an order: `array_agg` sorts the values"));
        }
        let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        if is_distinct && matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]) {
            return Err(self.refused("rows have no `DISTINCT`: name a column".to_owned()));
        }
        if is_distinct && matches!(self.function, Function::ApproxDistinct | Function::CountIf) {
            return Err(self.refused(format!("`{name}` takes no `DISTINCT`")));
        }
        let is_pair = matches!(self.function, Function::Covariance { .. } | Function::Correlation);
        if is_distinct && is_pair {
            return Err(self.refused(format!("`{name}` takes no `DISTINCT`: it is of pairs")));
        }
        let is_percentile = matches!(self.function, Function::PercentileCont | Function::PercentileDisc);
        if !is_percentile && !written.within_group.is_empty() {
            return Err(self.refused(format!("`{name}` takes no `WITHIN GROUP`")));
        }
        Ok(is_distinct)
    }

    /// The expressions of rows, and the share of a percentile.
    fn values(&self) -> Result<(Vec<&'a Expr>, Option<f64>), SqlProblem> {
        let name = self.name;
        if let FunctionArguments::List(list) = &self.written.args
            && self.function == Function::Count
            && matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])
        {
            return Ok((Vec::new(), None));
        }
        let arguments = arguments(self.written, self.places)?;
        if matches!(self.function, Function::PercentileCont | Function::PercentileDisc) {
            let ([share], [order]) = (arguments.as_slice(), self.written.within_group.as_slice()) else {
                return Err(self.refused(format!("`{name}` takes a share and an order")));
            };
            return Ok((vec![self.ordered(order)?], Some(self.share(share)?)));
        }
        let takes = match self.function {
            Function::LeastBy | Function::GreatestBy | Function::Covariance { .. } | Function::Correlation => 2,
            _ => 1,
        };
        if arguments.len() != takes {
            let arguments = if takes == 1 { "one argument" } else { "two arguments" };
            return Err(self.refused(format!("`{name}` takes {arguments}")));
        }
        Ok((arguments, None))
    }

    fn ordered(&self, order: &'a OrderByExpr) -> Result<&'a Expr, SqlProblem> {
        let is_plain = order.options.asc != Some(false) && order.options.nulls_first.is_none() && order.with_fill.is_none();
        if is_plain { Ok(&order.expr) } else { Err(self.refused("the order can only be `ORDER BY x`: nulls are left out".to_owned())) }
    }

    fn share(&self, share: &Expr) -> Result<f64, SqlProblem> {
        let number = match share {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => digits.parse::<f64>().ok(),
                _ => None,
            },
            _ => None,
        };
        number.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| {
            let message = format!("the share of `{}` is a number from 0 to 1, and is written out", shorten(self.name, 60));
            SqlProblem::new(ProblemKind::Function, message, self.places.of_part(share)).help("nine of ten are 0.9")
        })
    }

    /// The values of the rows that `FILTER` keeps, and nulls for the others: of those nothing is computed.
    fn filtered(&self, values: &[&Expr]) -> Vec<Expr> {
        let kept = self.written.filter.as_deref();
        let is_true = || Expr::value(Value::Boolean(true));
        let values: Vec<Expr> = match (self.function, values) {
            (Function::Count, []) => kept.map(|_| is_true()).into_iter().collect(),
            (Function::CountIf, [condition]) => vec![when(condition, is_true())],
            _ => values.iter().map(|value| (*value).clone()).collect(),
        };
        match kept {
            None => values,
            Some(kept) => values.into_iter().map(|value| when(kept, value)).collect(),
        }
    }
}

/// `CASE WHEN condition THEN value END`
fn when(condition: &Expr, value: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: condition.clone(), result: value }],
        else_result: None,
    }
}
