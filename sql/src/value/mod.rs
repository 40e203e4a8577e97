//! Values on their way into columns: from literals, from COPY text, from parameters, from other Arrow columns.

mod assign; // a column of one type into a column of another
mod builder; // one column, growing value by value
mod number; // literals and text as numbers
mod scalar; // parameters
mod time; // text as dates and times

pub(crate) use assign::assign;
pub(crate) use builder::Builder;
pub use scalar::is_of;

use crate::error::{Error, code};
use ebbtide_store::ColumnType;

/// Why a value does not go into its column; the row and the column are added by whoever knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) sqlstate: &'static str,
    pub(crate) message: String,
}

impl Problem {
    fn syntax(column_type: ColumnType, text: &str) -> Self {
        let sqlstate = match column_type {
            ColumnType::Date | ColumnType::Time | ColumnType::Timestamp | ColumnType::TimestampTz => {
                code::INVALID_DATETIME_FORMAT
            }
            _ => code::INVALID_TEXT_REPRESENTATION,
        };
        Self { sqlstate, message: format!("invalid input syntax for type {}: \"{}\"", name(column_type), short(text)) }
    }

    fn range(column_type: ColumnType, text: &str) -> Self {
        Self {
            sqlstate: code::NUMERIC_VALUE_OUT_OF_RANGE,
            message: format!("value \"{}\" is out of range for type {}", short(text), name(column_type)),
        }
    }

    fn time_range(text: &str) -> Self {
        Self {
            sqlstate: code::DATETIME_FIELD_OVERFLOW,
            message: format!("date/time value out of range: \"{}\"", short(text)),
        }
    }

    fn mismatch(column_type: ColumnType, given: &str) -> Self {
        Self {
            sqlstate: code::DATATYPE_MISMATCH,
            message: format!("the column is of type {} but the value is of type {given}", name(column_type)),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::new(problem.sqlstate, problem.message)
    }
}

/// The type as PostgreSQL's messages call it.
pub(crate) fn name(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Int => "integer".to_owned(),
        ColumnType::Double => "double precision".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::TimestampTz => "timestamp with time zone".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// Enough of a value to recognise it.
fn short(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
