//! A place among the tokens of one statement.

use super::TableName;
use crate::error::{Error, Result, code};
use crate::scan::HiddenColumns;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use std::sync::Arc;

/// The text that statements were read from, for turning places into character numbers.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    sql: Arc<str>,
    hidden: HiddenColumns,
}

impl Text {
    pub(crate) fn new(sql: &str) -> Self {
        Self { sql: sql.into(), hidden: HiddenColumns::default() }
    }

    /// Notes which hidden columns the text names; one that is only a name of something else does no harm.
    pub(super) fn note(&mut self, tokens: &[TokenWithSpan]) {
        for token in tokens {
            if let Token::Word(word) = &token.token {
                self.hidden.note(&word.value);
            }
        }
    }

    /// The hidden columns that the text names.
    pub(crate) fn hidden(&self) -> HiddenColumns {
        self.hidden
    }

    /// The number of the character at `location`, as PostgreSQL counts: from 1, over the whole text.
    pub(crate) fn position(&self, location: Location) -> Option<u32> {
        self.position_of(location.line, location.column)
    }

    pub(crate) fn position_of(&self, line: u64, column: u64) -> Option<u32> {
        if line == 0 || column == 0 {
            return None;
        }
        let before: usize =
            self.sql.split_inclusive('\n').take(usize::try_from(line).ok()? - 1).map(|line| line.chars().count()).sum();
        u32::try_from(before as u64 + column).ok()
    }

    /// The place after the last character.
    pub(crate) fn end(&self) -> Option<u32> {
        u32::try_from(self.sql.trim_end().chars().count() + 1).ok()
    }
}

/// Reads tokens one after the other; never moves back.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a Text,
    tokens: &'a [TokenWithSpan],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a Text, tokens: &'a [TokenWithSpan]) -> Self {
        Self { text, tokens }
    }

    /// The next token, if one is left.
    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.first().map(|token| &token.token)
    }

    /// Moves past the next token.
    pub(super) fn skip(&mut self) {
        self.tokens = self.tokens.get(1..).unwrap_or_default();
    }

    /// Where the next token stands.
    pub(super) fn here(&self) -> Option<u32> {
        match self.tokens.first() {
            Some(token) => self.text.position(token.span.start),
            None => self.text.end(),
        }
    }

    /// The next token as a bare word in upper case, if it is one. Quoted words are names, never keywords.
    pub(super) fn word(&self) -> Option<String> {
        self.word_at(0)
    }

    fn word_at(&self, ahead: usize) -> Option<String> {
        match self.tokens.get(ahead).map(|token| &token.token) {
            Some(Token::Word(word)) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
            _ => None,
        }
    }

    /// Whether these words come next.
    pub(super) fn is(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.word_at(ahead).as_deref() == Some(word))
    }

    /// Whether this token comes next.
    pub(super) fn is_token(&self, token: &Token) -> bool {
        self.peek() == Some(token)
    }

    /// Moves past these words if they come next.
    pub(super) fn eat(&mut self, words: &[&str]) -> bool {
        let found = self.is(words);
        if found {
            self.tokens = &self.tokens[words.len()..];
        }
        found
    }

    /// Moves past this token if it comes next.
    pub(super) fn eat_token(&mut self, token: &Token) -> bool {
        let found = self.is_token(token);
        if found {
            self.skip();
        }
        found
    }

    /// Moves past these words, which must come next.
    pub(super) fn expect(&mut self, words: &[&str]) -> Result<()> {
        if self.eat(words) { Ok(()) } else { Err(self.unexpected(&words.join(" "))) }
    }

    /// Moves past this token, which must come next.
    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.eat_token(token) { Ok(()) } else { Err(self.unexpected(&format!("\"{token}\""))) }
    }

    /// A syntax error at the next token.
    pub(super) fn unexpected(&self, expected: &str) -> Error {
        let message = match self.peek() {
            Some(token) => format!("syntax error at or near \"{token}\""),
            None => "syntax error at end of input".to_owned(),
        };
        Error::syntax(message).hint(format!("expected {expected}")).at(self.here())
    }

    /// Whether nothing is left.
    pub(super) fn is_end(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<()> {
        if self.is_end() { Ok(()) } else { Err(self.unexpected("the end of the statement")) }
    }

    /// A name: folded to lower case, or quoted.
    pub(super) fn name(&mut self, what: &str) -> Result<String> {
        let here = self.here();
        let Some(Token::Word(word)) = self.peek() else { return Err(self.unexpected(what)) };
        self.skip();
        if word.quote_style.is_some() && word.value != word.value.to_lowercase() {
            return Err(Error::new(
                code::INVALID_NAME,
                format!("the name \"{}\" has capital letters; names are kept in lower case", word.value),
            )
            .hint(format!("write it as {}", word.value.to_lowercase()))
            .at(here));
        }
        Ok(word.value.to_lowercase())
    }

    /// A name, or the same in single quotes.
    pub(super) fn name_or_text(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(text)) => {
                self.skip();
                Ok(text.to_lowercase())
            }
            _ => self.name(what),
        }
    }

    /// `ns.t`, or `t` alone.
    pub(super) fn table(&mut self) -> Result<TableName> {
        let position = self.here();
        let first = self.name("a table name")?;
        if !self.eat_token(&Token::Period) {
            return Ok(TableName { namespace: None, table: first, position });
        }
        let table = self.name("a table name")?;
        if self.is_token(&Token::Period) {
            return Err(Error::unsupported("names have two parts: namespace.table").at(position));
        }
        Ok(TableName { namespace: Some(first), table, position })
    }

    /// Text in single quotes, or in the form E'…'.
    pub(super) fn text(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
                self.skip();
                Ok(text.clone())
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// A whole number; with or without quotes.
    pub(super) fn number(&mut self, what: &str) -> Result<u64> {
        let here = self.here();
        let (Some(Token::Number(digits, false)) | Some(Token::SingleQuotedString(digits))) = self.peek() else {
            return Err(self.unexpected(what));
        };
        self.skip();
        digits
            .trim()
            .replace('_', "")
            .parse()
            .map_err(|_| Error::new(code::INVALID_PARAMETER_VALUE, format!("\"{digits}\" is not {what}")).at(here))
    }

    /// Everything up to the next clause word, comma or bracket: `60s`, `'60s'`, `64 MB`.
    pub(super) fn quantity(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(text)) => {
                self.skip();
                Ok(text.clone())
            }
            Some(Token::Number(digits, false)) => {
                let mut text = digits.clone();
                self.skip();
                if let Some(Token::Word(unit)) = self.peek()
                    && unit.quote_style.is_none()
                    && super::clause::is_unit(&unit.value)
                {
                    text.push_str(&unit.value);
                    self.skip();
                }
                Ok(text)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// TRUE or FALSE, also quoted; `None` if neither comes next.
    pub(super) fn boolean(&mut self) -> Option<bool> {
        let value = match self.peek()? {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
            Token::SingleQuotedString(text) => text.to_ascii_lowercase(),
            _ => return None,
        };
        let value = match value.as_str() {
            "true" | "on" => true,
            "false" | "off" => false,
            _ => return None,
        };
        self.skip();
        Some(value)
    }
}
