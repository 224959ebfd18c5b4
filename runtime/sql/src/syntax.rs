//! The text of an expression: parsed, bounded, and the columns that it names.

use std::ops::Range;

use sqlparser::ast::{Expr, Ident, Spanned};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::columns::{Inside, columns_of};
use crate::nesting::nesting_of;
use crate::problem::{ProblemKind, SqlProblem, shorten};

/// The most bytes of an expression.
pub const MAX_BYTES: usize = 64 * 1024;

/// How deeply the parts of an expression may be nested: every step of the check and of evaluation calls itself once per level.
pub const MAX_NESTING: usize = 200;

/// An expression that is SQL. Whether it fits the columns that it meets is another question: [`Expression::new`](crate::Expression::new).
#[derive(Debug, Clone)]
pub struct Parsed {
    text: String,
    pub(crate) ast: Expr,
    pub(crate) places: Places,
    columns: Vec<ColumnUse>,
}

/// A column that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnUse {
    /// Its name.
    pub name: String,
    /// The characters of the text that name it.
    pub span: Range<usize>,
}

impl Parsed {
    /// Parses one expression.
    ///
    /// # Errors
    /// The text is no expression, or a part of it is none that a row can be computed by.
    pub fn new(text: &str) -> Result<Self, SqlProblem> {
        let (ast, places) = parse(text)?;
        let columns = columns_of(&ast, &places, Inside::Row)?;
        Ok(Self::of(text, ast, places, columns))
    }

    /// A parsed expression that names these columns.
    pub(crate) fn of(text: &str, ast: Expr, places: Places, columns: Vec<ColumnUse>) -> Self {
        Self { text: text.to_owned(), ast, places, columns }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns that it names, each time that it names them, in the order of the text.
    pub fn columns(&self) -> &[ColumnUse] {
        &self.columns
    }

    /// The column that it is, if it is nothing but the name of one.
    pub fn plain_column(&self) -> Option<&str> {
        match &self.ast {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.columns.first().map(|column| column.name.as_str()),
            _ => None,
        }
    }
}

/// The syntax tree of one expression, within its bounds.
pub(crate) fn parse(text: &str) -> Result<(Expr, Places), SqlProblem> {
    let places = Places::of(text);
    if text.len() > MAX_BYTES {
        let message = format!("the expression has {} bytes, and {MAX_BYTES} are the most", text.len());
        return Err(SqlProblem::new(ProblemKind::Syntax, message, 0..0));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| syntax(&error.message, places.from(error.location)))?;
    refuse_statements(&tokens, &places)?;
    let nesting = nesting_of(&tokens);
    if nesting > MAX_NESTING {
        let message = format!("the expression is nested {nesting} levels deep, and {MAX_NESTING} are the most");
        let help = "`x IN (…)` takes any number of values; a chain of operators counts a level per operator";
        return Err(SqlProblem::new(ProblemKind::Syntax, message, 0..0).help(help));
    }
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let ast = parser.parse_expr().map_err(|error| refused(&error, &places))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(unexpected(&next, &places));
    }
    Ok((ast, places))
}

/// The name of a column as its parts write it: columns are in no table, so that a point is a part of the name, as in `_source.topic`.
pub(crate) fn column_name(parts: &[Ident]) -> String {
    parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".")
}

/// From the lines and columns of the parser to the characters of the text.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The index of the first character of each line.
    lines: Vec<usize>,
    length: usize,
}

impl Places {
    fn of(text: &str) -> Self {
        let breaks = text.chars().enumerate().filter(|(_, char)| *char == '\n').map(|(index, _)| index + 1);
        Self { lines: std::iter::once(0).chain(breaks).collect(), length: text.chars().count() }
    }

