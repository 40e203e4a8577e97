//! A place among the tokens of one statement.

use super::TableName;
use crate::error::{Error, Result, code};
use crate::scan::HiddenColumns;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use std::sync::Arc;

/// The word behind which a text holds what no error may repeat.
const SECRET: &str = "CREDENTIALS";

/// What is remembered of the text that statements were read from: enough to turn places into character numbers. Not the
/// text itself, which may hold credentials and would live as long as a prepared statement.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// For each line, and for one behind the last, how many characters come before it.
    lines: Arc<[u64]>,
    /// How many characters there are, without white space at the end.
    chars: u64,
    hidden: HiddenColumns,
    /// Where the first [`SECRET`] is named.
    secret: Option<Location>,
}

impl Text {
    pub(crate) fn new(sql: &str) -> Self {
        let mut chars = 0;
        let ends = sql.split_inclusive('\n').map(|line| {
            chars += line.chars().count() as u64;
            chars
        });
        let lines = std::iter::once(0).chain(ends).collect();
        let blank = sql[sql.trim_end().len()..].chars().count() as u64;
        Self { lines, chars: chars - blank, hidden: HiddenColumns::default(), secret: None }
    }

    /// Notes which hidden columns the text names, where one that is only a name of something else does no harm, and
    /// from where on it is not to be repeated.
    pub(super) fn note(&mut self, tokens: &[TokenWithSpan]) {
        for token in tokens {
            if let Token::Word(word) = &token.token {
                self.hidden.note(&word.value);
                if self.secret.is_none() && word.quote_style.is_none() && word.value.eq_ignore_ascii_case(SECRET) {
                    self.secret = Some(token.span.start);
                }
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
        let before = self.lines.get(usize::try_from(line).ok()? - 1)?;
        u32::try_from(before + column).ok()
    }

    /// The place after the last character.
    pub(crate) fn end(&self) -> Option<u32> {
        u32::try_from(self.chars + 1).ok()
    }

    /// What is said of a token that cannot stand at `location`. Behind CREDENTIALS none is repeated: a quote that is
    /// missing makes anything out of a secret. `location` is none if it is not known.
    pub(crate) fn unexpected(&self, token: &str, location: Option<Location>) -> Error {
        let secret = self.secret.is_some_and(|secret| location.is_none_or(|location| location > secret));
        let error = if secret {
            Error::syntax(format!("syntax error behind {SECRET}")).detail("What stands there may be secret.")
        } else {
            Error::syntax(format!("syntax error at or near \"{token}\""))
        };
        error.at(location.and_then(|location| self.position(location)))
    }

    /// Whether a message that somebody else wrote about this text may repeat what is secret in it.
    pub(super) fn is_secret(&self) -> bool {
        self.secret.is_some()
    }
}

/// Reads tokens one after the other; never moves back.
#[derive(Debug, Clone)]
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
        let error = match self.tokens.first() {
            Some(token) => self.text.unexpected(&token.token.to_string(), Some(token.span.start)),
            None => Error::syntax("syntax error at end of input").at(self.text.end()),
        };
        error.hint(format!("expected {expected}"))
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

    /// A storage id: in quotes, or without any, where one with hyphens comes in pieces.
    pub(super) fn storage(&mut self) -> Result<String> {
        if !self.peek().is_some_and(is_piece) || self.is_token(&Token::Minus) {
            return self.name_or_text("a storage id");
        }
        let mut id = String::new();
        while let Some(piece) = self.tokens.first() {
            match &piece.token {
                Token::Word(word) => id.push_str(&word.value.to_lowercase()),
                Token::Number(digits, _) => id.push_str(digits),
                _ => id.push('-'),
            }
            self.skip();
            // What belongs to it stands right behind it.
            if self.tokens.first().is_none_or(|next| next.span.start != piece.span.end || !is_piece(&next.token)) {
                break;
            }
        }
        Ok(id)
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

    /// Text in single quotes, or in the forms E'…' and $$…$$.
    pub(super) fn text(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
                self.skip();
                Ok(text.clone())
            }
            Some(Token::DollarQuotedString(text)) => {
                self.skip();
                Ok(text.value.clone())
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

/// Whether a token may go on with a name that has hyphens.
fn is_piece(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.quote_style.is_none(),
        token => matches!(token, Token::Number(..) | Token::Minus),
    }
}
