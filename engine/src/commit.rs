//! A commit: what must hold, what is written, how durable it is, and what comes back.

use crate::{KeyRange, Packed, Space};
use std::ops::RangeInclusive;

/// What must hold, and what is written if it does: all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// What must hold when this commit's turn comes, after all earlier commits.
    pub expect: Vec<Expect>,
    /// What is written, in this order: a later write to a key wins over an earlier one.
    pub writes: Vec<Write>,
    /// Whether the answer waits for the disk.
    pub sync: Sync,
}

/// How durable a commit is when it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sync {
    /// It survives a power cut, and so does every commit before it. Without writes it is a barrier: it makes those before it durable.
    #[default]
    Synced,
    /// It survives the death of the process. A power cut may lose it, together with everything after it and nothing before it.
    Unsynced,
}

/// One thing that must hold for a commit to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Where the key lives.
    pub space: Space,
    /// The key.
    pub key: Vec<u8>,
    /// What its value must be.
    pub value: Expected,
}

/// What the value of an expected key must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The key must not be there.
    Absent,
    /// The key must be there, with any value.
    Present,
    /// The key must be there with exactly this value.
    Equals(Vec<u8>),
}

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key to a value.
    Put {
        /// Where the key lives.
        space: Space,
        /// The key.
        key: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Sets a key if it is not there when the write's turn comes; otherwise does nothing.
    PutIfAbsent {
        /// Where the key lives.
        space: Space,
        /// The key.
        key: Vec<u8>,
        /// The value that it gets if it has none.
        value: Vec<u8>,
    },
    /// Removes a key; it need not be there.
    Delete {
        /// Where the key lives.
        space: Space,
        /// The key.
        key: Vec<u8>,
    },
    /// Removes a key if it has exactly this value when the write's turn comes; otherwise does nothing.
    DeleteIf {
        /// Where the key lives.
        space: Space,
        /// The key.
        key: Vec<u8>,
        /// The value that it must have to be removed.
        value: Vec<u8>,
    },
    /// Removes all keys of a range. An empty range removes nothing.
    DeleteRange {
        /// Where the keys live.
        space: Space,
        /// The keys.
        range: KeyRange,
    },
    /// Adds to a counter: 8 bytes, `i64` little endian, an absent one is 0. It stays at the limits rather than wrap around. Read it with [`counter`].
    Add {
        /// Where the counter lives.
        space: Space,
        /// Its key.
        key: Vec<u8>,
        /// What to add; may be negative.
        delta: i64,
    },
    /// Appends rows, each under a seq of its own, given out in order.
    ///
    /// Per value: key = `prefix` ++ seq (`u64` big endian), value = commit time (`i64` little endian, microseconds) ++ bytes.
    /// Read a value with [`appended`].
    Append {
        /// Where the rows live.
        space: Space,
        /// What their keys begin with.
        prefix: Vec<u8>,
        /// The rows.
        values: Packed,
    },
    /// Sets a key to the last seq that this commit has given out so far (`u64` big endian).
    /// When it has given out none, nothing is written. Read it with [`stamped`].
    StampSeq {
        /// Where the key lives.
        space: Space,
        /// The key.
        key: Vec<u8>,
    },
}

/// What a commit was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The seqs of its rows, in the order of its writes and without a gap; `None` when it appended none.
    pub seqs: Option<RangeInclusive<u64>>,
    /// When it was committed (microseconds since the Unix epoch): never less than that of any earlier commit with rows.
    pub committed_at: i64,
}

impl Expect {
    /// `key` must not be there.
    pub fn absent(space: Space, key: impl Into<Vec<u8>>) -> Expect {
        Expect { space, key: key.into(), value: Expected::Absent }
    }

    /// `key` must be there, with any value.
    pub fn present(space: Space, key: impl Into<Vec<u8>>) -> Expect {
        Expect { space, key: key.into(), value: Expected::Present }
    }

    /// `key` must be there with exactly this value.
    pub fn equals(space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Expect {
        Expect { space, key: key.into(), value: Expected::Equals(value.into()) }
    }

    /// `key` must be as it was read: equal to `value`, or absent when that is `None`.
    pub fn as_read(space: Space, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> Expect {
        Expect { space, key: key.into(), value: value.map_or(Expected::Absent, Expected::Equals) }
    }
}

impl Expected {
    /// Whether a key with this value is as expected.
    pub fn holds(&self, value: Option<&[u8]>) -> bool {
        match self {
            Expected::Absent => value.is_none(),
            Expected::Present => value.is_some(),
            Expected::Equals(expected) => value == Some(expected.as_slice()),
        }
    }
}

impl Write {
    /// Sets `key` to `value`.
    pub fn put(space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Write {
        Write::Put { space, key: key.into(), value: value.into() }
    }

    /// Sets `key` to `value` if it is not there.
    pub fn put_if_absent(space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Write {
        Write::PutIfAbsent { space, key: key.into(), value: value.into() }
    }

    /// Removes `key`.
    pub fn delete(space: Space, key: impl Into<Vec<u8>>) -> Write {
        Write::Delete { space, key: key.into() }
    }

    /// Removes `key` if it has this value.
    pub fn delete_if(space: Space, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Write {
        Write::DeleteIf { space, key: key.into(), value: value.into() }
    }

    /// Removes all keys of `range`.
    pub fn delete_range(space: Space, range: KeyRange) -> Write {
        Write::DeleteRange { space, range }
    }

    /// Adds `delta` to the counter at `key`.
    pub fn add(space: Space, key: impl Into<Vec<u8>>, delta: i64) -> Write {
        Write::Add { space, key: key.into(), delta }
    }

    /// Appends `values` as rows under `prefix`.
    pub fn append(space: Space, prefix: impl Into<Vec<u8>>, values: Packed) -> Write {
        Write::Append { space, prefix: prefix.into(), values }
    }

    /// Sets `key` to the last seq that the commit has given out so far.
    pub fn stamp_seq(space: Space, key: impl Into<Vec<u8>>) -> Write {
        Write::StampSeq { space, key: key.into() }
    }

    /// The space that is written to.
    pub fn space(&self) -> Space {
        match self {
            Write::Put { space, .. }
            | Write::PutIfAbsent { space, .. }
            | Write::Delete { space, .. }
            | Write::DeleteIf { space, .. }
            | Write::DeleteRange { space, .. }
            | Write::Add { space, .. }
            | Write::Append { space, .. }
            | Write::StampSeq { space, .. } => *space,
        }
    }
}

/// The value of a counter that [`Write::Add`] keeps. Whatever is not 8 bytes long counts as 0, as an absent one does.
///
/// ```
/// assert_eq!(ebbtide_engine::counter(&(-3i64).to_le_bytes()), -3);
/// assert_eq!(ebbtide_engine::counter(&[]), 0);
/// ```
pub fn counter(value: &[u8]) -> i64 {
    value.try_into().map_or(0, i64::from_le_bytes)
}

/// The seq that [`Write::StampSeq`] wrote; `None` when the value is not 8 bytes long.
pub fn stamped(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// The commit time and the bytes of a row that [`Write::Append`] wrote; `None` when the value is too short to be one.
pub fn appended(value: &[u8]) -> Option<(i64, &[u8])> {
    let (committed_at, bytes) = value.split_first_chunk::<8>()?;
    Some((i64::from_le_bytes(*committed_at), bytes))
}
