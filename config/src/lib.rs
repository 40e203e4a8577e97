//! What is asked: the settings of `ebbtide.toml`, their documentation, defaults and bounds.
//!
//! ```
//! use ebbtide_config::Settings;
//!
//! let no_file = None;
//! let environment = [("EBBTIDE_FLUSH__MEMORY_BYTES_MAX".into(), "128 MiB".into())];
//! let settings = Settings::load(no_file, environment.into_iter())?;
//! assert_eq!(settings.flush.memory_bytes_max, 128 << 20);
//! # Ok::<(), ebbtide_config::Error>(())
//! ```

mod declare; // how one setting is declared: kind, default, bounds
mod error; // what is wrong, and where
mod file; // ebbtide.toml, read with positions
mod list; // every setting with its value, for those who ask what counts
mod load; // file, then environment, then the rules between settings
mod nearest; // "did you mean"
mod render; // the commented ebbtide.toml
mod schema; // what editors complete the file by
mod settings; // every setting, with its documentation
mod unit; // "64 MiB" and "60s"
mod workflow; // [[workflow]]

pub use error::{Error, Place, Problem};
pub use list::Listed;
pub use schema::KindSchema;
pub use settings::{
    Copy, Drain, Engine, Flush, Jobs, Metrics, Query, Secrets, Server, Settings, Shutdown, Storage, Tracing,
    Transaction,
};
pub use unit::{parse_bytes, parse_duration, show_bytes, show_duration};
pub use workflow::{Missed, Overlap, Retry, Trigger, Workflow};
