//! How deeply an expression may be nested at most, by its tokens: known before anything calls itself for each level.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// An upper bound. Operators of one chain count a level each, since `a + b + c` is `(a + b) + c`; what commas and the words of a `CASE`
/// separate does not add up.
pub(crate) fn nesting_of(tokens: &[TokenWithSpan]) -> usize {
    // The levels of each open bracket or CASE. `depth` is their sum.
    let mut open: Vec<usize> = vec![0];
    let (mut depth, mut deepest) = (0_usize, 0);
    for token in tokens {
        match kind(&token.token) {
            Kind::Opens => {
                open.push(1);
                depth += 1;
            }
            Kind::Closes if open.len() > 1 => depth -= open.pop().unwrap_or_default(),
            // A bracket that closes nothing is a mistake that the parser reports.
            Kind::Closes | Kind::Value => {}
            Kind::Separates => {
                if let Some(levels) = open.last_mut() {
                    depth = depth - *levels + 1;
                    *levels = 1;
                }
            }
            Kind::Joins => {
                if let Some(levels) = open.last_mut() {
                    *levels += 1;
                    depth += 1;
                }
            }
        }
        deepest = deepest.max(depth);
    }
    deepest
}

enum Kind {
    Opens,
    Closes,
    Separates,
    Joins,
    Value,
}

fn kind(token: &Token) -> Kind {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Kind::Opens,
        Token::RParen | Token::RBracket | Token::RBrace => Kind::Closes,
        Token::Comma => Kind::Separates,
        Token::Word(word) if word.quote_style.is_some() => Kind::Value,
        Token::Word(word) => match word.keyword {
            Keyword::CASE => Kind::Opens,
            Keyword::END => Kind::Closes,
            Keyword::WHEN | Keyword::THEN | Keyword::ELSE => Kind::Separates,
            // What may be a column or a value ends no level of its own; every other word may be an operator.
            Keyword::NoKeyword | Keyword::NULL | Keyword::TRUE | Keyword::FALSE => Kind::Value,
            _ => Kind::Joins,
        },
        Token::Number(..) | Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::Whitespace(_) | Token::EOF => Kind::Value,
        _ => Kind::Joins,
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::GenericDialect;
    use sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn nesting(text: &str) -> usize {
        nesting_of(&Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().unwrap())
    }

    #[test]
    fn chains_and_brackets_add_up_and_lists_do_not() {
        assert_eq!(nesting("a"), 0);
        assert_eq!(nesting("a + b + c"), 2);
        assert_eq!(nesting("((a))"), 2);
        assert_eq!(nesting("a + (b + (c + d))"), 5);
        assert_eq!(nesting("f(a + b, c + d, e)"), nesting("f(a + b)"));
        assert_eq!(nesting("CASE WHEN a = 1 THEN 2 WHEN a = 3 THEN 4 ELSE 5 END"), nesting("CASE WHEN a = 1 THEN 2 END"));
        assert_eq!(nesting("a END END )"), 0);
    }
}
