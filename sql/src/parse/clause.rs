//! How a table is kept: when it is flushed, where to, in which folders. Every spelling ends up in one [`Policy`].

use super::create::TableKind;
use super::cursor::Cursor;
use crate::error::{Error, Result, code, nearest};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::time::Duration;

/// Rows a flush may wait for, at most.
const ROWS_MAX: u64 = 999_999;
/// Seconds a flush may wait, at most: a day less a second.
const SECONDS_MAX: u64 = 86_399;
/// Bytes a flush may wait for, at most: a TiB.
const BYTES_MAX: u64 = 1 << 40;

/// What an empty or missing flush clause is answered with.
pub(crate) const FLUSH_HINT: &str =
    "add a clause such as FLUSH INTERVAL 60s ROW_THRESHOLD 1000, or WITH (FLUSH_POLICY = 'rows:1000,interval:60')";

/// The clauses after the columns. `None`: not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) kind: Option<TableKind>,
    pub(crate) storage: Option<String>,
    pub(crate) use_user_storage: Option<bool>,
    pub(crate) sharding: Option<String>,
    pub(crate) interval: Option<Duration>,
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

impl Policy {
    /// Whether any trigger was named.
    pub(crate) fn triggers(&self) -> bool {
        self.interval.is_some() || self.rows.is_some() || self.bytes.is_some()
    }

