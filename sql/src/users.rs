//! Users: where the segments of each go.

use crate::error::Result;
use crate::parse::{UserCommand, UserVerb};
use crate::session::{Outcome, Session};
use crate::storages;
use ebbtide_store::Error as StoreError;

/// Runs a statement about a user: one synced commit.
pub(crate) async fn run(session: &Session, command: &UserCommand) -> Result<Outcome> {
    let store = &session.database.store;
    let done = match &command.verb {
        UserVerb::Create { new, if_not_exists } => match store.create_user(new.clone()).await {
            Err(StoreError::UserExists { .. }) if *if_not_exists => Ok(()),
            done => done.map(drop),
        },
        UserVerb::Alter { id, change } => store.alter_user(id, change.clone()).await.map(drop),
        UserVerb::Drop { id, if_exists } => match store.drop_user(id).await {
            Err(StoreError::UserNotFound { .. }) if *if_exists => Ok(()),
            done => done,
        },
    };
    match done {
        Ok(()) => Ok(Outcome::Affected { tag: command.verb.tag(), rows: None }),
        Err(error) => Err(storages::refused(session, error, command.position)),
    }
}
