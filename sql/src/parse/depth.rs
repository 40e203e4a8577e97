//! How deep a statement's tree would be, told from its tokens before one is built.
//!
//! The grammar bounds parentheses. `1+1+1+…` nests too, to the left, without any: it is read in a loop, and everything that
//! walks or drops the tree afterwards recurses. A thread's stack that runs out ends the whole process.

use crate::error::{Error, Result, code};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

/// Operators and keywords in a row, along one path into the tree. A debug build overflows 8 MiB at about 1800.
const CHAIN_MAX: usize = 500;
/// UNION, EXCEPT and INTERSECT in one statement. A debug build overflows 8 MiB at about 450.
const SET_OPERATIONS_MAX: usize = 64;
/// JOINs in one statement: planning them takes time that grows with their cube.
const JOINS_MAX: usize = 64;
/// WITH queries in one statement: each may read the one before.
const WITH_MAX: usize = 256;

/// Refuses what would nest too deeply.
pub(super) fn check<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> Result<()> {
    let mut depth = Depth { open: vec![0], chain: 0, set_operations: 0, joins: 0, with: 0 };
    let mut before = None;
    for token in tokens {
        depth.take(token, before);
        depth.check()?;
        before = Some(token);
    }
    Ok(())
}

struct Depth {
    /// For each parenthesis, bracket or CASE that is open, the chain inside it so far.
    open: Vec<usize>,
    /// All of these together: the path from the root.
    chain: usize,
    set_operations: usize,
    joins: usize,
    with: usize,
}

impl Depth {
    fn take(&mut self, token: &Token, before: Option<&Token>) {
        match token {
            Token::LParen | Token::LBracket => {
                if before.is_some_and(|before| matches!(before, Token::Word(word) if matches!(word.keyword, Keyword::AS | Keyword::MATERIALIZED))) {
                    self.with += 1;
                }
                self.open.push(0);
            }
            Token::RParen | Token::RBracket => self.close(),
            // What stands between commas is a tree of its own.
            Token::Comma => self.restart(),
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => {}
                Keyword::CASE => {
                    self.grow();
                    self.open.push(0);
                }
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE => self.restart(),
                Keyword::END => self.close(),
                keyword => {
                    match keyword {
                        Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
                            self.set_operations += 1;
                        }
                        Keyword::JOIN => self.joins += 1,
                        _ => {}
                    }
                    self.grow();
                }
            },
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::Placeholder(_)
            | Token::Period => {}
            _ => self.grow(),
        }
    }

    fn grow(&mut self) {
        self.chain += 1;
        if let Some(last) = self.open.last_mut() {
            *last += 1;
        }
    }

    fn restart(&mut self) {
        if let Some(last) = self.open.last_mut() {
            self.chain -= std::mem::take(last);
        }
    }

    fn close(&mut self) {
        // The outermost stays, whatever is closed too often; the grammar says what it thinks of that.
        if self.open.len() > 1 {
            self.restart();
            self.open.pop();
        }
    }

    fn check(&self) -> Result<()> {
        for (count, max, what, instead) in [
            (
                self.chain,
                CHAIN_MAX,
                "operators in a row",
                "write many comparisons as IN (…), and many texts as concat(…)",
            ),
            (self.set_operations, SET_OPERATIONS_MAX, "UNION, EXCEPT and INTERSECT", "ask in several statements"),
            (self.joins, JOINS_MAX, "JOINs", "ask in several statements"),
            (self.with, WITH_MAX, "WITH queries", "ask in several statements"),
        ] {
            if count > max {
                let message = format!("the statement has more than {max} {what}");
                return Err(Error::new(code::STATEMENT_TOO_COMPLEX, message).hint(instead));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn refused(sql: &str) -> bool {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().expect("tokens");
        check(tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_)))).is_err()
    }

    #[test]
    fn what_nests_is_counted_along_its_path() {
        let plus = |count: usize| "1+".repeat(count) + "1";
        assert!(!refused(&format!("SELECT {}", plus(CHAIN_MAX - 1))));
        assert!(refused(&format!("SELECT {}", plus(CHAIN_MAX))));
        let nested = |count| format!("SELECT {}({}({}))", "1+".repeat(count), "1+".repeat(count), plus(count));
        assert!(!refused(&nested(CHAIN_MAX / 3 - 1)));
        assert!(refused(&nested(CHAIN_MAX / 3 + 1)));
        // Neither a CASE nor a closed parenthesis hides what stands around it.
        for hidden in ["CASE WHEN a THEN b END", "(b)", "f(a, b)", "a[1]", "CASE a WHEN b THEN c ELSE d END"] {
            assert!(refused(&format!("SELECT {}", vec![hidden; CHAIN_MAX + 1].join(" OR "))), "{hidden}");
        }
        assert!(refused(&format!(
            "SELECT {}1{}",
            "CASE WHEN a THEN ".repeat(CHAIN_MAX + 1),
            " END".repeat(CHAIN_MAX + 1)
        )));
        assert!(refused(&format!("SELECT 1{}", " IS DISTINCT FROM 2".repeat(CHAIN_MAX))));
        assert!(refused(&vec!["SELECT 1"; SET_OPERATIONS_MAX + 2].join(" UNION ")));
        assert!(refused(&format!("SELECT 1 FROM a {}", "JOIN a ON true ".repeat(JOINS_MAX + 1))));
        assert!(refused(&format!("WITH {} SELECT 1", vec!["a AS (SELECT 1)"; WITH_MAX + 1].join(", "))));
    }

    #[test]
    fn what_is_only_long_is_not() {
        for sql in [
            format!("INSERT INTO t VALUES {}", vec!["(1 + 1, -5, 'a' || 'b')"; 5_000].join(", ")),
            format!("SELECT 1 WHERE a IN ({})", vec!["1"; 50_000].join(", ")),
            format!("SELECT {}", vec!["a + b AS c"; 1_000].join(", ")),
            format!("SELECT CASE {} END", "WHEN a = 1 THEN b + 1 ".repeat(5_000)),
            format!("SELECT {}", vec!["(a OR b)"; 100].join(" AND ")),
            ")".repeat(10_000),
            "END ".repeat(10_000),
        ] {
            assert!(!refused(&sql), "{}", &sql[..60]);
        }
    }
}