    /// Reads clauses, in any order, to the end of the statement.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        while !cursor.is_end() {
            self.read_clause(cursor)?;
        }
        Ok(())
    }

    /// Reads one clause.
    pub(super) fn read_clause(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let here = cursor.here();
        let read = if cursor.eat(&["STORAGE"]) || cursor.eat(&["STORAGE_ID"]) {
            cursor.eat_token(&Token::Eq);
            let storage = cursor.storage()?;
            put(&mut self.storage, storage, "STORAGE")
        } else if cursor.eat(&["USE_USER_STORAGE"]) {
            let value = cursor.boolean().unwrap_or(true);
            put(&mut self.use_user_storage, value, "USE_USER_STORAGE")
        } else if cursor.eat(&["SHARDING"]) {
            let sharding = sharding(cursor)?;
            put(&mut self.sharding, sharding, "SHARDING")
        } else if cursor.eat(&["TABLE_TYPE"]) {
            let kind = TableKind::read(&cursor.name_or_text("user or shared")?);
            kind.and_then(|kind| put(&mut self.kind, kind, "TABLE_TYPE"))
        } else if cursor.eat(&["FLUSH"]) {
            self.read_flush(cursor)
        } else if cursor.eat(&["WITH"]) {
            self.read_options(cursor)
        } else {
            Err(unknown_clause(cursor))
        };
        read.map_err(|error| error.at(here))
    }

    /// The rest of `FLUSH …`: one trigger or several.
    fn read_flush(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        let mut any = false;
        loop {
            let here = cursor.here();
            let word = cursor.word().unwrap_or_default();
            let read = match word.as_str() {
                "INTERVAL" => {
                    cursor.skip();
                    let text = cursor.quantity("a time such as 60s")?;
                    interval(&text).and_then(|value| put(&mut self.interval, value, "FLUSH INTERVAL"))
                }
                "SECONDS" => {
                    cursor.skip();
                    let text = cursor.number("a number of seconds")?.to_string();
                    interval(&text).and_then(|value| put(&mut self.interval, value, "FLUSH INTERVAL"))
                }
                "ROW_THRESHOLD" | "ROWS" => {
                    cursor.skip();
                    let number = cursor.number("a number of rows")?;
                    rows(number).and_then(|value| put(&mut self.rows, value, "FLUSH ROW_THRESHOLD"))
                }
                "BYTES" => {
                    cursor.skip();
                    let text = cursor.quantity("a number of bytes such as '64MB'")?;
                    bytes(&text).and_then(|value| put(&mut self.bytes, value, "FLUSH BYTES"))
                }
                _ if any => return Ok(()),
                _ => {
                    return Err(Error::syntax("FLUSH names no trigger")
                        .detail("a table needs at least one: an interval, a number of rows, or a number of bytes")
                        .hint(FLUSH_HINT)
                        .at(here));
                }
            };
            read.map_err(|e| e.at(here))?;
            any = true;
        }
    }

    /// `WITH (KEY = value, …)`.
    pub(super) fn read_options(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        cursor.expect_token(&Token::LParen)?;
        loop {
            let here = cursor.here();
            let key = cursor.name("an option")?;
            cursor.expect_token(&Token::Eq)?;
            self.read_option(&key, cursor).map_err(|e| e.at(here))?;
            if !cursor.eat_token(&Token::Comma) {
                break;
            }
        }
        cursor.expect_token(&Token::RParen)
    }

    fn read_option(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Result<()> {
        match key {
            "type" | "table_type" => {
                let kind = TableKind::read(&cursor.name_or_text("'USER' or 'SHARED'")?)?;
                put(&mut self.kind, kind, "TYPE")
            }
            "storage_id" | "storage" => {
                let storage = cursor.storage()?;
                put(&mut self.storage, storage, "STORAGE_ID")
            }
            "use_user_storage" => {
                let value = cursor.boolean().ok_or_else(|| cursor.unexpected("true or false"))?;
                put(&mut self.use_user_storage, value, "USE_USER_STORAGE")
            }
            "sharding" => {
                let sharding = sharding(cursor)?;
                put(&mut self.sharding, sharding, "SHARDING")
            }
            "flush_policy" => {
                let text = cursor.text("text such as 'rows:1000,interval:60'")?;
                self.read_policy(&text)
            }
            "flush_interval" => {
                let text = cursor.quantity("a time such as 60s")?;
                put(&mut self.interval, interval(&text)?, "FLUSH_INTERVAL")
            }
            "flush_rows" | "row_threshold" | "flush_row_threshold" => {
                let number = cursor.number("a number of rows")?;
                put(&mut self.rows, rows(number)?, "FLUSH_ROWS")
            }
            "flush_bytes" => {
                let text = cursor.quantity("a number of bytes such as '64MB'")?;
                put(&mut self.bytes, bytes(&text)?, "FLUSH_BYTES")
            }
            "deleted_retention_hours" | "ttl_seconds" | "access_level" | "compression" => {
                Err(Error::unsupported(format!("table option {} is not supported", key.to_uppercase())))
            }
            _ => Err(unknown_option(key)),
        }
    }

    /// `rows:N`, `interval:N`, `bytes:N`, separated by commas.
    fn read_policy(&mut self, text: &str) -> Result<()> {
        let mut any = false;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once(':').unwrap_or((part, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "rows" => {
                    let number = value.parse().map_err(|_| invalid(format!("\"{value}\" is not a number of rows")))?;
                    put(&mut self.rows, rows(number)?, "rows")?;
                }
                "interval" => put(&mut self.interval, interval(value)?, "interval")?,
                "bytes" => put(&mut self.bytes, bytes(value)?, "bytes")?,
                other => {
                    return Err(invalid(format!("Unknown FLUSH_POLICY key \"{other}\""))
                        .hint("known are rows, interval and bytes, as in 'rows:1000,interval:60'"));
                }
            }
            any = true;
        }
        if any { Ok(()) } else { Err(invalid("FLUSH_POLICY must specify 'rows' or 'interval' > 0").hint(FLUSH_HINT)) }
    }
}

/// Sets what may be said once.
pub(super) fn put<T>(slot: &mut Option<T>, value: T, what: &str) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::syntax(format!("{what} is given twice"))),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(code::INVALID_PARAMETER_VALUE, message)
}

/// `alphabetic`, `'alphabetic'`, `consistent_hash(16)`.
fn sharding(cursor: &mut Cursor<'_>) -> Result<String> {
    let mut text = cursor.name_or_text("a sharding strategy such as alphabetic")?;
    if cursor.eat_token(&Token::LParen) {
        let argument = cursor.number("a number of shards")?;
        cursor.expect_token(&Token::RParen)?;
        text = format!("{text}({argument})");
    }
    Ok(text)
}

