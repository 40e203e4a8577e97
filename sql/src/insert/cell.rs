//! One value of VALUES, as far as it needs no evaluation.

use crate::error::Result;
use crate::parse::Text;
use crate::session::parameter_number;
use crate::value::{Builder, Problem};
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr, Spanned, TimezoneInfo, UnaryOperator, Value, ValueWithSpan,
};
use ebbtide_store::ColumnType;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) content: Content,
    pub(super) position: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// NULL or DEFAULT; no column has another default.
    Null,
    Number(String),
    Text(String),
    Boolean(bool),
    /// `$n`, counted from 0, with the type it was cast to.
    Parameter(usize, Option<DataType>),
}

impl Cell {
    /// The value that `expr` is, if it needs no evaluation.
    pub(super) fn read(expr: &Expr, column_type: ColumnType, text: &Text) -> Result<Option<Self>> {
        let Some(content) = content(expr, column_type)? else { return Ok(None) };
        Ok(Some(Self { content, position: text.position(expr.span().start) }))
    }

    /// Adds the value to its column.
    pub(super) fn push(&self, column: &mut Builder, parameters: &[ScalarValue]) -> Result<(), Problem> {
        match &self.content {
            Content::Null => {
                column.push_null();
                Ok(())
            }
            Content::Number(number) => column.push_number(number),
            Content::Text(text) => column.push_text(text),
            Content::Boolean(value) => column.push_boolean(*value),
            Content::Parameter(place, _) => column.push_scalar(&parameters[*place]),
        }
    }
}

fn content(expr: &Expr, column_type: ColumnType) -> Result<Option<Content>> {
    Ok(match expr {
        Expr::Value(ValueWithSpan { value, .. }) => literal(value)?,
        Expr::Nested(inner) => content(inner, column_type)?,
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => match content(expr, column_type)? {
            Some(Content::Number(number)) => Some(Content::Number(number)),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match content(expr, column_type)? {
            Some(Content::Number(number)) if !number.starts_with('-') => Some(Content::Number(format!("-{number}"))),
            _ => None,
        },
        Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default") => {
            Some(Content::Null)
        }
        // DATE '2026-11-22', and '2026-11-22'::date: where the column is of that type, the text is read as such.
        Expr::TypedString(typed) => match literal(&typed.value.value)? {
            Some(Content::Text(text)) if is(&typed.data_type, column_type) => Some(Content::Text(text)),
            _ => None,
        },
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
            match content(expr, column_type)? {
                Some(Content::Null) => Some(Content::Null),
                Some(Content::Text(text)) if is(data_type, column_type) => Some(Content::Text(text)),
                Some(Content::Parameter(place, None)) => {
                    arrow(data_type).map(|data_type| Content::Parameter(place, Some(data_type)))
                }
                _ => None,
            }
        }
        _ => None,
    })
}

fn literal(value: &Value) -> Result<Option<Content>> {
    Ok(match value {
        Value::Number(number, _) => Some(Content::Number(number.to_string())),
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
            Some(Content::Text(text.clone()))
        }
        Value::DollarQuotedString(text) => Some(Content::Text(text.value.clone())),
        Value::Boolean(value) => Some(Content::Boolean(*value)),
        Value::Null => Some(Content::Null),
        Value::Placeholder(name) => Some(Content::Parameter(parameter_number(name)? - 1, None)),
        _ => None,
    })
}

/// Whether a type that a value was cast to is the column's own.
fn is(written: &SqlType, column_type: ColumnType) -> bool {
    match column_type {
        ColumnType::Text => matches!(written, SqlType::Text | SqlType::Varchar(None) | SqlType::CharacterVarying(None)),
        ColumnType::Json => matches!(written, SqlType::JSON),
        ColumnType::Bytea => matches!(written, SqlType::Bytea),
        ColumnType::Date => matches!(written, SqlType::Date),
        ColumnType::Time => matches!(written, SqlType::Time(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)),
        ColumnType::Timestamp => {
            matches!(written, SqlType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone))
        }
        ColumnType::TimestampTz => {
            matches!(written, SqlType::Timestamp(None, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz))
        }
        _ => false,
    }
}

/// The Arrow type that a parameter is sent as when it is cast to `written`.
fn arrow(written: &SqlType) -> Option<DataType> {
    let column_type = match written {
        SqlType::Boolean | SqlType::Bool => ColumnType::Boolean,
        SqlType::SmallInt(None) | SqlType::Int2(None) => ColumnType::SmallInt,
        SqlType::Int(None) | SqlType::Integer(None) | SqlType::Int4(None) => ColumnType::Int,
        SqlType::BigInt(None) | SqlType::Int8(None) => ColumnType::BigInt,
        SqlType::Real | SqlType::Float4 => ColumnType::Real,
        SqlType::DoublePrecision | SqlType::Float8 => ColumnType::Double,
        SqlType::Text | SqlType::Varchar(None) | SqlType::CharacterVarying(None) | SqlType::JSON => ColumnType::Text,
        SqlType::Bytea => ColumnType::Bytea,
        SqlType::Date => ColumnType::Date,
        SqlType::Time(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => ColumnType::Time,
        SqlType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => ColumnType::Timestamp,
        SqlType::Timestamp(None, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => ColumnType::TimestampTz,
        _ => return None,
    };
    Some(column_type.arrow())
}

/// How a cast to this column's type is written.
pub(super) fn sql_type(column_type: ColumnType) -> SqlType {
    use datafusion::sql::sqlparser::ast::ExactNumberInfo;
    match column_type {
        ColumnType::Boolean => SqlType::Boolean,
        ColumnType::SmallInt => SqlType::SmallInt(None),
        ColumnType::Int => SqlType::Int(None),
        ColumnType::BigInt => SqlType::BigInt(None),
        ColumnType::Real => SqlType::Real,
        ColumnType::Double => SqlType::DoublePrecision,
        ColumnType::Decimal { precision, scale } => {
            SqlType::Decimal(ExactNumberInfo::PrecisionAndScale(u64::from(precision), i64::from(scale)))
        }
        ColumnType::Text | ColumnType::Json => SqlType::Text,
        ColumnType::Bytea => SqlType::Bytea,
        ColumnType::Date => SqlType::Date,
        ColumnType::Time => SqlType::Time(None, TimezoneInfo::None),
        ColumnType::Timestamp => SqlType::Timestamp(None, TimezoneInfo::None),
        ColumnType::TimestampTz => SqlType::Timestamp(None, TimezoneInfo::WithTimeZone),
    }
}
