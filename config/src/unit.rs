//! Sizes such as `64 MiB` and durations such as `1h 30m`, read and shown.

use std::time::Duration;

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a size: a whole number of bytes, or one with a unit (`64 MiB`, `1GB`).
///
/// ```
/// assert_eq!(ebbtide_config::parse_bytes("64 MiB"), Ok(64 << 20));
/// assert!(ebbtide_config::parse_bytes("64M").is_err());
/// ```
///
/// # Errors
/// A sentence that says how a size is written.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let teach = || {
        format!(
            "\"{text}\" is not a size: write a whole number with a unit, such as \"64 MiB\" (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)"
        )
    };
    let trimmed = text.trim();
    let digits_end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(digits_end);
    let number: u64 = digits.parse().map_err(|_| teach())?;
    let unit = unit.trim();
    let scale = if unit.is_empty() {
        1
    } else {
        SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, scale)| *scale).ok_or_else(teach)?
    };
    number.checked_mul(scale).ok_or_else(|| format!("\"{text}\" is more than 16 EiB"))
}

/// Shows a size in the largest binary unit that leaves a whole number.
///
/// ```
/// assert_eq!(ebbtide_config::show_bytes(64 << 20), "64 MiB");
/// assert_eq!(ebbtide_config::show_bytes(1500), "1500 B");
/// ```
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    SIZES
        .iter()
        .filter(|(name, _)| name.ends_with("iB"))
        .find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale))
        .map_or_else(|| format!("{bytes} B"), |(name, scale)| format!("{} {name}", bytes / scale))
}

/// Reads a duration: whole numbers with units, largest first or not (`60s`, `1h 30m`, `250ms`).
///
/// A bare number is refused, as nobody can see whether it means seconds or milliseconds.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(ebbtide_config::parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
/// assert!(ebbtide_config::parse_duration("60").is_err());
/// ```
///
/// # Errors
/// A sentence that says how a duration is written.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let teach = || {
        format!(
            "\"{text}\" is not a duration: write whole numbers with units, such as \"60s\" or \"1h 30m\" (d, h, m, s, ms)"
        )
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(teach());
    }
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits_end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(teach)?;
        let (digits, after) = rest.split_at(digits_end);
        let number: u64 = digits.parse().map_err(|_| teach())?;
        let after = after.trim_start();
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale = TIMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, scale)| *scale)
            .ok_or_else(teach)?;
        millis = number
            .checked_mul(scale)
            .and_then(|part| millis.checked_add(part))
            .ok_or_else(|| format!("\"{text}\" is longer than time goes"))?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(millis))
}

/// Shows a duration in the largest unit that leaves a whole number.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(ebbtide_config::show_duration(Duration::from_secs(300)), "5m");
/// ```
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    TIMES
        .iter()
        .find(|(_, scale)| millis != 0 && millis.is_multiple_of(u128::from(*scale)))
        .map_or_else(|| format!("{millis}ms"), |(name, scale)| format!("{}{name}", millis / u128::from(*scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_show() {
        let cases: [(&str, u64, &str); 9] = [
            ("0", 0, "0 B"),
            ("1", 1, "1 B"),
            ("4096", 4096, "4 KiB"),
            ("64 MiB", 64 << 20, "64 MiB"),
            ("64MiB", 64 << 20, "64 MiB"),
            ("  64 mib ", 64 << 20, "64 MiB"),
            ("3 GiB", 3 << 30, "3 GiB"),
            ("1 MB", 1_000_000, "1000000 B"),
            ("16777215 TiB", 16_777_215 << 40, "16777215 TiB"),
        ];
        for (text, bytes, shown) in cases {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
            assert_eq!(show_bytes(bytes), shown, "{text}");
        }
        for text in ["", "MiB", "64M", "1.5 GiB", "-1 B", "64 MiB 2", "16777216 TiB"] {
            assert!(parse_bytes(text).is_err(), "{text} is no size");
        }
    }

    #[test]
    fn durations_read_and_show() {
        let cases = [
            ("60s", 60_000, "1m"),
            ("60 s", 60_000, "1m"),
            ("1h 30m", 5_400_000, "90m"),
            ("1h30m", 5_400_000, "90m"),
            ("250ms", 250, "250ms"),
            ("1D", 86_400_000, "1d"),
            ("0s", 0, "0ms"),
        ];
        for (text, millis, shown) in cases {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
            assert_eq!(show_duration(duration), shown, "{text}");
        }
        for text in ["", "60", "s", "1.5s", "-1s", "1y", "5 minutes", "999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text} is no duration");
        }
    }
}
