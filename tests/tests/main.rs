//! One integration-test crate: each further one would link RocksDB and DataFusion again.

mod kit; // a server as a child process, and what tests do to it

mod architecture; // who may depend on whom
mod attach; // the data directory is lost, and the bucket is not
mod clients; // sqlx and psycopg
mod cloud; // storages in real services for S3 and Azure
mod demo; // the demo where there is no network
mod engine_powercut; // the engine alone: synced is there, and no hole
mod fulldisk; // no room, for the hot tier and for a storage
mod hygiene; // what must not be written anywhere
mod kill; // KILL JOB in the middle of a giant user
mod kit_holds; // the kit sees the mistakes that it is there to see
mod matrix; // a crash at every point of a flush, by kill -9 and by power cut
mod planted; // known bugs, planted, are caught
mod powercut; // the power cut takes what was not synced, and nothing else
mod reads; // counts and joins while flushes run
mod recipes; // what docs/storages.md says to do
mod refusals; // bad input, one by one
mod remotes; // storages alone, over real servers and a bad network
mod serve; // the server as a person meets it: rows in, files out, killed in between
mod services; // servers for S3 and Azure, and the proxy before them, are what tests take them for
