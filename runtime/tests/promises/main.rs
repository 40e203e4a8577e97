//! What the runtime promises, each promise with a test that would fail without it.

#![expect(clippy::unwrap_used, reason = "in a test, a panic with the error is the answer")]

mod cancel; // pending and running jobs stop, and stay cancelled
mod chaos; // processes killed, tasks held past their lease
mod crash; // every crash point: resumed, effects once
mod explain; // why a job stands where it stands
mod faults; // an engine that cannot read for a while
mod fencing; // a stale claim commits nothing
mod follow_up; // what was asked for meanwhile starts afterwards
mod gate; // a task held at a point of the program
mod history; // transitions form a legal path, counters equal a recount
mod kill; // at every instant: cancelled or completed
mod listing; // newest first, by status, by scope, in pages
mod metrics; // what is measured
mod parked; // what cannot be loaded is set aside
mod pause; // held back, and let go on
mod progress; // live numbers, CPU and memory
mod recovery; // what a start finds and reports
mod retry; // tries, backoff, failure
mod script; // a workflow that does as it is told
mod shutdown; // checkpoints, releases, time limit
mod stopped; // SIGSTOP past a lease, and on
mod stored_forms; // old bodies still load
mod timeout; // how long a job may run
mod unique; // one active job per key
mod world; // an engine, and runtimes on it
