//! The whole of it on a database in a temporary folder: what users see, told as scripts.

mod copy;
mod jobs;
mod looking;
mod prepared;
mod reading;
mod refusing;
mod script;
mod secrets;
mod storages;
mod system;
mod users;
mod users_jobs;
mod workflows;
mod writing;
