//! File timestamps: what names a flush's files, and which cut it was taken with.
//!
//! Kept per `namespace.table` name and through DROP, because files are found by that name: a table made again must
//! not name its first file as the old one's last.

use crate::{CATALOG, Error, Name, Seq, catalog};
use ebbtide_engine::{Expect, KeyRange, Order, Snapshot, Write};
use std::sync::Arc;

/// A record: the timestamp, i64 BE, and the cut of that flush, u64 BE.
type Record = [u8; 16];

/// The file timestamp for a flush that cuts at `cut` now (`now`: microseconds since the Unix epoch): whole seconds,
/// strictly greater than the last one of this name, whatever the clock says. What comes with it belongs into the
/// commit that fixes the cut.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub fn file_stamp(
    snapshot: &dyn Snapshot,
    namespace: &Name,
    table: &Name,
    now: i64,
    cut: Seq,
) -> Result<(i64, Expect, Write), Error> {
    let key = catalog::file_stamp(namespace, table);
    let raw = snapshot.get(CATALOG, &key)?;
    let (last_stamp, last_cut) = match &raw {
        Some(record) => parse(record)?,
        None => (i64::MIN, 0),
    };
    let stamp = now.div_euclid(1_000_000).max(last_stamp.saturating_add(1));
    let expect = Expect::as_read(CATALOG, key.clone(), raw);
    Ok((stamp, expect, Write::put(CATALOG, key, record(stamp, cut.max(last_cut)))))
}

/// Has every file timestamp of this name be greater than `stamp` from now on, and every seq above `cut`.
///
/// # Errors
/// The engine's, and [`Error::Corrupt`].
pub(crate) fn raise_stamp(
    snapshot: &dyn Snapshot,
    namespace: &Name,
    table: &Name,
    stamp: i64,
    cut: Seq,
) -> Result<(Expect, Write), Error> {
    let key = catalog::file_stamp(namespace, table);
    let raw = snapshot.get(CATALOG, &key)?;
    let (last_stamp, last_cut) = raw.as_deref().map_or(Ok((i64::MIN, 0)), parse)?;
    let value = record(stamp.max(last_stamp), cut.max(last_cut));
    Ok((Expect::as_read(CATALOG, key.clone(), raw), Write::put(CATALOG, key, value)))
}

fn record(stamp: i64, cut: Seq) -> Record {
    (u128::from(stamp.cast_unsigned()) << 64 | u128::from(cut)).to_be_bytes()
}

/// The highest cut of any flush of any table there ever was. No watermark is above it, and there is one record per
/// table, not per user, so opening a database need not look at every user.
pub(crate) fn cuts_max(snapshot: &Arc<dyn Snapshot>) -> Result<Seq, Error> {
    let range = KeyRange::prefix(catalog::FILE_STAMPS);
    let mut cursor = snapshot.clone().scan(CATALOG, range, Order::Ascending)?;
    let mut max = 0;
    while let Some((_, record)) = cursor.next()? {
        max = max.max(parse(record)?.1);
    }
    Ok(max)
}

fn parse(record: &[u8]) -> Result<(i64, Seq), Error> {
    let record: Record = record
        .try_into()
        .map_err(|_| Error::corrupt(format!("a file timestamp's record of {} bytes", record.len())))?;
    let bits = u128::from_be_bytes(record);
    Ok((((bits >> 64) as u64).cast_signed(), bits as u64))
}
