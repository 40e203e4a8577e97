//! SET, RESET, DISCARD, DEALLOCATE.

use super::Kind;
use super::cursor::Cursor;
use super::transaction::modes;
use crate::error::{Error, Result};
use datafusion::sql::sqlparser::tokenizer::Token;

/// What a setting is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetValue {
    Default,
    /// More than one only for lists such as `search_path`.
    Values(Vec<String>),
}

/// `SET [SESSION | LOCAL] name {TO | =} value` and its special forms.
pub(super) fn set(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["SET"])?;
    if cursor.eat(&["TRANSACTION"]) || cursor.eat(&["SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"]) {
        let read_only = modes(cursor)?;
        cursor.end()?;
        return Ok(Kind::SetTransaction { read_only });
    }
    let here = cursor.here();
    let local = cursor.eat(&["LOCAL"]);
    if !local {
        cursor.eat(&["SESSION"]);
    }
    if cursor.is(&["ROLE"]) || cursor.is(&["AUTHORIZATION"]) || cursor.is(&["CONSTRAINTS"]) {
        let word = cursor.word().unwrap_or_default();
        return Err(Error::unsupported(format!("SET {word} is not supported")).at(here));
    }
    if cursor.eat(&["NAMES"]) {
        let value = values(cursor)?;
        cursor.end()?;
        return Ok(Kind::Set { name: "client_encoding".to_owned(), value, local });
    }
    let name = if cursor.eat(&["TIME", "ZONE"]) {
        "timezone".to_owned()
    } else {
        let name = parameter(cursor)?;
        if !cursor.eat(&["TO"]) {
            cursor.expect_token(&Token::Eq)?;
        }
        name
    };
    let value = values(cursor)?;
    cursor.end()?;
    Ok(Kind::Set { name, value, local })
}

/// A setting's name, which may have a prefix: `myapp.user`.
pub(super) fn parameter(cursor: &mut Cursor<'_>) -> Result<String> {
    let mut name = cursor.name("a setting")?;
    while cursor.eat_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.name("the rest of a setting's name")?);
    }
    Ok(name)
}

fn values(cursor: &mut Cursor<'_>) -> Result<SetValue> {
    if cursor.eat(&["DEFAULT"]) || cursor.eat(&["LOCAL"]) {
        return Ok(SetValue::Default);
    }
    let mut values = Vec::new();
    loop {
        let minus = cursor.eat_token(&Token::Minus);
        let value = match cursor.peek() {
            Some(Token::Number(digits, _)) if minus => format!("-{digits}"),
            Some(Token::Number(digits, _)) => digits.clone(),
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) if !minus => text.clone(),
            // Names fold to lower case; quoted ones, such as "$user", stay.
            Some(Token::Word(word)) if !minus => match word.quote_style {
                None => word.value.to_lowercase(),
                Some(_) => word.value.clone(),
            },
            _ => return Err(cursor.unexpected("a value")),
        };
        cursor.skip();
        values.push(value);
        if !cursor.eat_token(&Token::Comma) {
            return Ok(SetValue::Values(values));
        }
    }
}

/// `RESET name | ALL`
pub(super) fn reset(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["RESET"])?;
    let name = if cursor.eat(&["ALL"]) {
        None
    } else if cursor.eat(&["TIME", "ZONE"]) {
        Some("timezone".to_owned())
    } else if cursor.is(&["ROLE"]) || cursor.is(&["SESSION", "AUTHORIZATION"]) {
        return Err(Error::unsupported("RESET ROLE is not supported").at(cursor.here()));
    } else {
        Some(parameter(cursor)?)
    };
    cursor.end()?;
    Ok(Kind::Reset { name })
}

/// `DISCARD ALL` and its parts.
pub(super) fn discard(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["DISCARD"])?;
    if !["ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"].iter().any(|word| cursor.eat(&[word])) {
        return Err(cursor.unexpected("ALL"));
    }
    cursor.end()?;
    Ok(Kind::Discard)
}

/// `DEALLOCATE [PREPARE] name | ALL`; the statements themselves live with the connection.
pub(super) fn deallocate(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["DEALLOCATE"])?;
    cursor.eat(&["PREPARE"]);
    let name = if cursor.eat(&["ALL"]) {
        None
    } else {
        match cursor.peek() {
            Some(Token::Word(word)) => {
                cursor.skip();
                Some(word.value.clone())
            }
            _ => return Err(cursor.unexpected("the name of a prepared statement, or ALL")),
        }
    };
    cursor.end()?;
    Ok(Kind::Deallocate { name })
}
