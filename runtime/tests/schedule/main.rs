//! What the scheduler promises: each slot starts once, whatever clocks, restarts and other schedulers do.

#![expect(clippy::unwrap_used, reason = "in a test, a panic with the error is the answer")]

mod brute; // crontab by looking at every minute
mod clocks; // clocks that are set, downtime, changes of the declaration
mod cron; // expressions in awkward zones, against the minutes
mod kinds; // parameters are read, or refused with what would be right
mod ledger; // one slot, one job: two schedulers, deaths at every instant
mod overlap; // a slot is due while an earlier run is active
mod pending; // triggers by rows and bytes
mod tick; // a kind that does as it is told
mod town; // a world with a scheduler
