//! Times, lengths and counts as a reader wants them.

use chrono::{DateTime, SecondsFormat};

/// A point in time, to the second, in UTC.
pub(crate) fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(
        || format!("{micros} microseconds after 1970"),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true).replace('T', " "),
    )
}

/// A length of time with its two greatest units.
pub(crate) fn length(micros: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let seconds = micros.unsigned_abs() / 1_000_000;
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let Some(place) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return format!("{} ms", micros.unsigned_abs() / 1000);
    };
    let (unit, name) = UNITS[place];
    let greatest = format!("{} {name}", seconds / unit);
    match UNITS.get(place + 1) {
        Some((lesser, name)) if seconds % unit >= *lesser => {
            format!("{greatest} {} {name}", seconds % unit / lesser)
        }
        _ => greatest,
    }
}

/// A number of bytes.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if count >= unit {
            let tenths = u128::from(count) * 10 / u128::from(unit);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

/// A count with its noun.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{bytes, counted, length, time};

    #[test]
    fn lengths_show_their_two_greatest_units() {
        let seconds = |count: i64| length(count * 1_000_000);
        assert_eq!(seconds(41), "41 s");
        assert_eq!(seconds(125), "2 min 5 s");
        assert_eq!(seconds(7200), "2 h");
        assert_eq!(seconds(90_061), "1 d 1 h");
        assert_eq!(length(-1500), "1 ms");
    }

    #[test]
    fn times_and_counts_read_well() {
        assert_eq!(time(1_800_000_000_000_000), "2027-01-15 08:00:00Z");
        assert_eq!(bytes(5000), "4.8 KiB");
        assert_eq!(bytes(12), "12 B");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(0, "row"), "0 rows");
    }
}
