//! CREATE, ALTER and DROP USER. They change with the catalog's version, so that a storage is there as long as a user has
//! chosen it.

use super::{NewUser, User, UserChange, get, key};
use crate::catalog::View;
use crate::{Error, HOT_USERS, Kind, StorageId, Store, USER_STORAGES, USERS, UserId, keys, manifest};
use ebbtide_engine::{Expect, Snapshot, Write};
use std::sync::Arc;

/// Tables that an error names, at most.
const NAMED_MAX: usize = 10;

impl Store {
    /// Makes a user.
    ///
    /// # Errors
    /// [`Error::UserExists`]; [`Error::StorageNotFound`]; the engine's.
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        self.catalog()
            .change(|snapshot, view| {
                if get(&**snapshot, &new.id)?.is_some() {
                    return Err(Error::UserExists { id: new.id.clone() });
                }
                check_storage(view, new.storage.as_ref())?;
                let now = self.env().now();
                let NewUser { id, storage_mode, storage } = new.clone();
                let user = User { id, storage_mode, storage, created_at: now, updated_at: now };
                let writes = put(None, &user);
                Ok((user, writes))
            })
            .await
    }

    /// Changes a user. His next flush goes where the change says; files that are there stay.
    ///
    /// # Errors
    /// [`Error::UserNotFound`]; [`Error::StorageNotFound`]; the engine's.
    pub async fn alter_user(&self, id: &UserId, change: UserChange) -> Result<User, Error> {
        self.catalog()
            .change(|snapshot, view| {
                let before = get(&**snapshot, id)?.ok_or_else(|| Error::UserNotFound { id: id.clone() })?;
                let mut user = User { updated_at: self.env().now(), ..before.clone() };
                user.storage_mode = change.storage_mode.unwrap_or(user.storage_mode);
                if let Some(storage) = change.storage.clone() {
                    check_storage(view, storage.as_ref())?;
                    user.storage = storage;
                }
                let writes = put(Some(&before), &user);
                Ok((user, writes))
            })
            .await
    }

    /// Removes a user who has no rows in any table.
    ///
    /// # Errors
    /// [`Error::UserNotFound`]; [`Error::UserInUse`]; the engine's.
    pub async fn drop_user(&self, id: &UserId) -> Result<(), Error> {
        self.catalog()
            .change_expecting(|snapshot, view| {
                let user = get(&**snapshot, id)?.ok_or_else(|| Error::UserNotFound { id: id.clone() })?;
                let expect = expect_no_rows(snapshot, view, id)?;
                let mut writes = vec![Write::delete(USERS, key(id))];
                writes.extend(user.storage.as_ref().map(|storage| Write::delete(USER_STORAGES, index(storage, id))));
                Ok(((), expect, writes))
            })
            .await
    }
}

/// What a commit is to expect so that a user without rows still has none.
fn expect_no_rows(snapshot: &Arc<dyn Snapshot>, view: &View, id: &UserId) -> Result<Vec<Expect>, Error> {
    let (mut expect, mut holding) = (Vec::new(), Vec::new());
    for table in view.tables(None).filter(|table| table.kind == Kind::User) {
        let key = keys::user(table.id, id);
        let last_seq = snapshot.get(HOT_USERS, &key)?;
        let watermark = manifest::watermark(&**snapshot, table.id, id)?;
        // The index of users with hot rows may lag behind the watermark: his rows are cold then, or gone.
        let hot = last_seq.as_deref().map(|value| keys::u64_value(value, "a user's last seq")).transpose()?;
        let cold = manifest::scan_segments(snapshot.clone(), table.id, Some(id))?.next().transpose()?;
        if hot.is_some_and(|last_seq| last_seq > watermark.seq) || cold.is_some() {
            holding.push(table.qualified_name());
        }
        expect.push(Expect::as_read(HOT_USERS, key, last_seq));
        expect.push(watermark.expect());
    }
    if holding.is_empty() {
        return Ok(expect);
    }
    let named = holding[..holding.len().min(NAMED_MAX)].join(", ");
    Err(Error::UserInUse { id: id.clone(), tables: holding.len(), named })
}

fn check_storage(view: &View, storage: Option<&StorageId>) -> Result<(), Error> {
    match storage {
        Some(id) if view.storage(id.as_str()).is_none() => Err(Error::StorageNotFound { id: id.to_string() }),
        _ => Ok(()),
    }
}

fn put(before: Option<&User>, user: &User) -> Vec<Write> {
    let mut writes = vec![Write::put(USERS, key(&user.id), user.value())];
    let before = before.and_then(|before| before.storage.as_ref());
    if before != user.storage.as_ref() {
        writes.extend(before.map(|storage| Write::delete(USER_STORAGES, index(storage, &user.id))));
        writes.extend(user.storage.as_ref().map(|storage| Write::put(USER_STORAGES, index(storage, &user.id), [])));
    }
    writes
}

fn index(storage: &StorageId, id: &UserId) -> Vec<u8> {
    keys::object(storage, id.as_str())
}
