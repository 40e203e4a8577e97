//! Errors of the crates below and of DataFusion, as a client should see them.

use super::{Error, code};
use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use ebbtide_engine::CommitError;
use std::error::Error as StdError;

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::ReadOnly { reason, disk_full } => {
                let (sqlstate, hint) = if disk_full {
                    (code::DISK_FULL, "make room on the disk of the data directory, then restart the server")
                } else {
                    (code::IO_ERROR, "look at the server's log, then restart the server")
                };
                Self::new(sqlstate, format!("the database is read-only since a write failed: {reason}")).hint(hint)
            }
            CommitError::Closed => Self::new(code::ADMIN_SHUTDOWN, "the database is shutting down"),
            CommitError::Mismatch { .. } => {
                Self::new(code::OBJECT_NOT_IN_PREREQUISITE_STATE, "something else changed the same thing meanwhile")
                    .hint("run the statement again")
            }
            CommitError::Failed { reason, disk_full } => {
                let sqlstate = if disk_full { code::DISK_FULL } else { code::IO_ERROR };
                Self::new(sqlstate, format!("the commit failed: {reason}"))
                    .detail("Whether it happened is known after a restart: it is there whole, or not at all.")
                    .hint("mend the disk of the data directory, then restart the server")
            }
            other => Self::internal(other.to_string()),
        }
    }
}

impl From<ebbtide_engine::Error> for Error {
    fn from(error: ebbtide_engine::Error) -> Self {
        Self::new(code::IO_ERROR, error.to_string())
    }
}

