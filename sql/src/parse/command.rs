//! FLUSH, SHOW, DESCRIBE.

use super::cursor::Cursor;
use super::{Kind, Show, TableName, storage};
use crate::error::{Error, Result};

/// `[STORAGE] FLUSH TABLE ns.t` and `[STORAGE] FLUSH ALL [TABLES] [IN [NAMESPACE] ns]`; `STORAGE CHECK id`.
pub(super) fn flush(cursor: &mut Cursor<'_>) -> Result<Kind> {
    if cursor.eat(&["STORAGE"]) {
        if cursor.eat(&["CHECK"]) {
            return storage::check_id(cursor);
        }
        if cursor.is(&["COMPACT"]) {
            return Err(Error::unsupported("STORAGE COMPACT is not supported").at(cursor.here()));
        }
        if !cursor.is(&["FLUSH"]) {
            return Err(cursor.unexpected("FLUSH or CHECK"));
        }
    }
    cursor.expect(&["FLUSH"])?;
    if cursor.eat(&["TABLE"]) {
        let table = cursor.table()?;
        cursor.end()?;
        return Ok(Kind::FlushTable(table));
    }
    if !cursor.eat(&["ALL"]) {
        return Err(cursor.unexpected("TABLE ns.t, or ALL [IN ns]"));
    }
    cursor.eat(&["TABLES"]);
    let namespace = within(cursor)?;
    cursor.end()?;
    Ok(Kind::FlushAll { namespace })
}

/// `[IN [NAMESPACE] ns]`
pub(super) fn within(cursor: &mut Cursor<'_>) -> Result<Option<String>> {
    if !cursor.eat(&["IN"]) && !cursor.eat(&["FROM"]) {
        return Ok(None);
    }
    if !cursor.eat(&["NAMESPACE"]) {
        cursor.eat(&["SCHEMA"]);
    }
    cursor.name("a namespace name").map(Some)
}

/// `SHOW NAMESPACES | SCHEMAS | TABLES [IN ns] | STORAGES | USERS | JOBS | WORKFLOWS | ALL | <setting>`
pub(super) fn show(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.expect(&["SHOW"])?;
    let here = cursor.here();
    let show = if cursor.eat(&["NAMESPACES"]) || cursor.eat(&["SCHEMAS"]) {
        Show::Namespaces
    } else if cursor.eat(&["TABLES"]) {
        Show::Tables { namespace: within(cursor)? }
    } else if cursor.eat(&["STORAGES"]) {
        Show::Storages
    } else if cursor.eat(&["USERS"]) {
        Show::Users
    } else if cursor.eat(&["JOBS"]) {
        Show::Jobs
    } else if cursor.eat(&["WORKFLOWS"]) {
        Show::Workflows
    } else if cursor.eat(&["ALL"]) {
        Show::Settings
    } else if cursor.eat(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
        Show::Setting("transaction_isolation".to_owned())
    } else if cursor.eat(&["TIME", "ZONE"]) {
        Show::Setting("timezone".to_owned())
    } else if cursor.is(&["COLUMNS"]) || cursor.is(&["CREATE"]) || cursor.is(&["STATS"]) || cursor.is(&["MANIFEST"]) {
        let word = cursor.word().unwrap_or_default();
        return Err(Error::unsupported(format!("SHOW {word} is not supported"))
            .hint("DESCRIBE ns.t shows columns; system.tables and system.segments the rest")
            .at(here));
    } else {
        Show::Setting(super::setting::parameter(cursor)?)
    };
    cursor.end()?;
    Ok(Kind::Show(show))
}

/// `DESCRIBE [TABLE] ns.t`
pub(super) fn describe(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.skip();
    cursor.eat(&["TABLE"]);
    let table: TableName = cursor.table()?;
    if cursor.is(&["HISTORY"]) {
        return Err(Error::unsupported("DESCRIBE … HISTORY is not supported").at(cursor.here()));
    }
    cursor.end()?;
    Ok(Kind::Describe(table))
}
