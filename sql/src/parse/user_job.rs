//! ERASE USER, EXPORT USER, MOVE TABLE and MOVE USER: jobs over what a table or a user has.

use super::command::within;
use super::cursor::Cursor;
use super::{Kind, TableName, refuse, storage, user};
use crate::error::Result;
use ebbtide_store::{StorageId, UserId};

/// A job over what a table or a user has, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserJob {
    Erase { user: UserId, namespace: Option<String> },
    Export { user: UserId, to: StorageName, namespace: Option<String> },
    MoveTable { table: TableName, to: StorageName },
    MoveUser { user: UserId, namespace: Option<String>, to: StorageName },
}

/// A storage as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorageName {
    pub(crate) id: StorageId,
    pub(crate) position: Option<u32>,
}

impl UserJob {
    /// The statement, as its command tag has it.
    pub(crate) fn tag(&self) -> &'static str {
        match self {
            Self::Erase { .. } => "ERASE USER",
            Self::Export { .. } => "EXPORT USER",
            Self::MoveTable { .. } => "MOVE TABLE",
            Self::MoveUser { .. } => "MOVE USER",
        }
    }
}

/// `ERASE USER 'u' [IN [NAMESPACE] ns]`
pub(super) fn erase(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.skip();
    cursor.expect(&["USER"])?;
    let (user, _) = user::user(cursor)?;
    let namespace = within(cursor)?;
    cursor.end()?;
    Ok(Kind::UserJob(UserJob::Erase { user, namespace }))
}

/// `EXPORT USER 'u' TO [STORAGE] s [IN [NAMESPACE] ns]`
pub(super) fn export(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.skip();
    cursor.expect(&["USER"])?;
    let (user, _) = user::user(cursor)?;
    let before = within(cursor)?;
    let to = to(cursor)?;
    let namespace = if before.is_some() { before } else { within(cursor)? };
    cursor.end()?;
    Ok(Kind::UserJob(UserJob::Export { user, to, namespace }))
}

/// `MOVE TABLE ns.t TO [STORAGE] s` and `MOVE USER 'u' [IN [NAMESPACE] ns] TO [STORAGE] s`
pub(super) fn relocate(cursor: &mut Cursor<'_>) -> Result<Kind> {
    cursor.skip();
    let job = if cursor.eat(&["TABLE"]) {
        let table = cursor.table()?;
        UserJob::MoveTable { table, to: to(cursor)? }
    } else if cursor.eat(&["USER"]) {
        let (user, _) = user::user(cursor)?;
        let namespace = within(cursor)?;
        UserJob::MoveUser { user, namespace, to: to(cursor)? }
    } else {
        // In PostgreSQL it moves a cursor.
        let hint = "write MOVE TABLE ns.t TO STORAGE s, or MOVE USER 'u' TO STORAGE s";
        return Err(refuse::statement("MOVE", cursor).hint(hint));
    };
    cursor.end()?;
    Ok(Kind::UserJob(job))
}

fn to(cursor: &mut Cursor<'_>) -> Result<StorageName> {
    cursor.expect(&["TO"])?;
    cursor.eat(&["STORAGE"]);
    let (id, position) = storage::id(cursor)?;
    Ok(StorageName { id, position })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn one(sql: &str) -> UserJob {
        match parse(sql).map(|mut statements| statements.remove(0).kind) {
            Ok(Kind::UserJob(job)) => job,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn users_are_erased_exported_and_moved() {
        for (sql, tag, user, namespace, to) in [
            ("ERASE USER 'ana'", "ERASE USER", "ana", None, None),
            ("erase user Ana in chat", "ERASE USER", "ana", Some("chat"), None),
            ("ERASE USER \"Ana\" IN NAMESPACE chat", "ERASE USER", "Ana", Some("chat"), None),
            ("ERASE USER 'o''brien/../x'", "ERASE USER", "o'brien/../x", None, None),
            ("EXPORT USER 'ana' TO local", "EXPORT USER", "ana", None, Some("local")),
            ("EXPORT USER 'ana' TO STORAGE 's3-eu' IN chat", "EXPORT USER", "ana", Some("chat"), Some("s3-eu")),
            ("EXPORT USER 'ana' IN chat TO s3-eu-1", "EXPORT USER", "ana", Some("chat"), Some("s3-eu-1")),
            ("MOVE USER 'ana' TO Archive", "MOVE USER", "ana", None, Some("archive")),
            ("MOVE USER 'ana' IN NAMESPACE chat TO STORAGE archive", "MOVE USER", "ana", Some("chat"), Some("archive")),
        ] {
            let job = one(sql);
            let said = match &job {
                UserJob::Erase { user, namespace } => (user.as_str(), namespace.as_deref(), None),
                UserJob::Export { user, to, namespace } | UserJob::MoveUser { user, namespace, to } => {
                    (user.as_str(), namespace.as_deref(), Some(to.id.as_str()))
                }
                UserJob::MoveTable { .. } => panic!("{sql}"),
            };
            assert_eq!((job.tag(), said), (tag, (user, namespace, to)), "{sql}");
        }
        let UserJob::MoveTable { table, to } = one("MOVE TABLE chat.messages TO STORAGE archive") else { panic!() };
        assert_eq!((table.table.as_str(), to.id.as_str()), ("messages", "archive"));
    }

    #[test]
    fn what_is_missing_is_said() {
        for (sql, said) in [
            ("ERASE 'ana'", "expected USER"),
            ("ERASE USER", "expected the name of a user"),
            ("ERASE USER 'ana' TO local", "expected the end of the statement"),
            ("EXPORT USER 'ana'", "expected TO"),
            ("EXPORT USER 'ana' IN a TO b IN c", "expected the end of the statement"),
            ("MOVE chat.messages TO b", "write MOVE TABLE ns.t TO STORAGE s"),
            ("MOVE TABLE chat.messages", "expected TO"),
            ("MOVE USER 'ana' TO (", "expected a storage id"),
        ] {
            let error = parse(sql).unwrap_err();
            assert!(format!("{error:?}").contains(said), "{sql}: {error:?}");
        }
        assert!(parse("ERASE USER ''").is_err());
    }
}
