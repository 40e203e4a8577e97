//! Column lists and types.

use super::cursor::Cursor;
use crate::error::{Error, Result, code, nearest};
use datafusion::sql::sqlparser::tokenizer::Token;
use ebbtide_store::ColumnType;

/// A column as CREATE TABLE names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnSpec {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    pub(crate) nullable: bool,
    pub(crate) position: Option<u32>,
}

/// Digits a DECIMAL may have.
const PRECISION_MAX: u64 = 38;

/// `( name type [NOT NULL | NULL], … )`.
pub(super) fn columns(cursor: &mut Cursor<'_>) -> Result<Vec<ColumnSpec>> {
    if cursor.is(&["AS"]) {
        return Err(Error::unsupported("CREATE TABLE AS is not supported")
            .hint("create the table with its columns, then INSERT INTO … SELECT")
            .at(cursor.here()));
    }
    cursor.expect_token(&Token::LParen)?;
    let mut columns: Vec<ColumnSpec> = Vec::new();
    if cursor.is_token(&Token::RParen) {
        return Err(Error::new(code::INVALID_TABLE_DEFINITION, "a table needs at least one column").at(cursor.here()));
    }
    loop {
        let column = column(cursor)?;
        if columns.iter().any(|other| other.name == column.name) {
            return Err(Error::new(
                code::DUPLICATE_COLUMN,
                format!("column \"{}\" specified more than once", column.name),
            )
            .at(column.position));
        }
        columns.push(column);
        if !cursor.eat_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_token(&Token::RParen)?;
    Ok(columns)
}

fn column(cursor: &mut Cursor<'_>) -> Result<ColumnSpec> {
    if let Some(word) = cursor.word()
        && matches!(word.as_str(), "PRIMARY" | "UNIQUE" | "CONSTRAINT" | "FOREIGN" | "CHECK" | "EXCLUDE" | "LIKE")
    {
        return Err(constraint(&word).at(cursor.here()));
    }
    let position = cursor.here();
    let name = cursor.name("a column name")?;
    let column_type = column_type(cursor)?;
    let mut nullable = None;
    loop {
        let here = cursor.here();
        let said = if cursor.eat(&["NOT", "NULL"]) {
            false
        } else if cursor.eat(&["NULL"]) {
            true
        } else if let Some(word) = cursor.word() {
            return Err(constraint(&word).at(here));
        } else {
            break;
        };
        if nullable.replace(said).is_some_and(|before| before != said) {
            return Err(Error::syntax(format!("column \"{name}\" is declared both NULL and NOT NULL")).at(here));
        }
    }
    Ok(ColumnSpec { name, column_type, nullable: nullable.unwrap_or(true), position })
}

/// What a column or table constraint is refused with.
fn constraint(word: &str) -> Error {
    match word {
        "PRIMARY" => Error::unsupported("PRIMARY KEY is not supported")
            .detail("tables are append-only for now: the same key could be there twice")
            .hint("leave PRIMARY KEY out; every row has a unique _seq"),
        "UNIQUE" | "EXCLUDE" => Error::unsupported(format!("{word} constraints are not supported")),
        "REFERENCES" | "FOREIGN" => Error::unsupported("foreign keys are not supported"),
        "CHECK" => Error::unsupported("CHECK constraints are not supported"),
        "CONSTRAINT" => Error::unsupported("named constraints are not supported"),
        "DEFAULT" => Error::unsupported("DEFAULT values are not supported")
            .hint("name every column in the INSERT; one that is left out becomes NULL"),
        "GENERATED" => Error::unsupported("generated columns are not supported"),
        "AUTO_INCREMENT" | "AUTOINCREMENT" => {
            Error::unsupported(format!("{word} is not supported")).hint("every row has a unique, growing _seq")
        }
        "COLLATE" => Error::unsupported("COLLATE is not supported").hint("text is compared byte by byte"),
        "LIKE" => Error::unsupported("LIKE in a column list is not supported"),
        _ => Error::syntax(format!("syntax error at or near \"{word}\"")).hint("expected NOT NULL, a comma or \")\""),
    }
}

/// A type's words, as they may be written.
fn column_type(cursor: &mut Cursor<'_>) -> Result<ColumnType> {
    let here = cursor.here();
    let Some(word) = cursor.word() else { return Err(cursor.unexpected("a type")) };
    cursor.skip();
    let column_type = match word.as_str() {
        "BOOLEAN" | "BOOL" => ColumnType::Boolean,
        "SMALLINT" | "INT2" => ColumnType::SmallInt,
        "INT" | "INTEGER" | "INT4" => ColumnType::Int,
        "BIGINT" | "INT8" => ColumnType::BigInt,
        "REAL" | "FLOAT4" => ColumnType::Real,
        "FLOAT8" => ColumnType::Double,
        "DOUBLE" => {
            cursor.eat(&["PRECISION"]);
            ColumnType::Double
        }
        "FLOAT" => match arguments(cursor, 1)?.as_deref() {
            None | Some([25..=53]) => ColumnType::Double,
            Some([1..=24]) => ColumnType::Real,
            _ => {
                return Err(Error::new(code::INVALID_PARAMETER_VALUE, "FLOAT takes 1 to 53 bits of precision").at(here));
            }
        },
        "DECIMAL" | "NUMERIC" | "DEC" => decimal(arguments(cursor, 2)?.as_deref()).map_err(|e| e.at(here))?,
        "TEXT" => ColumnType::Text,
        "VARCHAR" => text(cursor, "VARCHAR")?,
        "CHARACTER" if cursor.eat(&["VARYING"]) => text(cursor, "CHARACTER VARYING")?,
        "BYTEA" | "BYTES" => ColumnType::Bytea,
        "DATE" => ColumnType::Date,
        "TIME" => match zoned(cursor)? {
            false => ColumnType::Time,
            true => return Err(Error::unsupported("type TIME WITH TIME ZONE is not supported").at(here)),
        },
        "TIMESTAMP" => match zoned(cursor)? {
            false => ColumnType::Timestamp,
            true => ColumnType::TimestampTz,
        },
        "TIMESTAMPTZ" => {
            microseconds(cursor)?;
            ColumnType::TimestampTz
        }
        "JSON" => ColumnType::Json,
        other => return Err(unknown_type(other).at(here)),
    };
    if cursor.is_token(&Token::LBracket) || cursor.is(&["ARRAY"]) {
        return Err(Error::unsupported("array types are not supported").hint("keep lists as JSON").at(here));
    }
    Ok(column_type)
}

/// `(n)` or `(n, m)` after a type.
fn arguments(cursor: &mut Cursor<'_>, most: usize) -> Result<Option<Vec<u64>>> {
    if !cursor.eat_token(&Token::LParen) {
        return Ok(None);
    }
    let mut numbers = vec![cursor.number("a number")?];
    while numbers.len() < most && cursor.eat_token(&Token::Comma) {
        numbers.push(cursor.number("a number")?);
    }
    cursor.expect_token(&Token::RParen)?;
    Ok(Some(numbers))
}

fn decimal(arguments: Option<&[u64]>) -> Result<ColumnType> {
    let (precision, scale) = match arguments {
        None => {
            return Err(Error::unsupported("DECIMAL without precision and scale is not supported")
                .hint("write how many digits it holds, as in DECIMAL(18, 2)"));
        }
        Some([precision]) => (*precision, 0),
        Some([precision, scale, ..]) => (*precision, *scale),
        Some([]) => unreachable!("an argument list has a number"),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(p), Ok(s)) if (1..=PRECISION_MAX).contains(&precision) && scale <= precision => {
            Ok(ColumnType::Decimal { precision: p, scale: s })
        }
        _ => Err(Error::new(code::INVALID_PARAMETER_VALUE, format!("DECIMAL({precision}, {scale}) is out of range"))
            .hint(format!("precision is 1 to {PRECISION_MAX}, scale 0 to precision"))),
    }
}

