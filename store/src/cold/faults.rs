//! An object store that fails as a test says. For tests of this crate and of others.
//!
//! Real servers, and a proxy before them, show what the network and a provider do. What they cannot do is fail one chosen
//! request in one chosen way, again and again: that is what this is for.
//!
//! ```text
//! Remote ─► Faulty ─► Memory          or any other store
//!             ▲
//!           Faults                    the test's hand: which operation, which path, which time, which fault
//! ```
//!
//! | part | file | what it does |
//! | --- | --- | --- |
//! | what can fail, and how | `faults.rs` | [`Operation`], [`Fault`] |
//! | the plan | `plan.rs` | [`Faults`], [`Rule`]: a list of rules, or chance; what struck is noted |
//! | the wrapper | `store.rs` | [`Faulty`]: a store whose requests the plan strikes |
//! | a store to wrap | `memory.rs` | [`Memory`], with multipart uploads as S3 has them |
//! | a bucket | `bucket.rs` | [`Bucket`]: all of it as a place that a database reaches by an address, as it does S3 |
//!
//! ```
//! use ebbtide_store::cold::faults::{Bucket, Fault, Operation, Rule};
//!
//! let bucket = Bucket::default();
//! // The second try of ana's part is written, and its answer is lost.
//! bucket.faults().add(Rule::new(Operation::Put, Fault::After).at("/ana/").time(2));
//! ```

use std::time::Duration;

mod bucket;
mod memory;
mod plan;
mod store;
#[cfg(test)]
mod tests;

pub use bucket::Bucket;
pub use memory::Memory;
pub use plan::{Faults, Rule, Struck};
pub use store::Faulty;

/// A request to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// An object in one piece.
    Put,
    /// A multipart upload begins.
    CreateMultipart,
    /// A part of it is sent.
    PutPart,
    /// It becomes an object.
    Complete,
    /// It is given up.
    Abort,
    /// An object, or a range of it, is read.
    Get,
    /// An object is looked up.
    Head,
    /// Objects are listed.
    List,
    /// An object is removed.
    Delete,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Put,
        Self::CreateMultipart,
        Self::PutPart,
        Self::Complete,
        Self::Abort,
        Self::Get,
        Self::Head,
        Self::List,
        Self::Delete,
    ];

    /// Whether it changes what is in the store.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::Head | Self::List)
    }
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection breaks before the request is sent: nothing is done.
    Before,
    /// It is done, and the answer is lost.
    After,
    /// There is no answer in time, and nothing is done.
    Timeout,
    /// There is no answer in time. The request is on its way still: it is done when [`Faults::arrive`] says so.
    Late,
    /// 409: somebody else is at it, or has been.
    Conflict,
    /// 412: what it depends on is not so.
    Precondition,
    /// 503: too many requests.
    Busy,
    /// It is done, after so long.
    Slow(Duration),
    /// A read ends after so many bytes, as if that were all. (One that breaks with an error is caught by every client.)
    Truncated(u64),
    /// A listing ends after so many objects, as if that were all.
    Short(usize),
    /// It is acknowledged and not done.
    Lost,
    /// It is done though the name is taken: the store does not know the condition. No store may do this; whether one is found
    /// out is the question.
    WritesOver,
}

impl Fault {
    /// One of each that a store may have, for tables.
    pub const ALL: [Self; 11] = [
        Self::Before,
        Self::After,
        Self::Timeout,
        Self::Late,
        Self::Conflict,
        Self::Precondition,
        Self::Busy,
        Self::Slow(Duration::from_millis(1)),
        Self::Truncated(1),
        Self::Short(1),
        Self::Lost,
    ];

    /// Whether this operation can fail like this. A store that acknowledges a write and does not do it is no store; that of
    /// a delete is what a stale replica looks like.
    pub fn fits(self, operation: Operation) -> bool {
        match self {
            Self::Before | Self::Timeout | Self::Busy | Self::Slow(_) => true,
            Self::After | Self::Late => operation.writes(),
            Self::Conflict => operation.writes() && operation != Operation::Delete,
            Self::Precondition => matches!(operation, Operation::Put | Operation::Complete),
            Self::Truncated(_) => operation == Operation::Get,
            Self::Short(_) => operation == Operation::List,
            Self::Lost => operation == Operation::Delete,
            Self::WritesOver => operation == Operation::Put,
        }
    }

    /// What the caller is told.
    fn error(self, path: &str) -> object_store::Error {
        let generic = |words: &str| object_store::Error::Generic { store: "Faulty", source: words.into() };
        let path = path.to_owned();
        match self {
            Self::Timeout | Self::Late => generic("error sending request: operation timed out"),
            Self::Conflict => {
                let source = "409 Conflict: <Code>ConditionalRequestConflict</Code>".into();
                object_store::Error::AlreadyExists { path, source }
            }
            Self::Precondition => {
                let source = "412 Precondition Failed: <Code>PreconditionFailed</Code>".into();
                object_store::Error::Precondition { path, source }
            }
            Self::Busy => generic("503 Service Unavailable: <Code>SlowDown</Code><Message>Slow down.</Message>"),
            _ => generic("error sending request: connection reset by peer"),
        }
    }
}
