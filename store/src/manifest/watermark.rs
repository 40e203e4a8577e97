//! Up to where a user's rows are in segments.

use crate::{Error, Seq, TableId, UserId, WATERMARKS, keys};
use ebbtide_engine::{Expect, Expected, Snapshot, Write};

/// A user's watermark as it was read: every row with `seq` at or below it is in a segment, every later one is hot.
///
/// Stored as 16 bytes, `seq` and `erase_generation`, u64 BE: it is read once per user and scan, and commits compare
/// it byte by byte. A user without one stands at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    table: TableId,
    user: UserId,
    /// Where hot begins, exclusive.
    pub seq: Seq,
    /// Raised whenever rows of this user are erased, so that a flush which read them before cannot bring them back.
    pub erase_generation: u64,
    /// As stored; none if it was not.
    raw: Option<[u8; 16]>,
}

/// Reads a user's watermark.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn watermark(snapshot: &dyn Snapshot, table: TableId, user: &UserId) -> Result<Watermark, Error> {
    let stored = snapshot.get(WATERMARKS, &keys::user(table, user))?;
    let raw = stored.map(|value| checked(&value, table, user)).transpose()?;
    let bits = raw.map_or(0, u128::from_be_bytes);
    let (seq, erase_generation) = ((bits >> 64) as u64, bits as u64);
    Ok(Watermark { table, user: user.clone(), seq, erase_generation, raw })
}

/// The seq of a watermark as it is stored.
///
/// # Errors
/// [`Error::Corrupt`].
pub(crate) fn watermark_seq(stored: &[u8], table: TableId, user: &UserId) -> Result<Seq, Error> {
    Ok((u128::from_be_bytes(checked(stored, table, user)?) >> 64) as u64)
}

fn checked(stored: &[u8], table: TableId, user: &UserId) -> Result<[u8; 16], Error> {
    stored.try_into().map_err(|_| {
        let (user, bytes) = (user.as_str(), stored.len());
        Error::corrupt(format!("the watermark of user {user:?}, table {table}, has {bytes} bytes"))
    })
}

impl Watermark {
    /// Whose it is.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Of which table.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// Expects it to be as it was read: nobody else moved rows of this user, and none were erased.
    pub fn expect(&self) -> Expect {
        let value = self.raw.map_or(Expected::Absent, |raw| Expected::Equals(raw.to_vec()));
        Expect { space: WATERMARKS, key: keys::user(self.table, &self.user), value }
    }

    /// This watermark once a commit has raised it to `seq`: what the next part of the same user expects.
    pub fn at(&self, seq: Seq) -> Self {
        let bits = u128::from(seq) << 64 | u128::from(self.erase_generation);
        Self { seq, raw: Some(bits.to_be_bytes()), ..self.clone() }
    }

    /// Whether there is one. Whoever had a row in a segment, or was erased, has one for ever.
    pub fn is_stored(&self) -> bool {
        self.raw.is_some()
    }

    /// The write by which the rows up to `seq` are erased: the next generation, so that whoever has read them is refused, and
    /// raised, so that nobody reads them again.
    pub(crate) fn erased(&self, seq: Seq) -> Write {
        let bits = u128::from(seq.max(self.seq)) << 64 | u128::from(self.erase_generation.saturating_add(1));
        Write::put(WATERMARKS, keys::user(self.table, &self.user), bits.to_be_bytes())
    }

    /// Raises it. A watermark never falls: a lower `seq` leaves it where it is.
    pub(crate) fn raised(&self, seq: Seq) -> Write {
        debug_assert!(seq >= self.seq, "the watermark of {:?} would fall from {} to {seq}", self.user, self.seq);
        let bits = u128::from(seq.max(self.seq)) << 64 | u128::from(self.erase_generation);
        let value = bits.to_be_bytes().to_vec();
        Write::Put { space: WATERMARKS, key: keys::user(self.table, &self.user), value }
    }
}
