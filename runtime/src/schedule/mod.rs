//! Declared workflows: when each is to run, and the ledger of the times at which it did or did not.
//!
//! ```text
//!   Declared ── When ──► due slots ──► one commit: slot row (absent before) + job ──► the runner
//! ```
//!
//! A slot is one nominal time of one workflow. Its row is written in the commit that starts the job, and that commit expects
//! the row to be absent: two schedulers on one engine, a restart and a clock that is set start each slot once.

mod cron; // crontab expressions in a time zone
mod declared; // a workflow as it was declared
mod scheduler; // the task that starts what is due
mod slots; // the ledger

pub use cron::{BadCron, Cron, Note, Occurrence};
pub use declared::{Declared, Missed, Overlap, When};
pub use scheduler::{Listed, RunError, Scheduler};
pub use slots::{Slot, SlotCursor, SlotStatus, slots};
