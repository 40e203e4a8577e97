//! BEGIN, COMMIT, ROLLBACK and their other names.

use super::Kind;
use super::cursor::Cursor;
use crate::error::{Error, Result};
use datafusion::sql::sqlparser::tokenizer::Token;

pub(super) fn transaction(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let kind = if cursor.eat(&["START"]) {
        cursor.expect(&["TRANSACTION"])?;
        Kind::Begin { read_only: modes(cursor)?.unwrap_or(false) }
    } else if cursor.eat(&["BEGIN"]) {
        work(cursor);
        Kind::Begin { read_only: modes(cursor)?.unwrap_or(false) }
    } else if cursor.eat(&["COMMIT"]) || cursor.eat(&["END"]) {
        if cursor.is(&["PREPARED"]) {
            return Err(two_phase(cursor));
        }
        work(cursor);
        chain(cursor)?;
        Kind::Commit
    } else {
        cursor.skip();
        if cursor.is(&["PREPARED"]) {
            return Err(two_phase(cursor));
        }
        work(cursor);
        if cursor.is(&["TO"]) {
            return Err(Error::unsupported("savepoints are not supported")
                .hint("ROLLBACK ends the whole transaction")
                .at(cursor.here()));
        }
        chain(cursor)?;
        Kind::Rollback
    };
    cursor.end()?;
    Ok(kind)
}

fn two_phase(cursor: &Cursor<'_>) -> Error {
    Error::unsupported("two-phase commit is not supported").at(cursor.here())
}

fn work(cursor: &mut Cursor<'_>) {
    if !cursor.eat(&["WORK"]) {
        cursor.eat(&["TRANSACTION"]);
    }
}

fn chain(cursor: &mut Cursor<'_>) -> Result<()> {
    let here = cursor.here();
    if cursor.eat(&["AND", "CHAIN"]) {
        return Err(Error::unsupported("AND CHAIN is not supported").at(here));
    }
    cursor.eat(&["AND", "NO", "CHAIN"]);
    Ok(())
}

/// `ISOLATION LEVEL … | READ WRITE | READ ONLY | [NOT] DEFERRABLE`, whether read-only if said.
pub(super) fn modes(cursor: &mut Cursor<'_>) -> Result<Option<bool>> {
    let mut read_only = None;
    loop {
        let here = cursor.here();
        if cursor.eat(&["ISOLATION", "LEVEL"]) {
            // READ UNCOMMITTED is READ COMMITTED in PostgreSQL as well.
            if !cursor.eat(&["READ", "COMMITTED"]) && !cursor.eat(&["READ", "UNCOMMITTED"]) {
                return Err(Error::unsupported("only ISOLATION LEVEL READ COMMITTED is supported")
                    .detail("each statement reads one snapshot of its own")
                    .at(here));
            }
        } else if cursor.eat(&["READ", "ONLY"]) {
            read_only = Some(true);
        } else if cursor.eat(&["READ", "WRITE"]) {
            read_only = Some(false);
        } else if !cursor.eat(&["NOT", "DEFERRABLE"]) && !cursor.eat(&["DEFERRABLE"]) {
            return Ok(read_only);
        }
        cursor.eat_token(&Token::Comma);
    }
}
