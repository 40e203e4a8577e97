//! What is not supported yet, said with its name and what to do instead, before anything is done.

use super::cursor::Cursor;
use crate::error::{Error, Result};
use datafusion::sql::sqlparser::ast;

/// A statement that begins with a word we do not run.
pub(super) fn statement(word: &str, cursor: &Cursor<'_>) -> Error {
    let error = match word {
        "UPDATE" | "DELETE" | "MERGE" => Error::unsupported(format!("{word} is not supported"))
            .detail("tables are append-only until they have primary keys"),
        "TRUNCATE" => Error::unsupported("TRUNCATE is not supported").hint("DROP TABLE and CREATE TABLE it again"),
        "SAVEPOINT" | "RELEASE" => Error::unsupported("savepoints are not supported"),
        "PREPARE" | "EXECUTE" => Error::unsupported(format!("{word} as a statement is not supported"))
            .hint("use the protocol's prepared statements, as every driver does"),
        "DECLARE" | "FETCH" | "MOVE" | "CLOSE" => Error::unsupported("cursors are not supported"),
        "GRANT" | "REVOKE" => Error::unsupported(format!("{word} is not supported")),
        "VACUUM" | "ANALYZE" | "REINDEX" | "CLUSTER" | "CHECKPOINT" | "LOCK" | "LISTEN" | "UNLISTEN" | "NOTIFY"
        | "COMMENT" | "CALL" | "DO" | "IMPORT" | "SECURITY" | "REFRESH" | "REASSIGN" | "LOAD" | "USE" | "REPLACE" => {
            Error::unsupported(format!("{word} is not supported"))
        }
        _ => cursor.unexpected("a statement such as SELECT, INSERT or CREATE TABLE"),
    };
    error.at(cursor.here())
}

/// CREATE of something that there is not.
pub(super) fn create(cursor: &Cursor<'_>) -> Error {
    let word = cursor.word().unwrap_or_default();
    let error = match word.as_str() {
        "INDEX" | "UNIQUE" => Error::unsupported("CREATE INDEX is not supported")
            .hint("segments are pruned by user and by the least and greatest value of every column"),
        "ROLE" => {
            Error::unsupported("CREATE ROLE is not supported").hint("CREATE USER says where a user's segments go")
        }
        "TEMP" | "TEMPORARY" | "UNLOGGED" | "GLOBAL" | "LOCAL" | "FOREIGN" | "EXTERNAL" => {
            Error::unsupported(format!("{word} tables are not supported"))
        }
        "VIEW" | "MATERIALIZED" | "OR" | "FUNCTION" | "PROCEDURE" | "TRIGGER" | "SEQUENCE" | "TYPE" | "DOMAIN"
        | "EXTENSION" | "DATABASE" | "RULE" | "POLICY" | "AGGREGATE" | "CAST" | "COLLATION" | "RECURSIVE" => {
            Error::unsupported(format!("CREATE {word} is not supported"))
        }
        _ => cursor.unexpected("NAMESPACE, [USER | SHARED] TABLE, STORAGE or USER"),
    };
    error.at(cursor.here())
}

/// DROP of something that there is not.
pub(super) fn drop(cursor: &Cursor<'_>) -> Error {
    let word = cursor.word().unwrap_or_default();
    let error = match word.as_str() {
        "" => cursor.unexpected("NAMESPACE, [USER | SHARED] TABLE, STORAGE or USER"),
        "INDEX" | "VIEW" | "MATERIALIZED" | "ROLE" | "STREAM" | "FUNCTION" | "SEQUENCE" | "TYPE" | "DATABASE"
        | "EXTENSION" | "TRIGGER" | "DOMAIN" | "POLICY" => Error::unsupported(format!("DROP {word} is not supported")),
        _ => cursor.unexpected("NAMESPACE, [USER | SHARED] TABLE, STORAGE or USER"),
    };
    error.at(cursor.here())
}

/// The parts of INSERT that would need a key, or that other databases have.
pub(super) fn insert(insert: &ast::Insert) -> Result<()> {
    if insert.on.is_some() {
        return Err(Error::unsupported("ON CONFLICT is not supported").detail("tables have no primary keys yet"));
    }
    if insert.returning.is_some() || insert.output.is_some() {
        return Err(Error::unsupported("RETURNING is not supported"));
    }
    if insert.or.is_some() || insert.replace_into || insert.ignore || insert.overwrite {
        return Err(Error::unsupported("INSERT only adds rows; REPLACE, IGNORE and OVERWRITE are not supported"));
    }
    if insert.source.is_none() {
        return Err(Error::unsupported("INSERT … DEFAULT VALUES is not supported").hint("name the values"));
    }
    if insert.partitioned.is_some() || !insert.after_columns.is_empty() || !insert.assignments.is_empty() {
        return Err(Error::unsupported("this form of INSERT is not supported"));
    }
    match insert.source.as_deref() {
        Some(source) => query(source),
        None => Ok(()),
    }
}

/// The parts of SELECT that would write, or lock.
pub(super) fn query(query: &ast::Query) -> Result<()> {
    if !query.locks.is_empty() {
        return Err(Error::unsupported("FOR UPDATE and FOR SHARE are not supported")
            .detail("rows are never changed, so there is nothing to lock"));
    }
    if let Some(with) = &query.with {
        for table in &with.cte_tables {
            self::query(&table.query)?;
        }
    }
    body(&query.body)
}

fn body(expr: &ast::SetExpr) -> Result<()> {
    match expr {
        ast::SetExpr::Select(select) if select.into.is_some() => {
            Err(Error::unsupported("SELECT INTO is not supported").hint("CREATE TABLE, then INSERT INTO … SELECT"))
        }
        ast::SetExpr::Query(inner) => query(inner),
        ast::SetExpr::SetOperation { left, right, .. } => body(left).and_then(|()| body(right)),
        ast::SetExpr::Insert(_) | ast::SetExpr::Update(_) | ast::SetExpr::Delete(_) | ast::SetExpr::Merge(_) => {
            Err(Error::unsupported("a query that also writes is not supported"))
        }
        _ => Ok(()),
    }
}
