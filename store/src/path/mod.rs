//! Where a segment goes, as text: a template, its values made safe, a shard and a file name.
//!
//! Nothing here touches a disk. Every function is pure, so the same job resolves to the same path after any restart.
//!
//! ```
//! use ebbtide_store::path::{FileName, Template, Values, shard};
//!
//! let template = Template::user("{namespace}/users/{tableName}/{shard}/{userId}")?;
//! let strategy = shard::Registry::default().find("alphabetic")?;
//! let folder = template.resolve(&Values {
//!     namespace: "chat",
//!     table_name: "messages",
//!     shard: &strategy.shard("Ann"),
//!     user_id: "Ann",
//! })?;
//! let name = FileName { stamp_secs: 1_795_341_600, part: 1, epoch: 1, retry: 0 };
//! assert_eq!(format!("{folder}/{name}"), "chat/users/messages/a/@41nn/2026-11-22T10-00-00.parquet");
//! # Ok::<(), ebbtide_store::path::Error>(())
//! ```

pub mod escape; // any text as one path component, and back
pub mod shard; // which of a table's shards a user belongs to

mod error;
mod file_name;
mod nearest;
mod overlap;
mod template;

pub use error::Error;
pub use file_name::{FileName, file_name};
pub(crate) use nearest::nearest;
pub use overlap::{Overlap, overlap};
pub use template::{
    EXPORTS, SHARED_TABLES_TEMPLATE_DEFAULT, TEMPLATE_BYTES_MAX, Template, USER_TABLES_TEMPLATE_DEFAULT, Values,
    Variable,
};
