//! CREATE and DROP: of namespaces and tables here, of the rest in files of their own.

use super::clause::Policy;
use super::column::{self, ColumnSpec};
use super::cursor::Cursor;
use super::{Kind, TableName, refuse, storage, user};
use crate::error::{Error, Result, code};

/// Whose rows a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableKind {
    User,
    Shared,
}

impl TableKind {
    /// `user` or `shared`.
    pub(super) fn read(text: &str) -> Result<Self> {
        match text {
            "user" => Ok(Self::User),
            "shared" => Ok(Self::Shared),
            "stream" => Err(stream()),
            _ => Err(Error::new(code::INVALID_PARAMETER_VALUE, format!("unknown table type \"{text}\""))
                .hint("known are user and shared")),
        }
    }
}

fn stream() -> Error {
    Error::unsupported("STREAM tables are not supported")
        .hint("a USER table keeps one user's rows apart from the others'")
}

/// `CREATE [USER|SHARED] TABLE`.
#[derive(Debug, Clone)]
pub(crate) struct CreateTable {
    pub(crate) table: TableName,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnSpec>,
    pub(crate) policy: Policy,
}

/// CREATE …
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["CREATE"])?;
    if cursor.eat(&["NAMESPACE"]) || cursor.eat(&["SCHEMA"]) {
        let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
        let name = cursor.name("a namespace name")?;
        cursor.end()?;
        return Ok(Kind::CreateNamespace { name, if_not_exists });
    }
    let here = cursor.here();
    let kind = if cursor.eat(&["USER", "TABLE"]) {
        Some(TableKind::User)
    } else if cursor.eat(&["SHARED", "TABLE"]) {
        Some(TableKind::Shared)
    } else if cursor.eat(&["STORAGE"]) {
        return storage::create(cursor);
    } else if cursor.eat(&["USER"]) {
        return user::create(cursor);
    } else if cursor.is(&["STREAM", "TABLE"]) {
        return Err(stream().at(here));
    } else if cursor.eat(&["TABLE"]) {
        None
    } else {
        return Err(refuse::create(cursor));
    };
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let table = cursor.table()?;
    let columns = column::columns(cursor)?;
    let mut policy = Policy { kind, ..Policy::default() };
    policy.read(cursor)?;
    Ok(Kind::CreateTable(Box::new(CreateTable { table, if_not_exists, columns, policy })))
}

/// DROP …
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["DROP"])?;
    if cursor.eat(&["NAMESPACE"]) || cursor.eat(&["SCHEMA"]) {
        let if_exists = cursor.eat(&["IF", "EXISTS"]);
        let name = cursor.name("a namespace name")?;
        behaviour(cursor, TABLES)?;
        return Ok(Kind::DropNamespace { name, if_exists });
    }
    let kind = if cursor.eat(&["USER", "TABLE"]) {
        Some(TableKind::User)
    } else if cursor.eat(&["SHARED", "TABLE"]) {
        Some(TableKind::Shared)
    } else if cursor.eat(&["TABLE"]) {
        None
    } else if cursor.eat(&["STORAGE"]) {
        return storage::drop(cursor);
    } else if cursor.eat(&["USER"]) {
        return user::drop(cursor);
    } else {
        return Err(refuse::drop(cursor));
    };
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let table = cursor.table()?;
    behaviour(cursor, TABLES)?;
    Ok(Kind::DropTable { table, kind, if_exists })
}

/// What to do in place of a CASCADE over tables.
const TABLES: &str = "drop the tables one by one";

/// `[RESTRICT]`, and the end. `instead` is what to do in place of a CASCADE.
pub(super) fn behaviour(cursor: &mut Cursor<'_>, instead: &str) -> Result<()> {
    if cursor.is(&["CASCADE"]) {
        return Err(Error::unsupported("CASCADE is not supported").hint(instead).at(cursor.here()));
    }
    cursor.eat(&["RESTRICT"]);
    cursor.end()
}
