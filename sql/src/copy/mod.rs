//! COPY … FROM STDIN: data in, lines cut, values parsed, chunks committed one after the other.
//!
//! ```text
//! push() ─► Splitter ─► chunk of whole lines ─┐ bounded channel
//!                                             ▼
//!                              worker: parse chunk n + 1 (blocking thread)
//!                                      while chunk n commits
//! ```
//!
//! Each chunk is one commit, so a COPY of any size needs bounded memory, and an error says how many rows stayed.
//! Inside a transaction the rows join its other writes instead, within its bound.

mod parse; // a chunk's lines into rows
mod sink; // what the caller pushes into
mod split; // where lines end
mod unescape; // one line into its values
mod worker; // chunks parsed and committed

pub use sink::CopySink;
