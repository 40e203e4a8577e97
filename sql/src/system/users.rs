//! `system.users`: who owns rows or was made known, by name.

use super::columns::{Column, Value};
use super::{Look, Out, System, Wanted};
use crate::error::Result;
use ebbtide_store::ColumnType::{Text, TimestampTz};
use ebbtide_store::UserId;
use ebbtide_store::users::{self, User};

const COLUMNS: &[Column] = &[
    Column::new("user_id", Text, "His name, as rows have it in _user_id."),
    Column::new(
        "storage_mode",
        Text,
        "Where his segments go from tables that USE_USER_STORAGE: table, to the table's storage; region, to his own.",
    ),
    Column::nullable("storage_id", Text, "His own storage."),
    Column::new("created_at", TimestampTz, "When he first wrote a row, or was made known."),
    Column::new("updated_at", TimestampTz, "When he was last changed."),
];

/// `system.users`
#[derive(Debug)]
pub(super) struct Users;

impl System for Users {
    fn name(&self) -> &'static str {
        "system.users"
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn keys(&self) -> &'static [&'static str] {
        &["user_id"]
    }

    fn rows(&self, look: &Look<'_>, wanted: &Wanted, out: &mut Out<'_>) -> Result<()> {
        let Some(ids) = wanted.texts("user_id") else {
            for user in users::scan(look.snapshot.clone(), None)? {
                if !row(&user?, out)? {
                    break;
                }
            }
            return Ok(());
        };
        // A text that is no user's name is nobody's.
        for id in ids.iter().filter_map(|id| UserId::new(id).ok()) {
            if let Some(user) = users::get(&*look.snapshot, &id)?
                && !row(&user, out)?
            {
                break;
            }
        }
        Ok(())
    }
}

fn row(user: &User, out: &mut Out<'_>) -> Result<bool> {
    out.row(&[
        user.id.as_str().into(),
        user.storage_mode.as_str().into(),
        user.storage.as_ref().map(|storage| storage.as_str()).into(),
        Value::Time(user.created_at),
        Value::Time(user.updated_at),
    ])
}