/// A length limit would have to be enforced, and is not: so it is refused.
fn text(cursor: &mut Cursor<'_>, name: &str) -> Result<ColumnType> {
    let here = cursor.here();
    match arguments(cursor, 1)? {
        None => Ok(ColumnType::Text),
        Some(_) => Err(Error::unsupported(format!("{name} with a length is not supported"))
            .hint("use TEXT; its length is not limited")
            .at(here)),
    }
}

/// `[(6)] [WITH TIME ZONE | WITHOUT TIME ZONE]`; whether it has a zone.
fn zoned(cursor: &mut Cursor<'_>) -> Result<bool> {
    microseconds(cursor)?;
    if cursor.eat(&["WITH", "TIME", "ZONE"]) {
        return Ok(true);
    }
    cursor.eat(&["WITHOUT", "TIME", "ZONE"]);
    Ok(false)
}

fn microseconds(cursor: &mut Cursor<'_>) -> Result<()> {
    let here = cursor.here();
    match arguments(cursor, 1)?.as_deref() {
        None | Some([6]) => Ok(()),
        _ => Err(Error::unsupported("times are kept to the microsecond; other precisions are not supported")
            .hint("leave the precision out")
            .at(here)),
    }
}

fn unknown_type(word: &str) -> Error {
    const KNOWN: [&str; 16] = [
        "BOOLEAN",
        "SMALLINT",
        "INT",
        "BIGINT",
        "REAL",
        "DOUBLE",
        "DECIMAL",
        "NUMERIC",
        "TEXT",
        "VARCHAR",
        "BYTEA",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "TIMESTAMPTZ",
        "JSON",
    ];
    let unsupported =
        |instead: &str| Error::unsupported(format!("type {word} is not supported")).hint(format!("use {instead}"));
    match word {
        "UUID" => unsupported("TEXT"),
        "JSONB" => unsupported("JSON"),
        "CHAR" | "CHARACTER" | "BPCHAR" | "STRING" | "NAME" | "CITEXT" | "CLOB" => unsupported("TEXT"),
        "BLOB" | "BINARY" | "VARBINARY" => unsupported("BYTEA"),
        "DATETIME" => unsupported("TIMESTAMP or TIMESTAMPTZ"),
        "TINYINT" => unsupported("SMALLINT"),
        "SERIAL" | "SMALLSERIAL" | "BIGSERIAL" => Error::unsupported(format!("type {word} is not supported"))
            .hint("use BIGINT; every row has a unique, growing _seq"),
        "MONEY" => unsupported("DECIMAL(18, 2)"),
        "INTERVAL" | "TIMETZ" | "XML" | "INET" | "CIDR" | "MACADDR" | "BIT" | "OID" | "POINT" | "TSVECTOR"
        | "EMBEDDING" | "FILE" => Error::unsupported(format!("type {word} is not supported")),
        _ => {
            let error = Error::new(code::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", word.to_lowercase()));
            match nearest(word, KNOWN) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint(format!("known are {}", KNOWN.join(", "))),
            }
        }
    }
}
