//! What tests are made with: a real server in a process of its own, and the ways to hurt it.
//!
//! ```text
//! let place = Place::new();                        a temporary folder
//! let mut server = place.start().await;            listens on a free port
//! let ana = server.connect("ana").await;
//! server.kill().await;                             kill -9
//! let server = place.start_with(&Plan::default().crash_at("flush.writing.uploaded", 1)).await;
//! ```

pub(crate) mod azurite; // a server for Azure's blobs
pub(crate) mod cloud; // where a service for objects is, and what others find there
pub(crate) mod fulldisk; // no room for what is written
pub(crate) mod http; // messages, passed on as they came
pub(crate) mod leash; // a program that ends with the test
pub(crate) mod ledger; // what was acknowledged, so what has to be there
pub(crate) mod notes; // a table, its writers, its flushes
pub(crate) mod output; // the lines of a process, awaited
pub(crate) mod ports; // ports that outlive a server
pub(crate) mod powercut; // what was not synced is lost
pub(crate) mod proxy; // spoils what passes between a client and a service
pub(crate) mod python; // readers that are not ours
pub(crate) mod raw; // a client that says what no driver would
pub(crate) mod ready; // servers that are asked until they answer
pub(crate) mod rows; // answers as text, compared
pub(crate) mod seaweed; // a server for S3
pub(crate) mod server; // the server as a child process
pub(crate) mod shim; // libraries in C, loaded before a process's own

pub(crate) use server::{Place, Plan, Server};

use std::time::Duration;

/// How long anything may take that is waited for. Only a broken test gets there; it is no pause.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
