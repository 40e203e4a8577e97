//! `COPY ns.t [(columns)] FROM STDIN [WITH (…)]`, in its new spelling and its old one.

use super::cursor::Cursor;
use super::{Kind, TableName};
use crate::error::{Error, Result, code};
use datafusion::sql::sqlparser::tokenizer::Token;

/// A COPY into a table.
#[derive(Debug, Clone)]
pub(crate) struct CopyIn {
    pub(crate) table: TableName,
    /// Empty: all of them, in their order.
    pub(crate) columns: Vec<(String, Option<u32>)>,
    pub(crate) format: CopyFormat,
}

/// How the data is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyFormat {
    pub(crate) csv: bool,
    /// The first line names columns and is skipped.
    pub(crate) header: bool,
    pub(crate) delimiter: u8,
    /// What stands for NULL.
    pub(crate) null: String,
    /// CSV only.
    pub(crate) quote: u8,
    /// CSV only: what makes a quote inside quotes a character.
    pub(crate) escape: u8,
}

pub(super) fn copy(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["COPY"])?;
    if cursor.is_token(&Token::LParen) {
        return Err(out(cursor));
    }
    let table = cursor.table()?;
    let mut columns = Vec::new();
    if cursor.eat_token(&Token::LParen) {
        loop {
            let here = cursor.here();
            columns.push((cursor.name("a column name")?, here));
            if !cursor.eat_token(&Token::Comma) {
                break;
            }
        }
        cursor.expect_token(&Token::RParen)?;
    }
    if cursor.is(&["TO"]) {
        return Err(out(cursor));
    }
    cursor.expect(&["FROM"])?;
    if !cursor.eat(&["STDIN"]) {
        return match cursor.peek() {
            Some(Token::SingleQuotedString(_)) => Err(Error::unsupported("COPY reads from the client, not from files")
                .hint("use COPY … FROM STDIN; in psql, \\copy")
                .at(cursor.here())),
            _ => Err(cursor.unexpected("STDIN")),
        };
    }
    let format = Choices::read(cursor)?.format()?;
    cursor.end()?;
    Ok(Kind::Copy(CopyIn { table, columns, format }))
}

fn out(cursor: &Cursor<'_>) -> Error {
    Error::unsupported("COPY … TO is not supported").hint("use SELECT").at(cursor.here())
}

/// Options as they were given.
#[derive(Default)]
struct Choices {
    csv: Option<bool>,
    header: bool,
    delimiter: Option<u8>,
    null: Option<String>,
    quote: Option<u8>,
    escape: Option<u8>,
}

impl Choices {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self> {
        let mut choices = Self::default();
        cursor.eat(&["WITH"]);
        let brackets = cursor.eat_token(&Token::LParen);
        while !cursor.is_end() && !cursor.is_token(&Token::RParen) {
            choices.option(cursor)?;
            if brackets && !cursor.eat_token(&Token::Comma) {
                break;
            }
        }
        if brackets {
            cursor.expect_token(&Token::RParen)?;
        }
        Ok(choices)
    }

    fn option(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let here = cursor.here();
        let Some(word) = cursor.word() else { return Err(cursor.unexpected("a COPY option")) };
        cursor.skip();
        match word.as_str() {
            "FORMAT" => {
                let name = cursor.name_or_text("text or csv")?;
                self.csv = Some(match name.as_str() {
                    "text" => false,
                    "csv" => true,
                    "binary" => return Err(binary().at(here)),
                    other => {
                        return Err(invalid(format!("COPY format \"{other}\" not recognized"))
                            .hint("known are text and csv")
                            .at(here));
                    }
                });
            }
            "CSV" => self.csv = Some(true),
            "TEXT" => self.csv = Some(false),
            "BINARY" => return Err(binary().at(here)),
            "HEADER" => {
                if cursor.is(&["MATCH"]) {
                    return Err(Error::unsupported("HEADER MATCH is not supported").at(here));
                }
                self.header = cursor.boolean().unwrap_or(true);
            }
            "DELIMITER" | "DELIMITERS" => self.delimiter = Some(character(cursor, "delimiter")?),
            "NULL" => {
                cursor.eat(&["AS"]);
                self.null = Some(cursor.text("what stands for NULL")?);
            }
            "QUOTE" => self.quote = Some(character(cursor, "quote")?),
            "ESCAPE" => self.escape = Some(character(cursor, "escape")?),
            "ENCODING" => {
                let name = cursor.name_or_text("'UTF8'")?;
                if !matches!(name.as_str(), "utf8" | "utf-8") {
                    return Err(Error::unsupported(format!("encoding \"{name}\" is not supported"))
                        .hint("send UTF-8")
                        .at(here));
                }
            }
            "FREEZE" | "ON_ERROR" | "LOG_VERBOSITY" | "REJECT_LIMIT" | "FORCE_NULL" | "FORCE_NOT_NULL" | "FORCE"
            | "DEFAULT" | "OIDS" | "WHERE" | "FORCE_QUOTE" => {
                return Err(Error::unsupported(format!("COPY option {word} is not supported")).at(here));
            }
            _ => {
                return Err(Error::syntax(format!("option \"{}\" not recognized", word.to_lowercase()))
                    .hint("known are FORMAT, HEADER, DELIMITER, NULL, QUOTE, ESCAPE, ENCODING")
                    .at(here));
            }
        }
        Ok(())
    }

    fn format(self) -> Result<CopyFormat> {
        let csv = self.csv.unwrap_or(false);
        if !csv && (self.quote.is_some() || self.escape.is_some()) {
            return Err(Error::unsupported("COPY QUOTE and ESCAPE need FORMAT csv"));
        }
        let delimiter = self.delimiter.unwrap_or(if csv { b',' } else { b'\t' });
        let quote = self.quote.unwrap_or(b'"');
        if matches!(delimiter, b'\n' | b'\r') || (csv && delimiter == quote) {
            return Err(invalid("COPY delimiter cannot be a newline or the quote character"));
        }
        if !csv && (delimiter == b'\\' || delimiter.is_ascii_lowercase() || delimiter.is_ascii_digit()) {
            return Err(invalid(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter))));
        }
        let null = self.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
        if null.contains(['\n', '\r']) || null.as_bytes().contains(&delimiter) {
            return Err(invalid("what stands for NULL cannot hold a newline or the delimiter"));
        }
        Ok(CopyFormat { csv, header: self.header, delimiter, null, quote, escape: self.escape.unwrap_or(quote) })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(code::INVALID_PARAMETER_VALUE, message)
}

fn binary() -> Error {
    Error::unsupported("COPY in binary format is not supported").hint("use FORMAT text or FORMAT csv")
}

/// One character of one byte, in quotes.
fn character(cursor: &mut Cursor<'_>, what: &str) -> Result<u8> {
    let here = cursor.here();
    cursor.eat(&["AS"]);
    let text = cursor.text(&format!("a {what} in quotes"))?;
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(invalid(format!("COPY {what} must be a single one-byte character")).at(here)),
    }
}
