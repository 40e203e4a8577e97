//! ALTER, and of a table what can be altered: how it is kept.

use super::clause::Policy;
use super::cursor::Cursor;
use super::storage::{self, and_then};
use super::{Kind, TableName, user};
use crate::error::{Error, Result};
use datafusion::sql::sqlparser::tokenizer::Token;

/// `ALTER TABLE … SET …`
#[derive(Debug, Clone)]
pub(crate) struct AlterTable {
    pub(crate) table: TableName,
    pub(crate) if_exists: bool,
    /// What changes. If any trigger is named, these are all there will be.
    pub(crate) policy: Policy,
}

/// ALTER …
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.skip();
    if cursor.eat(&["STORAGE"]) {
        return storage::alter(cursor);
    }
    if cursor.eat(&["TABLE"]) || cursor.eat(&["USER", "TABLE"]) || cursor.eat(&["SHARED", "TABLE"]) {
        return table(cursor);
    }
    if cursor.eat(&["USER"]) {
        return user::alter(cursor);
    }
    let word = cursor.word().unwrap_or_default();
    Err(match word.as_str() {
        "NAMESPACE" | "SCHEMA" | "DATABASE" | "ROLE" | "GROUP" | "SYSTEM" | "INDEX" | "VIEW" | "MATERIALIZED"
        | "SEQUENCE" | "TYPE" | "DOMAIN" | "FUNCTION" | "PROCEDURE" | "EXTENSION" | "TRIGGER" | "POLICY"
        | "TABLESPACE" | "DEFAULT" | "FOREIGN" | "SERVER" => {
            Error::unsupported(format!("ALTER {word} is not supported")).at(cursor.here())
        }
        _ => cursor.unexpected("TABLE, STORAGE or USER"),
    })
}

/// `ALTER TABLE [IF EXISTS] ns.t SET clause [, [SET] clause …]`, from IF on.
fn table(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let table = cursor.table()?;
    if !cursor.eat(&["SET"]) {
        return Err(refuse(cursor));
    }
    let mut policy = Policy::default();
    loop {
        let here = cursor.here();
        match cursor.word().as_deref() {
            Some(word @ ("SCHEMA" | "TABLESPACE" | "LOGGED" | "UNLOGGED" | "WITHOUT" | "ACCESS")) => {
                return Err(Error::unsupported(format!("ALTER TABLE … SET {word} is not supported")).at(here));
            }
            None if cursor.is_token(&Token::LParen) => policy.read_options(cursor)?,
            _ => policy.read_clause(cursor)?,
        }
        if policy.kind.is_some() {
            return Err(Error::unsupported("the type of a table does not change").at(here));
        }
        if !and_then(cursor) {
            break;
        }
    }
    Ok(Kind::AlterTable(Box::new(AlterTable { table, if_exists, policy })))
}

fn refuse(cursor: &Cursor<'_>) -> Error {
    const HINT: &str = "STORAGE, USE_USER_STORAGE, SHARDING and FLUSH can be SET";
    match cursor.word().as_deref() {
        Some(
            word @ ("ADD" | "DROP" | "ALTER" | "RENAME" | "MODIFY" | "OWNER" | "ENABLE" | "DISABLE" | "ATTACH"
            | "DETACH" | "RESET" | "INHERIT" | "NO" | "CLUSTER" | "VALIDATE" | "REPLICA"),
        ) => Error::unsupported(format!("ALTER TABLE … {word} is not supported")).hint(HINT).at(cursor.here()),
        _ => cursor.unexpected("SET").hint(HINT),
    }
}
