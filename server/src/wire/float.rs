//! Floating point numbers as PostgreSQL writes them: the fewest digits that read back as the same number.

use std::fmt::{LowerExp, Write};

/// From this power of ten on a number is written with an exponent.
const REAL_EXPONENT_FROM: i32 = 6;
const DOUBLE_EXPONENT_FROM: i32 = 15;
/// Below this power of ten as well.
const EXPONENT_BELOW: i32 = -4;

/// Writes a REAL.
pub(crate) fn real_text(number: f32, out: &mut String) {
    if number.is_finite() { finite(number, REAL_EXPONENT_FROM, out) } else { special(number.into(), out) }
}

/// Writes a DOUBLE.
pub(crate) fn double_text(number: f64, out: &mut String) {
    if number.is_finite() { finite(number, DOUBLE_EXPONENT_FROM, out) } else { special(number, out) }
}

fn special(number: f64, out: &mut String) {
    out.push_str(match number {
        number if number.is_nan() => "NaN",
        number if number > 0.0 => "Infinity",
        _ => "-Infinity",
    });
}

fn finite(number: impl LowerExp, exponent_from: i32, out: &mut String) {
    // Rust gives the shortest digits, always as `d.ddde-5`; only the layout differs.
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("a number in scientific notation has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a whole number");
    let mantissa = match mantissa.strip_prefix('-') {
        Some(mantissa) => {
            out.push('-');
            mantissa
        }
        None => mantissa,
    };
    if !(EXPONENT_BELOW..exponent_from).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let written = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
        return written.expect("a String takes everything that is written to it");
    }
    let digits: String = mantissa.chars().filter(|letter| *letter != '.').collect();
    match usize::try_from(exponent) {
        Ok(exponent) => {
            let whole = exponent + 1;
            out.push_str(&digits[..whole.min(digits.len())]);
            out.extend(std::iter::repeat_n('0', whole.saturating_sub(digits.len())));
            if digits.len() > whole {
                out.push('.');
                out.push_str(&digits[whole..]);
            }
        }
        Err(_) => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
            out.push_str(&digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(number: f64) -> String {
        let mut out = String::new();
        double_text(number, &mut out);
        out
    }

    fn real(number: f32) -> String {
        let mut out = String::new();
        real_text(number, &mut out);
        out
    }

    #[test]
    fn doubles_are_written_as_psql_shows_them() {
        let pairs = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (100.0, "100"),
            (123.456, "123.456"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, text) in pairs {
            assert_eq!(double(number), text);
        }
    }

    #[test]
    fn reals_have_their_own_digits_and_bound() {
        for (number, text) in [(0.1, "0.1"), (100_000.0, "100000"), (1e6, "1e+06"), (f32::NAN, "NaN")] {
            assert_eq!(real(number), text);
        }
    }

    #[test]
    fn every_text_reads_back_as_the_same_number() {
        for number in [1.0 / 3.0, 2.0_f64.powi(70), f64::MIN_POSITIVE, f64::MAX, 5e-324, -123.000_1] {
            assert_eq!(double(number).parse(), Ok(number));
        }
    }
}
