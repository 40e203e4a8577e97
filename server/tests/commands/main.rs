//! The `ebbtide` command as a person or a script meets it: processes, their output and their exit codes.

#![allow(clippy::unwrap_used, reason = "a test may, and its helpers are part of it")]

mod jobs; // ebbtide jobs
mod kit; // a server and commands in processes of their own
mod observed; // numbers and spans
mod reload; // SIGHUP
mod workflows; // ebbtide workflows
