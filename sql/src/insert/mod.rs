//! INSERT: values into Arrow columns, columns into encoded rows, rows into one commit.
//!
//! ```text
//! VALUES of literals and parameters ──► builders ──┐
//! any other source ──► DataFusion ──► assign ──────┴─► Gather (whose rows, encoded) ──► one commit, or the transaction
//! ```

mod cell; // one value of VALUES, as far as it needs no evaluation
mod gather; // rows of one table, encoded, each with its owner
mod plan; // an INSERT, looked up
mod run; // and carried out

pub(crate) use gather::{Gather, Misfit, Target};
pub(crate) use plan::{InsertPlan, column_type};
