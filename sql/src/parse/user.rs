//! CREATE, ALTER and DROP USER.

use super::Kind;
use super::clause::put;
use super::create::behaviour;
use super::cursor::Cursor;
use super::storage::{self, and_then};
use crate::error::{Error, Result, nearest};
use datafusion::sql::sqlparser::tokenizer::Token;
use ebbtide_store::users::{NewUser, StorageMode, UserChange};
use ebbtide_store::{StorageId, UserId};

/// A statement about one user.
#[derive(Debug, Clone)]
pub(crate) struct UserCommand {
    pub(crate) verb: UserVerb,
    /// Where his name stands.
    pub(crate) position: Option<u32>,
}

/// What is to happen to a user.
#[derive(Debug, Clone)]
pub(crate) enum UserVerb {
    Create { new: NewUser, if_not_exists: bool },
    Alter { id: UserId, change: UserChange },
    Drop { id: UserId, if_exists: bool },
}

impl UserVerb {
    /// The statement, as its command tag has it.
    pub(crate) fn tag(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CREATE USER",
            Self::Alter { .. } => "ALTER USER",
            Self::Drop { .. } => "DROP USER",
        }
    }
}

/// `CREATE USER [IF NOT EXISTS] u clause …`, from IF on.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let (id, position) = user(cursor)?;
    let mut clauses = Clauses::default();
    cursor.eat(&["WITH"]);
    while !cursor.is_end() {
        clauses.read(cursor, "CREATE USER")?;
    }
    let storage_mode = clauses.storage_mode.unwrap_or(StorageMode::Table);
    let new = NewUser { id, storage_mode, storage: clauses.storage.flatten() };
    Ok(command(UserVerb::Create { new, if_not_exists }, position))
}

/// `ALTER USER u [SET] clause [, [SET] clause …]`, from the name on.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let (id, position) = user(cursor)?;
    let mut clauses = Clauses::default();
    if !cursor.eat(&["SET"]) {
        cursor.eat(&["WITH"]);
    }
    loop {
        clauses.read(cursor, "ALTER USER")?;
        if !and_then(cursor) {
            break;
        }
    }
    let change = UserChange { storage_mode: clauses.storage_mode, storage: clauses.storage };
    Ok(command(UserVerb::Alter { id, change }, position))
}

/// `DROP USER [IF EXISTS] u`, from IF on.
pub(super) fn drop(cursor: &mut Cursor<'_>) -> Result<Kind> {
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let (id, position) = user(cursor)?;
    behaviour(cursor, "rows of a user are not dropped with him")?;
    Ok(command(UserVerb::Drop { id, if_exists }, position))
}

fn command(verb: UserVerb, position: Option<u32>) -> Kind {
    Kind::User(Box::new(UserCommand { verb, position }))
}

/// A name, folded to lower case; or any text in quotes of either sort, as it is.
/// A user's name, and where it stands.
pub(super) fn user(cursor: &mut Cursor<'_>) -> Result<(UserId, Option<u32>)> {
    const WHAT: &str = "the name of a user";
    let here = cursor.here();
    let name = match cursor.peek() {
        Some(Token::Word(word)) if word.quote_style.is_some() => {
            cursor.skip();
            word.value.clone()
        }
        Some(Token::Word(_)) => cursor.name(WHAT)?,
        _ => cursor.text(WHAT)?,
    };
    Ok((UserId::new(&name).map_err(|error| Error::from(error).at(here))?, here))
}

/// `None`: not said; `Some(None)`: said to be nothing.
#[derive(Default)]
struct Clauses {
    storage_mode: Option<StorageMode>,
    storage: Option<Option<StorageId>>,
}

impl Clauses {
    fn read(&mut self, cursor: &mut Cursor<'_>, statement: &str) -> Result<()> {
        let here = cursor.here();
        let read = if cursor.eat(&["STORAGE_MODE"]) {
            cursor.eat_token(&Token::Eq);
            let at = cursor.here();
            let text = cursor.name_or_text("table or region")?;
            let mode = StorageMode::parse(&text).map_err(|error| Error::from(error).at(at))?;
            put(&mut self.storage_mode, mode, "STORAGE_MODE")
        } else if cursor.eat(&["STORAGE_ID"]) || cursor.eat(&["STORAGE"]) {
            cursor.eat_token(&Token::Eq);
            let storage = if cursor.eat(&["NULL"]) { None } else { Some(storage::id(cursor)?.0) };
            put(&mut self.storage, storage, "STORAGE_ID")
        } else {
            Err(unknown(cursor, statement))
        };
        read.map_err(|error| error.at(here))
    }
}

fn unknown(cursor: &Cursor<'_>, statement: &str) -> Error {
    const KNOWN: [&str; 2] = ["STORAGE_MODE", "STORAGE_ID"];
    let word = cursor.word().unwrap_or_default();
    match word.as_str() {
        // Whatever follows is not repeated: it may be a password.
        "PASSWORD" | "ENCRYPTED" | "ROLE" | "EMAIL" | "IN" | "GROUP" | "VALID" | "CONNECTION" | "LOGIN" | "NOLOGIN"
        | "SUPERUSER" | "NOSUPERUSER" | "CREATEDB" | "NOCREATEDB" | "CREATEROLE" | "NOCREATEROLE" | "INHERIT"
        | "NOINHERIT" | "REPLICATION" | "NOREPLICATION" | "BYPASSRLS" | "NOBYPASSRLS" | "SYSID" | "ADMIN"
        | "RENAME" => {
            return Error::unsupported(format!("{statement} … {word} is not supported"))
                .hint("a user has STORAGE_MODE and STORAGE_ID");
        }
        _ => {}
    }
    match nearest(&word, KNOWN) {
        Some(near) => cursor.unexpected("a clause of a user").hint(format!("did you mean {near}?")),
        None => cursor.unexpected(KNOWN.join(" or ").as_str()),
    }
}
