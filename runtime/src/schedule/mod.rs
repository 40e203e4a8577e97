//! Declared workflows: when each is to run, and the ledger of the times at which it did or did not.
//!
//! ```text
//!   Declared ── When ──► due slots ──► one commit: slot row (absent before) + job ──► the runner
//! ```
//!
//! A slot is one nominal time of one workflow. Its row is written in the commit that starts the job, and that commit expects
//! the row to be absent: two schedulers on one engine, a restart and a clock that is set start each slot once.

mod anchor; // since when a workflow is declared as it is
mod cron; // crontab expressions in a time zone
mod declared; // a workflow as it was declared
mod due; // which slots are due
mod fire; // a slot and its job in one commit
mod line; // one workflow on its way through time
mod list; // how each went and when it runs next
mod prune; // old slots leave the ledger
mod scheduler; // the task that starts what is due
mod slots; // the ledger

pub use cron::{BadCron, Cron, Note, Occurrence};
pub use declared::{Declared, Missed, Overlap, When};
pub use list::Listed;
pub use prune::{OldSlots, prune};
pub use scheduler::{RunError, Scheduler};
pub use slots::{Slot, SlotCursor, SlotStatus, UnknownSlotStatus, slots};

pub(crate) use slots::{SLOTS, with_job};
