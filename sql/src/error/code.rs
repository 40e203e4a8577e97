//! The SQLSTATEs in use. Names are PostgreSQL's.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $code;)*
    };
}

codes! {
    /// Something PostgreSQL has and this does not.
    FEATURE_NOT_SUPPORTED = "0A000";
    /// A number that its column cannot hold.
    NUMERIC_VALUE_OUT_OF_RANGE = "22003";
    /// Text that is no date, time or timestamp.
    INVALID_DATETIME_FORMAT = "22007";
    /// A date or time beyond what its type holds.
    DATETIME_FIELD_OVERFLOW = "22008";
    /// Division by zero.
    DIVISION_BY_ZERO = "22012";
    /// Bytes that are not UTF-8.
    CHARACTER_NOT_IN_REPERTOIRE = "22021";
    /// A setting or option with a value it cannot take.
    INVALID_PARAMETER_VALUE = "22023";
    /// LIMIT of less than nothing.
    INVALID_ROW_COUNT_IN_LIMIT_CLAUSE = "2201W";
    /// OFFSET of less than nothing.
    INVALID_ROW_COUNT_IN_OFFSET_CLAUSE = "2201X";
    /// Text that its column's type cannot read.
    INVALID_TEXT_REPRESENTATION = "22P02";
    /// COPY data with too many or too few columns, or broken quoting.
    BAD_COPY_FILE_FORMAT = "22P04";
    /// A value that is wrong in another way.
    DATA_EXCEPTION = "22000";
    /// NULL in a NOT NULL column.
    NOT_NULL_VIOLATION = "23502";
    /// A statement that this transaction state does not allow.
    ACTIVE_SQL_TRANSACTION = "25001";
    /// A write in a read-only transaction.
    READ_ONLY_SQL_TRANSACTION = "25006";
    /// A statement after an error inside a transaction.
    IN_FAILED_SQL_TRANSACTION = "25P02";
    /// Something else still needs what was to be dropped.
    DEPENDENT_OBJECTS_STILL_EXIST = "2BP01";
    /// Not allowed for this identity.
    INSUFFICIENT_PRIVILEGE = "42501";
    /// The statement cannot be read.
    SYNTAX_ERROR = "42601";
    /// A name with characters that names cannot have.
    INVALID_NAME = "42602";
    /// A name that is too long.
    NAME_TOO_LONG = "42622";
    /// The same column twice.
    DUPLICATE_COLUMN = "42701";
    /// A column name that could mean two columns.
    AMBIGUOUS_COLUMN = "42702";
    /// A column that does not exist.
    UNDEFINED_COLUMN = "42703";
    /// A setting, type or storage that does not exist.
    UNDEFINED_OBJECT = "42704";
    /// An object of that name exists.
    DUPLICATE_OBJECT = "42710";
    /// A column that stands in neither GROUP BY nor an aggregate.
    GROUPING_ERROR = "42803";
    /// A value of a type its column does not take.
    DATATYPE_MISMATCH = "42804";
    /// A function that does not exist.
    UNDEFINED_FUNCTION = "42883";
    /// A name that is kept for the system.
    RESERVED_NAME = "42939";
    /// A table that does not exist.
    UNDEFINED_TABLE = "42P01";
    /// A parameter `$n` that was not given.
    UNDEFINED_PARAMETER = "42P02";
    /// A namespace that exists.
    DUPLICATE_SCHEMA = "42P06";
    /// A table that exists.
    DUPLICATE_TABLE = "42P07";
    /// A table definition that cannot be.
    INVALID_TABLE_DEFINITION = "42P16";
    /// A parameter whose type cannot be told.
    INDETERMINATE_DATATYPE = "42P18";
    /// A namespace that does not exist.
    INVALID_SCHEMA_NAME = "3F000";
    /// A column that only the system fills.
    GENERATED_ALWAYS = "428C9";
    /// The disk is full; nothing is written until there is room and a restart.
    DISK_FULL = "53100";
    /// The statement needs more memory than it may have.
    OUT_OF_MEMORY = "53200";
    /// The hot tier holds as much as it may.
    CONFIGURATION_LIMIT_EXCEEDED = "53400";
    /// A bound of the configuration.
    PROGRAM_LIMIT_EXCEEDED = "54000";
    /// A statement that nests too deeply.
    STATEMENT_TOO_COMPLEX = "54001";
    /// The table's or job's state does not allow it.
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";
    /// The server is shutting down.
    ADMIN_SHUTDOWN = "57P01";
    /// The statement was cancelled, or ran out of its time.
    QUERY_CANCELED = "57014";
    /// Reading or writing a file failed.
    IO_ERROR = "58030";
    /// A fault of ours.
    INTERNAL_ERROR = "XX000";
    /// Stored bytes that do not read.
    DATA_CORRUPTED = "XX001";
}
