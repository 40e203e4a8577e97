//! Who may ask: the PostgreSQL wire protocol and the `ebbtide` command.
//!
//! The server holds no data and no rule about it: it turns messages into statements for `ebbtide_sql`, and its
//! answers into messages.

pub mod wire; // sessions over TCP: messages in, rows and errors out

pub mod observe; // log, numbers, spans

mod keys; // what seals credentials at rest

pub mod open; // a database from its settings, and its orderly end

pub mod cli; // serve, sql, flush, demo, config check

mod bench; // ebbtide bench: figures of this machine
