//! The name of one segment's object: when its job was cut, and what sets it apart from the others of that second.

use std::fmt;

use chrono::{DateTime, NaiveDateTime};

/// `2026-11-22T10-00-00[-p0002][-a3][-r1].parquet`, in parts.
///
/// Two names are equal only if all four parts are: nothing is ever written twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName {
    /// The job's file timestamp in whole seconds since 1970, UTC.
    pub stamp_secs: i64,
    /// Which part of the user's rows, from 1. The first has no suffix.
    pub part: u32,
    /// The epoch of the claim that writes it. The first claim, 1, has no suffix.
    pub epoch: u64,
    /// How many uploads of this part failed under this claim. The first try, 0, has no suffix.
    pub retry: u32,
}

const FORMAT: &str = "%Y-%m-%dT%H-%M-%S";
const EXTENSION: &str = ".parquet";

/// The name as text; see [`FileName`].
///
/// ```
/// use ebbtide_store::path::file_name;
///
/// assert_eq!(file_name(1_795_341_600, 1, 1, 0), "2026-11-22T10-00-00.parquet");
/// assert_eq!(file_name(1_795_341_600, 2, 3, 1), "2026-11-22T10-00-00-p0002-a3-r1.parquet");
/// ```
pub fn file_name(stamp_secs: i64, part: u32, epoch: u64, retry: u32) -> String {
    FileName { stamp_secs, part, epoch, retry }.to_string()
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.stamp_secs, 0) {
            Some(time) => write!(f, "{}", time.format(FORMAT))?,
            // No clock says this. It is still a name of its own.
            None => write!(f, "@{}", self.stamp_secs)?,
        }
        if self.part != 1 {
            write!(f, "-p{:04}", self.part)?;
        }
        if self.epoch != 1 {
            write!(f, "-a{}", self.epoch)?;
        }
        if self.retry != 0 {
            write!(f, "-r{}", self.retry)?;
        }
        f.write_str(EXTENSION)
    }
}

impl FileName {
    /// Reads a name back, or tells that it is none of ours: such a file is left alone.
    pub fn parse(name: &str) -> Option<FileName> {
        let stem = name.strip_suffix(EXTENSION)?;
        // The year may have more digits or a sign, the rest of a stamp is as long as this.
        let stamp_end = stem.find('T')? + "T00-00-00".len();
        let (stamp, mut rest) = stem.split_at_checked(stamp_end)?;
        let stamp_secs = NaiveDateTime::parse_from_str(stamp, FORMAT).ok()?.and_utc().timestamp();
        let mut suffix = |mark: &str| -> Option<Option<u64>> {
            let Some(after) = rest.strip_prefix(mark) else {
                return Some(None);
            };
            let end = after.find('-').unwrap_or(after.len());
            rest = &after[end..];
            after[..end].parse().ok().map(Some)
        };
        let part = u32::try_from(suffix("-p")?.unwrap_or(1)).ok()?;
        let epoch = suffix("-a")?.unwrap_or(1);
        let retry = u32::try_from(suffix("-r")?.unwrap_or(0)).ok()?;
        let read = FileName { stamp_secs, part, epoch, retry };
        (read.to_string() == name).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_differs_from_a_first_try_is_in_the_name() {
        assert_eq!(file_name(0, 1, 1, 0), "1970-01-01T00-00-00.parquet");
        assert_eq!(file_name(0, 2, 1, 0), "1970-01-01T00-00-00-p0002.parquet");
        assert_eq!(file_name(0, 12_345, 1, 0), "1970-01-01T00-00-00-p12345.parquet");
        assert_eq!(file_name(0, 1, 2, 0), "1970-01-01T00-00-00-a2.parquet");
        assert_eq!(file_name(0, 1, 1, 4), "1970-01-01T00-00-00-r4.parquet");
        assert_eq!(file_name(i64::MAX, 1, 1, 0), "@9223372036854775807.parquet");
    }

    #[test]
    fn foreign_names_are_not_ours() {
        for name in [
            "2026-11-22T10-00-00",
            "2026-11-22T10:00:00.parquet",
            "2026-11-22T10-00-00-p1.parquet",
            "2026-11-22T10-00-00-p0001.parquet",
            "2026-11-22T10-00-00-r1-a2.parquet",
            "2026-11-22T10-00-00-x.parquet",
            "2026-13-22T10-00-00.parquet",
            "2026-11-22T10-00-00é.parquet",
            "T.parquet",
            "batch-0.parquet",
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back(stamp_secs in -62_135_596_800i64..253_402_300_800, part: u32, epoch: u64, retry: u32) {
            let name = FileName { stamp_secs, part, epoch, retry };
            prop_assert_eq!(FileName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn two_names_are_equal_only_if_all_parts_are(
            a in (any::<i64>(), 0u32..3, 0u64..3, 0u32..3),
            b in (any::<i64>(), 0u32..3, 0u64..3, 0u32..3),
        ) {
            prop_assert_eq!(a == b, file_name(a.0, a.1, a.2, a.3) == file_name(b.0, b.1, b.2, b.3));
        }

        #[test]
        fn any_text_may_be_asked_about(name in ".*") {
            let _ = FileName::parse(&name);
        }
    }
}
