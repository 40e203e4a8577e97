//! File timestamps: what names a flush's files, and which cut it was taken with.
//!
//! Kept per `namespace.table` name and through DROP, because files are found by that name: a table made again must
//! not name its first file as the old one's last.

use crate::{CATALOG, Error, Name, Seq, catalog};
use ebbtide_engine::{Expect, Expected, KeyRange, Order, Snapshot, Write};
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
    let record = u128::from(stamp.cast_unsigned()) << 64 | u128::from(cut.max(last_cut));
    let value = raw.map_or(Expected::Absent, Expected::Equals);
    let expect = Expect { space: CATALOG, key: key.clone(), value };
    Ok((stamp, expect, Write::Put { space: CATALOG, key, value: record.to_be_bytes().to_vec() }))
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
