//! Does it hold: black-box tests of the whole, in `tests/`, and what their child processes are made of.

pub mod doomed; // an environment that dies at a named point
pub mod rows; // what the engine alone is given to write