    fn index(&self, at: Location) -> Option<usize> {
        let line = self.lines.get(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
        Some((line + usize::try_from(at.column).ok()?.checked_sub(1)?).min(self.length))
    }

    /// The character at a place.
    fn from(&self, at: Location) -> Range<usize> {
        self.index(at).map_or(0..0, |index| index..(index + 1).min(self.length))
    }

    /// The characters of a span; empty where the parser does not know it.
    pub fn range(&self, span: Span) -> Range<usize> {
        match (self.index(span.start), self.index(span.end)) {
            (Some(start), Some(end)) if start < end => start..end,
            _ => 0..0,
        }
    }

    /// The characters of a part.
    pub fn of_part(&self, part: &impl Spanned) -> Range<usize> {
        self.range(part.span())
    }
}

fn syntax(message: &str, span: Range<usize>) -> SqlProblem {
    SqlProblem::new(ProblemKind::Syntax, format!("this is no SQL expression: {}", shorten(message, 200)), span)
}

/// What begins like a statement is one: the parser would complain of its second word.
fn refuse_statements(tokens: &[TokenWithSpan], places: &Places) -> Result<(), SqlProblem> {
    let mut words = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let Some(first) = words.next().filter(|first| first.token != Token::EOF) else {
        return Err(SqlProblem::new(ProblemKind::Syntax, "the expression is empty", 0..0));
    };
    let Token::Word(word) = &first.token else { return Ok(()) };
    // `with`, `insert` and the like may be the names of columns.
    if word.keyword == Keyword::SELECT && word.quote_style.is_none() {
        let message = "this is a query, and a stage takes single expressions";
        let problem = SqlProblem::new(ProblemKind::Unsupported, message, places.range(first.span));
        return Err(problem.help("write `select: { name: expression }` and `filter: expression`, each in a stage of its own"));
    }
    Ok(())
}

/// The parser writes the place into its message.
fn refused(error: &ParserError, places: &Places) -> SqlProblem {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            return SqlProblem::new(ProblemKind::Syntax, "brackets and signs are nested too deeply", 0..0);
        }
    };
    let (what, place) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
    let span = place.split_once(", Column: ").and_then(|(line, column)| {
        let location = Location::new(line.trim().parse().ok()?, column.trim().parse().ok()?);
        Some(places.from(location))
    });
    let what = what.replacen("Expected: ", "expected ", 1);
    syntax(what.replacen("found: EOF", "found the end", 1).trim(), span.unwrap_or(0..0))
}

fn unexpected(next: &TokenWithSpan, places: &Places) -> SqlProblem {
    let span = places.range(next.span);
    let found = shorten(&next.token.to_string(), 40);
    let problem = SqlProblem::new(ProblemKind::Syntax, format!("the expression ends before `{found}`"), span);
    match &next.token {
        Token::Word(word) => match word.keyword {
            Keyword::AS => problem.help("the key is the name of the column"),
            Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER | Keyword::LIMIT => {
                problem.help("a stage takes single expressions: its rows come from `from`, and `filter` is a stage of its own")
            }
            _ => problem,
        },
        Token::Comma | Token::SemiColon => problem.help("write one expression per column"),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (String, String) {
        let problem = Parsed::new(text).unwrap_err();
        (problem.message, text.chars().skip(problem.span.start).take(problem.span.len()).collect())
    }

    #[test]
    fn columns_are_what_is_named_as_it_is_written() {
        let parsed = Parsed::new(r#"Age + extract(year from timestamp) > 1 AND _source.topic = "_source.key" AND `é x` IS NULL"#).unwrap();
        let names: Vec<&str> = parsed.columns().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["Age", "timestamp", "_source.topic", "_source.key", "é x"]);
        let spans: Vec<String> =
            parsed.columns().iter().map(|column| parsed.text().chars().skip(column.span.start).take(column.span.len()).collect()).collect();
        assert_eq!(spans, ["Age", "timestamp", "_source.topic", "\"_source.key\"", "`é x`"]);
        assert_eq!(Parsed::new("\"a b\"").unwrap().plain_column(), Some("a b"));
        assert_eq!(Parsed::new("a + 1").unwrap().plain_column(), None);
    }

    #[test]
    fn what_is_no_expression_is_shown_where_it_stops_being_one() {
        assert_eq!(problem("").0, "the expression is empty");
        assert_eq!(problem("SELECT a FROM t"), ("this is a query, and a stage takes single expressions".into(), "SELECT".into()));
        assert_eq!(problem("a >= 18 FROM t"), ("the expression ends before `FROM`".into(), "FROM".into()));
        assert_eq!(problem("a +").0, "this is no SQL expression: expected an expression, found the end");
        assert_eq!(problem("(a,\n b").0, "this is no SQL expression: expected ), found the end");
        assert_eq!(problem("a = 'x").0, "this is no SQL expression: Unterminated string literal");
    }

    #[test]
    fn what_nests_too_deeply_is_refused_before_it_is_parsed() {
        let chain = vec!["a"; MAX_NESTING].join(" + ");
        assert!(Parsed::new(&chain).is_ok());
        for text in [format!("{chain} + a + a"), "(".repeat(100_000), "- ".repeat(30_000), format!("{}a", "NOT ".repeat(10_000))] {
            let message = Parsed::new(&text).unwrap_err().message;
            assert!(message.contains("the most") || message.contains("nested"), "{message}");
        }
        let list = format!("a IN ({})", (0..5000).map(|number| number.to_string()).collect::<Vec<_>>().join(", "));
        assert!(Parsed::new(&list).is_ok());
    }
}
