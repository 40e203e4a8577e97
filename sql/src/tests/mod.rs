//! The whole of it on a database in a temporary folder: what users see, told as scripts.

mod copy;
mod prepared;
mod reading;
mod refusing;
mod script;
mod system;
mod writing;
