//! How work survives: durable typed state machines on one ordered key-value engine. Knows no table.
//!
//! A [`Workflow`] is a value that stands in one of its states. [`Workflow::step`] does the work of that state and gives the
//! job back in its next one; the runner commits the new state *together with* everything the step asked to be written, and
//! only then takes the next step. After a crash each unfinished job goes on from its last checkpoint.
//!
//! ```text
//!            submit            claim: epoch + 1           done
//!   (nothing) ────► pending ────────────────► running ────────► completed
//!                     ▲  ▲                    │ │ │ │ │
//!                     │  └─ shutdown, crash ──┘ │ │ │ └───────► failed     attempts or time used up, or not worth another
//!              resume │                         │ │ └─────────► cancelled  by a kill, which ends any other status too
//!                     └──── paused ◄── pause ───┘ └─► retrying             waits for next_run_at, is then claimed again
//!                           parked                                         a body that this program cannot load; looked at
//!                                                                          again at the next start
//! ```
//!
//! What holds, and is tested in this crate:
//!
//! - One transition is one engine commit: row, body, transition, index keys, counters and the step's own effects.
//! - A claim raises the job's epoch and every commit expects the row as this claim last wrote it, so a stale runner's
//!   commit is refused, whatever it is.
//! - A start makes the claims of the node's earlier life void at once; claims of others are judged by time lived, not by a clock.
//! - Memory holds nothing that a restart would miss: the queue and the claims are read back from the engine.
//! - The active (`unique`) key of a job is taken by an absent-key commit and freed in the commit that ends the job.
//!
//! `examples/order.rs` is a whole program with its own states.

// What a job is.
pub mod job; // a job and its transitions as others see them
pub mod kind; // parameters that turn into a job: what a config file declares
pub mod progress; // live numbers between checkpoints
mod retry; // how often and how soon a job is tried again
pub mod signal; // how a running step learns that it should stop
pub mod status; // what the queue thinks of a job
pub mod step; // what a step is given, and the ways it can end
pub mod workflow; // the trait that a kind of job implements

// What is stored.
mod floor; // where new jobs begin
mod held; // the one way by which a stored job changes
mod history; // jobs that are over, by the time they ended
pub mod keys; // spaces and key layouts
pub mod nodes; // who runs jobs
mod record; // what one change of a job writes
mod row; // the stored job row
mod wire; // fields with numbers, so that rows can grow

// What drives it.
mod awake; // time as this process lived it
mod backoff; // how long to wait before trying again
mod claim; // taking a job by raising its epoch
mod cpu; // thread CPU time, summed over polls
mod drive; // step, commit, until done
mod lease; // heartbeats, and claims whose holder stopped beating
mod live; // a claim of this process
pub mod metrics; // what is measured, by name
mod nearest; // "did you mean"
mod overrule; // the end of a claim without its step
mod queue; // when each job is to run next
mod recover; // the start of a node
mod recovery; // what a start found of an earlier life
mod runner; // which job runs now
mod services; // what steps can ask for by type
mod supervisor; // the thread that looks after the jobs
mod waiters; // who wants to hear that a job ended
mod watch; // claims of others, and when they are given up

// What callers use.
mod control; // cancel, retry, wait, idle
mod drain; // the end of a runtime
mod error; // what can go wrong for a caller
pub mod explain; // why a job stands where it stands
pub mod kinds; // what this program can load
mod pause; // holding a job back, and letting it go on
pub mod prune; // removing jobs that ended long ago
pub mod query; // jobs and transitions, from a snapshot
mod runtime; // the handle and its builder
pub mod schedule; // declared workflows, started when they are due
mod submit; // a new job
pub mod upgrade; // jobs that this program could not run

pub mod testing; // deaths at chosen commits, a clock that stands, the path of a job

pub use control::Cancel;
pub use drain::{Drain, Shutdown};
pub use error::Error;
pub use explain::Explanation;
pub use job::{Job, JobId, Transition, Trigger};
pub use keys::SPACES;
pub use kind::{Kind, KindInfo, Start, Starting};
pub use nodes::Node;
pub use pause::Pause;
pub use progress::{Figures, ProgressHandle};
pub use query::{Filter, JobCursor, TransitionCursor};
pub use recovery::Recovery;
pub use retry::Retry;
pub use runtime::{Builder, Options, Runtime};
pub use schedule::{Declared, Missed, Overlap, Scheduler, When};
pub use signal::{Signal, Stop};
pub use status::Status;
pub use step::{BoxError, Step, StepError};
pub use submit::{NewJob, Submitted};
pub use upgrade::Unloadable;
pub use workflow::{Progress, View, Workflow};

/// What [`Workflow::step`] returns, for implementors that do not use the `futures` crate themselves.
pub use futures::future::BoxFuture;

/// The program on the README's page, so that it is one that runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