fn rows(number: u64) -> Result<u64> {
    match number {
        0 => Err(invalid("Row limit must be greater than 0")),
        1..=ROWS_MAX => Ok(number),
        _ => Err(invalid("Row limit must be less than 1,000,000")),
    }
}

/// Whether a bare word after a number is its unit.
pub(super) fn is_unit(word: &str) -> bool {
    scale(word, SECONDS).is_some() || scale(word, BYTES).is_some()
}

const SECONDS: &[(&str, u64)] = &[
    ("s", 1),
    ("sec", 1),
    ("secs", 1),
    ("second", 1),
    ("seconds", 1),
    ("m", 60),
    ("min", 60),
    ("mins", 60),
    ("minute", 60),
    ("minutes", 60),
    ("h", 3600),
    ("hour", 3600),
    ("hours", 3600),
];

// As PostgreSQL counts them: a MB is 1024 kB.
const BYTES: &[(&str, u64)] = &[
    ("b", 1),
    ("kb", 1 << 10),
    ("kib", 1 << 10),
    ("mb", 1 << 20),
    ("mib", 1 << 20),
    ("gb", 1 << 30),
    ("gib", 1 << 30),
];

fn scale(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)).map(|(_, scale)| *scale)
}

/// A number with a unit or without.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "" => 1,
        unit => scale(unit, units)?,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

fn interval(text: &str) -> Result<Duration> {
    let seconds = scaled(text, SECONDS)
        .ok_or_else(|| invalid(format!("\"{text}\" is not a time")).hint("write whole seconds, as in 60s"))?;
    match seconds {
        0 => Err(invalid("Interval must be greater than 0")),
        1..=SECONDS_MAX => Ok(Duration::from_secs(seconds)),
        _ => Err(invalid("Interval must be less than 86400 seconds (24 hours)")),
    }
}

fn bytes(text: &str) -> Result<u64> {
    let bytes = scaled(text, BYTES)
        .ok_or_else(|| invalid(format!("\"{text}\" is not a number of bytes")).hint("write it as in '64MB'"))?;
    match bytes {
        0 => Err(invalid("Byte limit must be greater than 0")),
        1..=BYTES_MAX => Ok(bytes),
        _ => Err(invalid("Byte limit must be at most 1 TiB")),
    }
}

fn unknown_option(key: &str) -> Error {
    const KNOWN: [&str; 8] = [
        "type",
        "storage_id",
        "use_user_storage",
        "sharding",
        "flush_policy",
        "flush_interval",
        "flush_rows",
        "flush_bytes",
    ];
    let error = invalid(format!("Unknown table option \"{key}\""));
    match nearest(key, KNOWN) {
        Some(near) => error.hint(format!("did you mean {}?", near.to_uppercase())),
        None => error.hint(format!("known are {}", KNOWN.join(", ").to_uppercase())),
    }
}

fn unknown_clause(cursor: &Cursor<'_>) -> Error {
    const KNOWN: [&str; 6] = ["FLUSH", "STORAGE", "USE_USER_STORAGE", "SHARDING", "TABLE_TYPE", "WITH"];
    let word = cursor.word().unwrap_or_default();
    match word.as_str() {
        "DELETED_RETENTION" | "TTL" | "OWNER_ID" | "PARTITION" | "INHERITS" | "TABLESPACE" | "ON" | "USING" => {
            return Error::unsupported(format!("table clause {word} is not supported")).at(cursor.here());
        }
        "AS" => {
            return Error::unsupported("CREATE TABLE AS is not supported")
                .at(cursor.here())
                .hint("create the table with its columns, then INSERT INTO … SELECT");
        }
        _ => {}
    }
    match nearest(&word, KNOWN) {
        Some(near) => cursor.unexpected("a table clause").hint(format!("did you mean {near}?")),
        None => cursor.unexpected(&format!("a table clause: {}", KNOWN.join(", "))),
    }
}
