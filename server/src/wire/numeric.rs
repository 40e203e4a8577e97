//! Exact numbers as PostgreSQL's NUMERIC, in text and in binary: of all 38 digits that a DECIMAL may have.

use std::fmt::Write;

/// Groups of four decimal digits are the unit of the binary form.
const GROUP_DIGITS: usize = 4;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// A number given as the text of its unscaled integer (`-12345`) and the count of digits after the point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numeric<'a> {
    negative: bool,
    digits: &'a str,
    scale: i8,
}

impl<'a> Numeric<'a> {
    /// The number whose unscaled integer is written in `unscaled`.
    pub(crate) fn new(unscaled: &'a str, scale: i8) -> Self {
        let (negative, digits) = match unscaled.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, unscaled),
        };
        Self { negative, digits, scale }
    }

    /// Writes `-123.45`.
    pub(crate) fn text(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        let (whole, fraction, zeros_before, zeros_after) = self.parts();
        out.push_str(if whole.is_empty() { "0" } else { whole });
        out.extend(std::iter::repeat_n('0', zeros_after));
        if !fraction.is_empty() || zeros_before > 0 {
            out.push('.');
            out.extend(std::iter::repeat_n('0', zeros_before));
            out.push_str(fraction);
        }
    }

    /// Writes the count of groups, the weight of the first, the sign, the digits after the point, and the groups.
    pub(crate) fn binary(&self, out: &mut Vec<u8>) {
        let (whole, fraction, zeros_before, zeros_after) = self.parts();
        let mut whole = whole.to_owned();
        whole.extend(std::iter::repeat_n('0', zeros_after));
        let mut padded = "0".repeat(whole.len().next_multiple_of(GROUP_DIGITS) - whole.len());
        padded.push_str(&whole);
        let whole_groups = padded.len() / GROUP_DIGITS;
        padded.extend(std::iter::repeat_n('0', zeros_before));
        padded.push_str(fraction);
        let padding = padded.len().next_multiple_of(GROUP_DIGITS) - padded.len();
        padded.extend(std::iter::repeat_n('0', padding));

        let groups: Vec<u16> = padded
            .as_bytes()
            .chunks(GROUP_DIGITS)
            .map(|group| group.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
            .collect();
        // Groups of zeros at either end are left out; the weight says where the first one stands.
        let leading = groups.iter().take_while(|group| **group == 0).count();
        let end = groups.len() - groups.iter().rev().take_while(|group| **group == 0).count();
        let kept = groups.get(leading..end).unwrap_or_default();
        let weight = if kept.is_empty() { 0 } else { small(whole_groups) - small(leading) - 1 };
        let sign = if self.negative && !kept.is_empty() { NEGATIVE } else { POSITIVE };

        out.extend_from_slice(&small(kept.len()).to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&i16::from(self.scale.max(0)).to_be_bytes());
        for group in kept {
            out.extend_from_slice(&group.to_be_bytes());
        }
    }

    /// The digits before and after the point, the zeros between the point and the first digit, and the zeros after the last whole digit.
    fn parts(&self) -> (&'a str, &'a str, usize, usize) {
        match usize::try_from(self.scale) {
            Ok(scale) if scale < self.digits.len() => {
                let (whole, fraction) = self.digits.split_at(self.digits.len() - scale);
                (whole, fraction, 0, 0)
            }
            Ok(scale) => ("", self.digits, scale - self.digits.len(), 0),
            Err(_) if self.digits == "0" => ("0", "", 0, 0),
            Err(_) => (self.digits, "", 0, usize::from(self.scale.unsigned_abs())),
        }
    }
}

/// Reads the binary form into text that Arrow can parse; nothing for NaN, the infinities and bytes that are no number.
pub(crate) fn from_binary(bytes: &[u8]) -> Option<String> {
    let mut words = bytes.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    let count = usize::from(words.next()?);
    let weight = i32::from(words.next()?.cast_signed());
    let sign = words.next()?;
    let scale = usize::from(words.next()?);
    let groups: Vec<u16> = words.collect();
    if groups.len() != count
        || !bytes.len().is_multiple_of(2)
        || !matches!(sign, POSITIVE | NEGATIVE)
        || groups.iter().any(|group| *group > 9_999)
    {
        return None;
    }
    let group = |position: i32| {
        usize::try_from(weight - position).ok().and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let mut out = String::from(if sign == NEGATIVE { "-" } else { "" });
    let mut fraction = String::new();
    for position in (0..=weight.max(0)).rev() {
        write!(out, "{:04}", group(position)).ok()?;
    }
    for position in 1..=i32::try_from(scale.div_ceil(GROUP_DIGITS)).ok()? {
        write!(fraction, "{:04}", group(-position)).ok()?;
    }
    fraction.truncate(scale);
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(&fraction);
    }
    Some(out)
}

fn small(count: usize) -> i16 {
    i16::try_from(count).expect("a decimal has few digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unscaled: &str, scale: i8) -> String {
        let mut out = String::new();
        Numeric::new(unscaled, scale).text(&mut out);
        out
    }

    fn binary(unscaled: &str, scale: i8) -> Vec<u8> {
        let mut out = Vec::new();
        Numeric::new(unscaled, scale).binary(&mut out);
        out
    }

    #[test]
    fn texts() {
        assert_eq!(text("12345", 2), "123.45");
        assert_eq!(text("-5", 2), "-0.05");
        assert_eq!(text("5", 1), "0.5");
        assert_eq!(text("0", 2), "0.00");
        assert_eq!(text("7", 0), "7");
        assert_eq!(text("7", -3), "7000");
        assert_eq!(text("0", -3), "0");
        assert_eq!(text(&"9".repeat(38), 10), format!("{}.{}", "9".repeat(28), "9".repeat(10)));
    }

    #[test]
    fn binaries_as_postgresql_sends_them() {
        // SELECT numeric_send(123.45)
        assert_eq!(binary("12345", 2), [0, 2, 0, 0, 0, 0, 0, 2, 0, 123, 0x11, 0x94]);
        // SELECT numeric_send(-0.05)
        assert_eq!(binary("-5", 2), [0, 1, 0xff, 0xff, 0x40, 0, 0, 2, 0x01, 0xf4]);
        // SELECT numeric_send(0.00)
        assert_eq!(binary("0", 2), [0, 0, 0, 0, 0, 0, 0, 2]);
        // SELECT numeric_send(10000)
        assert_eq!(binary("10000", 0), [0, 1, 0, 1, 0, 0, 0, 0, 0, 1]);
        // SELECT numeric_send(0.00001)
        assert_eq!(binary("1", 5), [0, 1, 0xff, 0xfe, 0, 0, 0, 5, 0x03, 0xe8]);
    }

    #[test]
    fn binaries_come_back_as_the_same_number() {
        for (unscaled, scale) in [
            ("12345", 2),
            ("-5", 2),
            ("0", 2),
            ("10000", 0),
            ("1", 5),
            ("-99999999999999999999999999999999999999", 19),
            ("123456789", 9),
        ] {
            let back = from_binary(&binary(unscaled, scale)).expect("a number");
            let (expected, back) = (text(unscaled, scale), back.replacen('-', "", 1));
            assert_eq!(
                expected.trim_start_matches(['-', '0']),
                back.trim_start_matches('0'),
                "{unscaled} with scale {scale}"
            );
        }
        assert_eq!(from_binary(&[0, 0, 0, 0, 0xc0, 0, 0, 0]), None, "NaN");
        assert_eq!(from_binary(&[0, 1, 0, 0, 0, 0, 0, 0]), None, "a group is missing");
        assert_eq!(from_binary(&[]), None);
    }
}
