//! What can go wrong in the store, and what the caller can do about it.

use crate::{Name, StorageId, TableId, UserId};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked cannot be: a name, a template, a column, a value.
    #[error("{message}")]
    Invalid {
        /// What is wrong with it.
        message: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// Not supported yet.
    #[error("{message}")]
    Unsupported {
        /// What is not.
        message: String,
    },
    /// No such namespace.
    #[error("Namespace '{name}' does not exist. Create it first with CREATE NAMESPACE {name}")]
    NamespaceNotFound {
        /// As asked for.
        name: String,
    },
    /// No such table.
    #[error("Table {namespace}.{table} not found")]
    TableNotFound {
        /// The namespace as asked for.
        namespace: String,
        /// The table as asked for.
        table: String,
    },
    /// No such storage.
    #[error("Storage '{id}' does not exist")]
    StorageNotFound {
        /// As asked for.
        id: String,
    },
    /// The namespace is there already.
    #[error("Namespace '{name}' already exists")]
    NamespaceExists {
        /// Its name.
        name: Name,
    },
    /// The table is there already.
    #[error("Table {namespace}.{table} already exists")]
    TableExists {
        /// Its namespace.
        namespace: Name,
        /// Its name.
        table: Name,
    },
    /// The storage is there already.
    #[error("Storage '{id}' already exists")]
    StorageExists {
        /// Its id.
        id: StorageId,
    },
    /// The namespace still holds tables.
    #[error("Cannot drop namespace '{name}': {tables} table(s) still in it: {named}")]
    NamespaceInUse {
        /// Its name.
        name: Name,
        /// How many tables.
        tables: usize,
        /// Up to ten of them.
        named: String,
    },
    /// Something still refers to the storage.
    #[error("Cannot delete storage '{id}': {what}")]
    StorageInUse {
        /// Its id.
        id: StorageId,
        /// How many of what, and some of them.
        what: String,
    },
    /// The storage that is always there.
    #[error("Cannot delete 'local' storage (protected)")]
    StorageProtected,
    /// A storage does not do what a storage has to.
    #[error("Storage '{id}' cannot be used: {message}")]
    StorageUnusable {
        /// Its id.
        id: StorageId,
        /// What it does not do, and why.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// No such user.
    #[error("User '{id}' does not exist")]
    UserNotFound {
        /// As asked for.
        id: UserId,
    },
    /// The user is there already.
    #[error("User '{id}' already exists")]
    UserExists {
        /// His id.
        id: UserId,
    },
    /// The user still has rows.
    #[error("Cannot drop user '{id}': he still has rows in {tables} table(s): {named}")]
    UserInUse {
        /// His id.
        id: UserId,
        /// How many tables.
        tables: usize,
        /// Up to ten of them.
        named: String,
    },
    /// A NULL for a column that takes none.
    #[error("null value in column \"{column}\" violates its not-null constraint (row {row} of the statement)")]
    NotNull {
        /// The column.
        column: String,
        /// The row of the batch, from 1.
        row: usize,
    },
    /// A value that its column cannot hold.
    #[error("column \"{column}\", row {row} of the statement: {message}")]
    Value {
        /// The column.
        column: String,
        /// The row of the batch, from 1.
        row: usize,
        /// Why not.
        message: String,
    },
    /// A row of more bytes than the configuration allows.
    #[error("row {row} of the statement has {bytes} bytes; a row may have {bytes_max}")]
    RowTooLarge {
        /// The row of the batch, from 1.
        row: usize,
        /// Its encoded size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A row was written under a newer schema than the reader planned with.
    #[error(
        "table {table_id} has a row of schema version {row_version}, newer than the {known_version} this read was planned with"
    )]
    SchemaChanged {
        /// The table.
        table_id: TableId,
        /// The row's.
        row_version: u32,
        /// The newest this reader knows.
        known_version: u32,
    },
    /// Somebody else changed the same thing at the same time, more often than we were willing to start over.
    #[error("{message}")]
    Conflict {
        /// Which thing.
        message: String,
    },
    /// Stored bytes are not what was written.
    #[error("corrupt: {what}")]
    Corrupt {
        /// Where, and how it shows.
        what: String,
    },
    /// A template, a sharding or a path that cannot be.
    #[error(transparent)]
    Path(#[from] crate::path::Error),
    /// A storage's root or an object in it.
    #[error(transparent)]
    Cold(#[from] crate::cold::Error),
    /// Arrow refused what we built: a bug.
    #[error("building an Arrow batch: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The engine could not be read.
    #[error(transparent)]
    Engine(#[from] ebbtide_engine::Error),
    /// The engine did not commit.
    #[error(transparent)]
    Commit(#[from] ebbtide_engine::CommitError),
}

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Ask for something else.
    InvalidInput,
    /// Make it first, or name another.
    NotFound,
    /// It is there already.
    AlreadyExists,
    /// Try again from the start.
    Conflict,
    /// Something still depends on it.
    InUse,
    /// Not in this version.
    Unsupported,
    /// Try again later.
    Unavailable,
    /// Restore, and report.
    Corrupt,
    /// Report.
    Bug,
}

impl Error {
    /// [`Error::Invalid`] without a hint.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: None }
    }

    /// [`Error::Corrupt`].
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. }
            | Self::NotNull { .. }
            | Self::Value { .. }
            | Self::RowTooLarge { .. }
            | Self::Path(_) => ErrorKind::InvalidInput,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::NamespaceNotFound { .. }
            | Self::TableNotFound { .. }
            | Self::StorageNotFound { .. }
            | Self::UserNotFound { .. } => ErrorKind::NotFound,
            Self::NamespaceExists { .. }
            | Self::TableExists { .. }
            | Self::StorageExists { .. }
            | Self::UserExists { .. } => ErrorKind::AlreadyExists,
            Self::NamespaceInUse { .. }
            | Self::StorageInUse { .. }
            | Self::StorageProtected
            | Self::UserInUse { .. } => ErrorKind::InUse,
            Self::SchemaChanged { .. }
            | Self::Conflict { .. }
            | Self::Commit(ebbtide_engine::CommitError::Mismatch { .. }) => ErrorKind::Conflict,
            Self::StorageUnusable { .. } | Self::Cold(_) | Self::Engine(_) | Self::Commit(_) => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Arrow(_) => ErrorKind::Bug,
        }
    }

    /// The engine takes no more writes until it is opened again.
    pub(crate) fn is_final(&self) -> bool {
        use ebbtide_engine::CommitError::{Closed, Failed, ReadOnly};
        matches!(self, Self::Commit(Closed | Failed { .. } | ReadOnly { .. }))
    }

    /// What to do instead, when there is more to say than the message does.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Invalid { hint, .. } | Self::StorageUnusable { hint, .. } => hint.as_deref(),
            Self::Cold(error) => error.hint(),
            Self::UserInUse { .. } => Some("ERASE USER removes them, and what holds them"),
            Self::SchemaChanged { .. } => Some("run the statement again"),
            _ => None,
        }
    }
}