impl From<ebbtide_store::Error> for Error {
    fn from(error: ebbtide_store::Error) -> Self {
        use ebbtide_store::Error as Store;
        let hint = error.hint().map(str::to_owned);
        let message = error.to_string();
        let sqlstate = match error {
            Store::Commit(error) => return error.into(),
            Store::Engine(error) => return error.into(),
            Store::Invalid { .. } => code::INVALID_PARAMETER_VALUE,
            Store::Unsupported { .. } => code::FEATURE_NOT_SUPPORTED,
            Store::NamespaceNotFound { .. } => code::INVALID_SCHEMA_NAME,
            Store::TableNotFound { .. } => code::UNDEFINED_TABLE,
            Store::StorageNotFound { .. } | Store::UserNotFound { .. } => code::UNDEFINED_OBJECT,
            Store::NamespaceExists { .. } => code::DUPLICATE_SCHEMA,
            Store::TableExists { .. } => code::DUPLICATE_TABLE,
            Store::StorageExists { .. } | Store::UserExists { .. } => code::DUPLICATE_OBJECT,
            Store::NamespaceInUse { .. }
            | Store::StorageInUse { .. }
            | Store::StorageProtected
            | Store::UserInUse { .. } => code::DEPENDENT_OBJECTS_STILL_EXIST,
            Store::NotNull { .. } => code::NOT_NULL_VIOLATION,
            Store::Value { .. } => code::DATA_EXCEPTION,
            Store::RowTooLarge { .. } => code::PROGRAM_LIMIT_EXCEEDED,
            Store::SchemaChanged { .. } | Store::Conflict { .. } => code::OBJECT_NOT_IN_PREREQUISITE_STATE,
            Store::Path(_) => code::INVALID_PARAMETER_VALUE,
            Store::Cold(_) | Store::StorageUnusable { .. } => code::IO_ERROR,
            Store::Corrupt { .. } => code::DATA_CORRUPTED,
            _ => code::INTERNAL_ERROR,
        };
        let error = Self::new(sqlstate, message);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        let sqlstate = match &error {
            ArrowError::DivideByZero => return Self::new(code::DIVISION_BY_ZERO, "division by zero"),
            ArrowError::ArithmeticOverflow(_) => code::NUMERIC_VALUE_OUT_OF_RANGE,
            // So Arrow says of a number, and of one only, that its new type cannot hold it.
            ArrowError::CastError(message) if message.starts_with("Can't cast value") => {
                code::NUMERIC_VALUE_OUT_OF_RANGE
            }
            ArrowError::CastError(_) | ArrowError::ParseError(_) => code::INVALID_TEXT_REPRESENTATION,
            ArrowError::InvalidArgumentError(_) | ArrowError::ComputeError(_) => code::DATA_EXCEPTION,
            ArrowError::MemoryError(_) => code::OUT_OF_MEMORY,
            ArrowError::IoError(..) => code::IO_ERROR,
            ArrowError::NotYetImplemented(_) => code::FEATURE_NOT_SUPPORTED,
            ArrowError::ExternalError(source) => {
                if let Some(ours) = ours(source.as_ref()) {
                    return ours;
                }
                code::IO_ERROR
            }
            _ => code::INTERNAL_ERROR,
        };
        let message = error.to_string();
        Self::new(sqlstate, unprefixed(&message))
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let help = error.diagnostic().and_then(|found| found.helps.first().map(|help| help.message.clone()));
        let error = match error.find_root() {
            DataFusionError::ArrowError(error, _) => arrow(error),
            DataFusionError::SQL(error, _) => Self::syntax(error.to_string()),
            DataFusionError::NotImplemented(message) => Self::unsupported(plain(message)),
            DataFusionError::ResourcesExhausted(message) => {
                Self::new(code::OUT_OF_MEMORY, "the statement needs more memory than it may have")
                    .detail(plain(message))
                    .hint("narrow the query, or raise the statement's memory in the settings")
            }
            DataFusionError::SchemaError(error, _) => schema(error),
            DataFusionError::Plan(message) => planning(message),
            DataFusionError::Configuration(message) => Self::new(code::INVALID_PARAMETER_VALUE, plain(message)),
            DataFusionError::Execution(message) => Self::new(code::DATA_EXCEPTION, plain(message)),
            DataFusionError::External(source) => match ours(source.as_ref()) {
                Some(error) => error,
                None => Self::new(code::IO_ERROR, source.to_string()),
            },
            DataFusionError::ParquetError(error) => Self::new(code::IO_ERROR, format!("reading a segment: {error}")),
            DataFusionError::ObjectStore(error) => Self::new(code::IO_ERROR, format!("reading a segment: {error}")),
            DataFusionError::IoError(error) => Self::new(code::IO_ERROR, error.to_string()),
            DataFusionError::ExecutionJoin(error) if error.is_cancelled() => {
                Self::new(code::QUERY_CANCELED, "the statement was cancelled")
            }
            other => Self::internal(plain(&other.to_string())),
        };
        match (error.hint.is_some(), help) {
            (false, Some(help)) => error.hint(help),
            _ => error,
        }
    }
}

/// One of our own errors that went through somebody else's.
fn ours(error: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(error.clone());
    }
    if let Some(error) = error.downcast_ref::<DataFusionError>() {
        // Only a reference is left: what a client needs of it is in its root.
        return match error.find_root() {
            DataFusionError::External(source) => ours(source.as_ref()),
            DataFusionError::ArrowError(error, _) => Some(arrow(error)),
            _ => None,
        };
    }
    error.source().and_then(ours)
}

fn arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(source) => {
            ours(source.as_ref()).unwrap_or_else(|| Error::new(code::IO_ERROR, source.to_string()))
        }
        ArrowError::DivideByZero => ArrowError::DivideByZero.into(),
        ArrowError::ArithmeticOverflow(message) => ArrowError::ArithmeticOverflow(message.clone()).into(),
        ArrowError::CastError(message) | ArrowError::ParseError(message) => {
            ArrowError::CastError(message.clone()).into()
        }
        ArrowError::InvalidArgumentError(message) | ArrowError::ComputeError(message) => {
            ArrowError::ComputeError(message.clone()).into()
        }
        other => Error::internal(unprefixed(&other.to_string())),
    }
}

