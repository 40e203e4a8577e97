//! Users: who owns rows, and where his own go if a table lets him choose.
//!
//! A user that somebody writes rows for exists from that commit on. There may be millions, so they are read one by one
//! and never held; the ones who have chosen a storage are few, and have an index of their own.
//!
//! ```text
//! users          user            ->  the user, JSON
//! user_storages  storage | user  ->  nothing
//! ```

mod change; // CREATE, ALTER and DROP USER

use crate::{Error, StorageId, USER_STORAGES, USERS, UserId, keys};
use ebbtide_engine::{Cursor, KeyRange, Order, Snapshot, Write};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which storage takes a user's files in a table that lets users choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageMode {
    /// The table's.
    #[default]
    Table,
    /// His own: that of his region.
    Region,
}

impl StorageMode {
    /// As SQL and `system.users` spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Region => "region",
        }
    }

    /// The mode of this name, in any case.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.to_ascii_lowercase().as_str() {
            "table" => Ok(Self::Table),
            "region" => Ok(Self::Region),
            _ => Err(Error::invalid(format!("Invalid storage mode '{text}'. Must be table or region"))),
        }
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who he is.
    pub id: UserId,
    /// Which storage takes his files where he may choose.
    pub storage_mode: StorageMode,
    /// His own storage.
    pub storage: Option<StorageId>,
    /// Microseconds since the Unix epoch.
    pub created_at: i64,
    /// Microseconds since the Unix epoch.
    pub updated_at: i64,
}

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Who he is.
    pub id: UserId,
    /// Which storage takes his files where he may choose.
    pub storage_mode: StorageMode,
    /// His own storage; it must exist.
    pub storage: Option<StorageId>,
}

/// What is to become different about a user; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// Which storage takes his files where he may choose.
    pub storage_mode: Option<StorageMode>,
    /// His own storage; it must exist.
    pub storage: Option<Option<StorageId>>,
}

/// A user as he is stored, under his id.
#[derive(Serialize, Deserialize)]
struct Stored {
    storage_mode: StorageMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<StorageId>,
    created_at: i64,
    updated_at: i64,
}

impl User {
    /// The storage that he wants his files in, if he wants one and not that of the table.
    pub fn own_storage(&self) -> Option<&StorageId> {
        match self.storage_mode {
            StorageMode::Table => None,
            StorageMode::Region => self.storage.as_ref(),
        }
    }

    fn read(id: UserId, value: &[u8]) -> Result<Self, Error> {
        let stored = serde_json::from_slice(value)
            .map_err(|error| Error::corrupt(format!("the entry of user {:?}: {error}", id.as_str())))?;
        let Stored { storage_mode, storage, created_at, updated_at } = stored;
        Ok(Self { id, storage_mode, storage, created_at, updated_at })
    }

    fn value(&self) -> Vec<u8> {
        let Self { storage_mode, storage, created_at, updated_at, .. } = self.clone();
        let stored = Stored { storage_mode, storage, created_at, updated_at };
        serde_json::to_vec(&stored).expect("a plain struct of text and numbers has a JSON form")
    }
}

/// The write by which a user exists from now on, if he did not before. It belongs into the commit of his first rows.
pub(crate) fn seen(id: &UserId, now: i64) -> Write {
    let user =
        User { id: id.clone(), storage_mode: StorageMode::Table, storage: None, created_at: now, updated_at: now };
    Write::put_if_absent(USERS, key(id), user.value())
}

fn key(id: &UserId) -> Vec<u8> {
    id.as_str().as_bytes().to_vec()
}

/// A user by his id.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn get(snapshot: &dyn Snapshot, id: &UserId) -> Result<Option<User>, Error> {
    snapshot.get(USERS, &key(id))?.map(|value| User::read(id.clone(), &value)).transpose()
}

/// Users by id: all of them, or those after one.
///
/// # Errors
/// The engine's; each item may also be [`Error::Corrupt`].
pub fn scan(snapshot: Arc<dyn Snapshot>, after: Option<&UserId>) -> Result<Users, Error> {
    let mut from = after.map(key).unwrap_or_default();
    if after.is_some() {
        from.push(0);
    }
    Ok(Users { cursor: snapshot.scan(USERS, KeyRange::new(from, []), Order::Ascending)? })
}

/// Reads users as it goes.
pub struct Users {
    cursor: Box<dyn Cursor>,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users").finish_non_exhaustive()
    }
}

impl Iterator for Users {
    type Item = Result<User, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.cursor.next() {
            Ok(None) => None,
            Ok(Some((key, value))) => {
                let id = std::str::from_utf8(key).map_err(|_| Error::corrupt("the id of a user is not text"));
                Some(id.and_then(UserId::stored).and_then(|id| User::read(id, value)))
            }
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// Some of the users who have chosen this storage, and whether there are more.
pub(crate) fn of_storage(
    snapshot: &Arc<dyn Snapshot>,
    storage: &StorageId,
    limit: usize,
) -> Result<(Vec<UserId>, bool), Error> {
    let prefix = keys::object(storage, "");
    let mut cursor = snapshot.clone().scan(USER_STORAGES, KeyRange::prefix(&prefix), Order::Ascending)?;
    let mut found = Vec::new();
    while let Some((key, _)) = cursor.next()? {
        if found.len() == limit {
            return Ok((found, true));
        }
        let id = std::str::from_utf8(&key[prefix.len()..])
            .map_err(|_| Error::corrupt("the index of users by storage holds a key that is no text"))?;
        found.push(UserId::stored(id)?);
    }
    Ok((found, false))
}
