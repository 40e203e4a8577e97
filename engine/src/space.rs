//! Spaces: the named, separate key ranges of one engine.

/// A named, separate range of keys. Its keys are ordered bytewise; one commit may write to many spaces.
///
/// Spaces are fixed when the engine is opened, and declared as constants by the crate that owns them:
///
/// ```
/// use ebbtide_engine::{Cache, Space};
/// pub const WATERMARKS: Space = Space { name: "watermarks", cache: Cache::Shared };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Space {
    /// The name on disk. Never change it: the bytes are found by it.
    pub name: &'static str,
    /// Which cache its blocks use.
    pub cache: Cache,
}

/// Which block cache a space uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cache {
    /// The cache that all spaces share.
    Shared,
    /// The shared one, for gets alone: scans of this space read much and once, and leave nothing in it.
    SharedUnscanned,
    /// The cache kept for jobs, so that scans of rows never push out what `system.jobs` reads.
    Jobs,
}
