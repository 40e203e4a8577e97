//! BEGIN … COMMIT: writes wait in memory, bounded, and become one commit of the engine.
//!
//! ```text
//! Idle ── BEGIN ──► Active ── COMMIT ──► Idle     one commit: all of it, or none
//!   ▲                 │  └── ROLLBACK ─► Idle     nothing was written
//!   │               error
//!   │                 ▼
//!   └── ROLLBACK ── Failed                        every other statement is refused
//! ```

use super::settings::Saved;
use crate::error::{Error, Result, code};
use ebbtide_engine::{Commit, Packed};
use ebbtide_store::{Table, UserId, hot};
use std::sync::Arc;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No transaction is open.
    Idle,
    /// One is open.
    Active,
    /// One is open and has failed; only its end is accepted.
    Failed,
}

/// Rows of one table, encoded, on their way into one commit.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) table: Arc<Table>,
    pub(crate) rows: Vec<(UserId, Packed)>,
}

impl Pending {
    /// Bytes of all rows.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.iter().map(|(_, rows)| rows.bytes()).sum()
    }

    /// How many rows.
    pub(crate) fn count(&self) -> u64 {
        self.rows.iter().map(|(_, rows)| rows.len() as u64).sum()
    }
}

/// The one commit that writes all of these rows at `now`, in their order, as long as their tables are there and take rows.
/// It expects one thing of each table, in the order of the tables that are given back, and then that rows may be written at all.
pub(crate) fn commit(pending: impl IntoIterator<Item = Pending>, now: i64) -> (Commit, Vec<Arc<Table>>) {
    let mut commit = Commit::default();
    let mut tables: Vec<Arc<Table>> = Vec::new();
    for Pending { table, rows } in pending {
        commit.writes.extend(hot::append_all(&table, rows, now));
        if !tables.iter().any(|known| known.id == table.id) {
            tables.push(table);
        }
    }
    commit.expect = tables.iter().map(|table| table.expect_present()).collect();
    commit.expect.extend(tables.iter().find_map(|table| table.expect_writable()));
    (commit, tables)
}

/// The transaction of a session.
#[derive(Debug)]
pub(crate) enum Transaction {
    Idle,
    Active { writes: Vec<Pending>, bytes: usize, read_only: bool, before: Saved },
    Failed { before: Saved },
}

impl Transaction {
    pub(crate) fn status(&self) -> TransactionStatus {
        match self {
            Self::Idle => TransactionStatus::Idle,
            Self::Active { .. } => TransactionStatus::Active,
            Self::Failed { .. } => TransactionStatus::Failed,
        }
    }

    /// An error inside drops what was to be written.
    pub(super) fn fail(&mut self) {
        if let Self::Active { before, .. } = self {
            *self = Self::Failed { before: before.clone() };
        }
    }

    /// Whether a statement other than the transaction's end may run.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Failed { .. } => Err(Error::new(
                code::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )
            .hint("send ROLLBACK, then start over")),
            _ => Ok(()),
        }
    }

    /// Whether a statement may write.
    pub(super) fn check_writable(&self, what: &str) -> Result<()> {
        match self {
            Self::Active { read_only: true, .. } => Err(Error::new(
                code::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {what} in a read-only transaction"),
            )),
            _ => Ok(()),
        }
    }

    /// Statements that change the catalog or jobs commit by themselves, so they cannot be part of a transaction.
    pub(super) fn check_outside(&self, what: &str) -> Result<()> {
        match self {
            Self::Idle => Ok(()),
            _ => Err(Error::unsupported(format!("{what} cannot run inside a transaction"))
                .detail("it takes effect at once and could not be rolled back")
                .hint("COMMIT or ROLLBACK first")),
        }
    }

    /// A table's rows that this transaction wrote are not in any snapshot yet, so the table cannot be read.
    pub(super) fn check_readable(&self, table: &Table) -> Result<()> {
        match self {
            Self::Active { writes, .. } if writes.iter().any(|pending| pending.table.id == table.id) => {
                Err(Error::unsupported(format!(
                    "{} cannot be read in the transaction that writes to it",
                    table.qualified_name()
                ))
                .detail("rows written in a transaction become visible with its COMMIT")
                .hint("COMMIT first, or read before writing"))
            }
            _ => Ok(()),
        }
    }

    /// Adds rows, which come back if no transaction is open. Over the bound nothing is added.
    pub(super) fn buffer(&mut self, pending: Pending, bytes_max: usize) -> Result<Option<Pending>> {
        match self {
            Self::Idle => Ok(Some(pending)),
            Self::Failed { .. } => self.check().map(|()| None),
            Self::Active { writes, bytes, .. } => {
                let total = *bytes + pending.bytes();
                if total > bytes_max {
                    return Err(Error::new(
                        code::PROGRAM_LIMIT_EXCEEDED,
                        format!("the transaction would write {total} bytes; it may write {bytes_max}"),
                    )
                    .hint(
                        "commit more often, load with COPY outside of a transaction, or raise transaction.bytes_max",
                    ));
                }
                *bytes = total;
                writes.push(pending);
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn rows(table: &Arc<Table>, bytes: usize) -> Pending {
        let mut packed = Packed::new();
        packed.push(&vec![0; bytes]);
        Pending { table: table.clone(), rows: vec![(UserId::shared(), packed)] }
    }

    fn active() -> Transaction {
        Transaction::Active { writes: Vec::new(), bytes: 0, read_only: false, before: Saved::default() }
    }

    #[test]
    fn a_transaction_is_bounded() {
        let table = testing::shared_table();
        let mut transaction = active();
        assert!(transaction.buffer(rows(&table, 60), 100).unwrap().is_none());
        let error = transaction.buffer(rows(&table, 60), 100).unwrap_err();
        assert_eq!(error.sqlstate, code::PROGRAM_LIMIT_EXCEEDED);
        assert!(transaction.buffer(rows(&table, 40), 100).unwrap().is_none(), "the bound itself fits");
    }

    #[test]
    fn a_failed_transaction_takes_nothing_more() {
        let table = testing::shared_table();
        let mut transaction = active();
        transaction.fail();
        assert_eq!(transaction.check().unwrap_err().sqlstate, code::IN_FAILED_SQL_TRANSACTION);
        assert_eq!(transaction.buffer(rows(&table, 1), 100).unwrap_err().sqlstate, code::IN_FAILED_SQL_TRANSACTION);
        let mut idle = Transaction::Idle;
        idle.fail();
        assert_eq!(idle.status(), TransactionStatus::Idle);
    }
}
