//! Several INSERTs sent as one unit are one commit: all of them, or none.
//!
//! PostgreSQL makes one transaction of what comes in one Query, or up to a Sync. Here that holds for INSERTs that
//! follow each other; anything else ends what was begun, because rows of an open transaction cannot be read yet and
//! other statements take effect at once. The commit is done before the client is told that the unit is over.

use ebbtide_sql::TransactionStatus;

use super::Ended;
use super::connection::Connection;

/// Whether a transaction is open that nobody asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unit {
    /// None is, or the client opened it.
    #[default]
    Plain,
    /// INSERTs are being gathered.
    Gathering,
}

impl Connection {
    /// To be called before each statement. `more` says that others of the same unit may follow.
    pub(super) async fn next_of_unit(&mut self, verb: &str, more: bool) -> Result<(), Ended> {
        if verb != "INSERT" {
            return self.end_unit().await;
        }
        if more && self.unit == Unit::Plain && self.session.transaction_status() == TransactionStatus::Idle {
            self.session.begin();
            self.unit = Unit::Gathering;
        }
        Ok(())
    }

    /// Commits what was gathered.
    pub(super) async fn end_unit(&mut self) -> Result<(), Ended> {
        match std::mem::take(&mut self.unit) {
            Unit::Plain => Ok(()),
            Unit::Gathering => {
                self.session.commit().await?;
                Ok(())
            }
        }
    }

    /// Drops what was gathered, after an error.
    pub(super) fn drop_unit(&mut self) {
        match std::mem::take(&mut self.unit) {
            Unit::Plain => {}
            Unit::Gathering => self.session.rollback(),
        }
    }
}