fn schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let error = Error::new(code::UNDEFINED_COLUMN, format!("column \"{}\" does not exist", field.flat_name()));
            match super::nearest(&field.name, valid_fields.iter().map(|field| field.name.as_str())) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::new(code::AMBIGUOUS_COLUMN, format!("column reference \"{}\" is ambiguous", field.flat_name()))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new(code::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))
        }
    }
}

/// DataFusion says most of what can be wrong with a query in one kind of error; the words tell which.
fn planning(message: &str) -> Error {
    let text = plain(message);
    if text.contains("require unique expression names") {
        // PostgreSQL allows it; here columns of a result are told apart by their names.
        return Error::unsupported(text).hint("give one of them another name with AS");
    }
    if let Some((_, rest)) = text.split_once("Function '")
        && let Some((function, _)) = rest.split_once("' failed to match any signature")
    {
        // What follows lists every type that it might have been given.
        return Error::new(
            code::UNDEFINED_FUNCTION,
            format!("function {function} does not take arguments of these types"),
        )
        .hint("cast an argument to the type that is meant, as in CAST(x AS BIGINT)");
    }
    let sqlstate = if text.starts_with("Invalid function") || text.contains("table function '") {
        code::UNDEFINED_FUNCTION
    } else if text.starts_with("Column in SELECT must be in GROUP BY") {
        code::GROUPING_ERROR
    } else if text.starts_with("LIMIT must be") {
        code::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE
    } else if text.starts_with("OFFSET must be") {
        code::INVALID_ROW_COUNT_IN_OFFSET_CLAUSE
    } else if text.starts_with("table '") || text.starts_with("failed to resolve") {
        code::UNDEFINED_TABLE
    } else if text.contains("placeholder") {
        code::UNDEFINED_PARAMETER
    } else if text.contains("cannot be coerced")
        || text.contains("Cannot coerce")
        || text.contains("Cannot infer common argument type")
        || text.contains("cannot be evaluated")
        || text.contains("coercion from")
        || text.contains("type_coercion")
    {
        code::DATATYPE_MISMATCH
    } else {
        code::SYNTAX_ERROR
    };
    Error::new(sqlstate, text)
}

/// Without the trailer that DataFusion adds to what it takes for its own bugs, and without a backtrace.
fn plain(message: &str) -> String {
    let end = message.find("\n\nbacktrace").unwrap_or(message.len());
    let message = &message[..end];
    match message.split_once(".\nThis issue was likely caused by a bug in DataFusion") {
        Some((before, _)) => before.to_owned(),
        None => message.to_owned(),
    }
}

/// Arrow puts the kind of error before its message; the SQLSTATE says it already.
fn unprefixed(message: &str) -> String {
    match message.split_once(" error: ") {
        Some((kind, rest)) if kind.chars().all(|c| c.is_alphabetic() || c == ' ') => rest.to_owned(),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn an_error_of_ours_comes_back_whole_from_wherever_it_went_through() {
        let error = Error::new(code::INSUFFICIENT_PRIVILEGE, "no").hint("ask");
        let through = DataFusionError::Context(
            "scan".into(),
            Box::new(DataFusionError::Shared(Arc::new(DataFusionError::from(error.clone())))),
        );
        assert_eq!(Error::from(through), error);
        let through = DataFusionError::ArrowError(
            Box::new(ArrowError::ExternalError(Box::new(DataFusionError::from(error.clone())))),
            None,
        );
        assert_eq!(Error::from(through), error);
    }

    #[test]
    fn a_cast_says_what_it_could_not_read() {
        let error = Error::from(ArrowError::CastError("Cannot cast string 'x' to value of Int32 type".into()));
        assert_eq!(error.sqlstate, code::INVALID_TEXT_REPRESENTATION);
        assert_eq!(error.message, "Cannot cast string 'x' to value of Int32 type");
    }
}
