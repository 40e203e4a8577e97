//! Literals and text as numbers.

use super::Problem;
use ebbtide_store::ColumnType;

/// A whole number, as text writes it: no fraction.
pub(super) fn whole(text: &str, column_type: ColumnType) -> Result<i64, Problem> {
    let trimmed = text.trim();
    trimmed.parse().map_err(|_| {
        let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            Problem::range(column_type, trimmed)
        } else {
            Problem::syntax(column_type, text)
        }
    })
}

/// A numeric literal for a whole-number column: a fraction is rounded away from zero at the half, as PostgreSQL does.
pub(super) fn rounded(literal: &str, column_type: ColumnType) -> Result<i64, Problem> {
    if let Ok(number) = literal.parse() {
        return Ok(number);
    }
    let scaled = unscaled(literal, 0).ok_or_else(|| Problem::range(column_type, literal))?;
    i64::try_from(scaled).map_err(|_| Problem::range(column_type, literal))
}

/// A DECIMAL's digits as one whole number, rounded to `scale`.
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Result<i128, Problem> {
    let column_type = ColumnType::Decimal { precision, scale };
    let trimmed = text.trim();
    if !is_number(trimmed) {
        return Err(Problem::syntax(column_type, text));
    }
    unscaled(trimmed, i32::from(scale))
        .filter(|digits| digits.unsigned_abs() < 10u128.pow(u32::from(precision)))
        .ok_or_else(|| Problem::range(column_type, trimmed))
}

/// Whether `text` reads as `[+-]digits[.digits][e[+-]digits]`.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && whole.len() + fraction.len() > 0
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// `number × 10^scale`, rounded half away from zero. `None`: no number, or too large.
fn unscaled(number: &str, scale: i32) -> Option<i128> {
    if !is_number(number) {
        return None;
    }
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // How many of the digits stand before the point once the number is scaled.
    let kept = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(scale);
    let digits = whole.bytes().chain(fraction.bytes()).map(|b| i128::from(b - b'0'));
    let mut value: i128 = 0;
    let mut read: i64 = 0;
    for digit in digits {
        if read < kept {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else if read == kept {
            value = value.checked_add(i128::from(digit >= 5))?;
        }
        read += 1;
    }
    while read < kept && value != 0 {
        value = value.checked_mul(10)?;
        read += 1;
    }
    Some(if negative { -value } else { value })
}

/// A floating-point number; PostgreSQL's names for the special ones are read too.
pub(super) fn double(text: &str, column_type: ColumnType) -> Result<f64, Problem> {
    let trimmed = text.trim();
    let value: f64 = trimmed.parse().map_err(|_| Problem::syntax(column_type, text))?;
    let narrowed = if column_type == ColumnType::Real { f64::from(value as f32) } else { value };
    if narrowed.is_infinite() && trimmed.bytes().any(|b| b.is_ascii_digit()) {
        return Err(Problem::range(column_type, trimmed));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_scaled_and_rounded_half_away_from_zero() {
        for (text, scale, expected) in [
            ("1", 2, Some(100)),
            ("1.005", 2, Some(101)),
            ("-1.005", 2, Some(-101)),
            ("0.004", 2, Some(0)),
            ("12e3", 0, Some(12_000)),
            ("12e-3", 2, Some(1)),
            ("9.99e1", 0, Some(100)),
            ("0e99", 0, Some(0)),
            (".5", 0, Some(1)),
            ("5.", 0, Some(5)),
            ("1e99", 0, None),
            ("", 0, None),
            (".", 0, None),
            ("1e", 0, None),
            ("0x1", 0, None),
        ] {
            assert_eq!(unscaled(text, scale), expected, "{text} at scale {scale}");
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_told_from_one_that_is_none() {
        use crate::error::code;
        let of = |text| whole(text, ColumnType::Int).unwrap_err().sqlstate;
        assert_eq!(of("99999999999999999999"), code::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(of("12x"), code::INVALID_TEXT_REPRESENTATION);
        assert_eq!(of(""), code::INVALID_TEXT_REPRESENTATION);
        assert_eq!(of("1.5"), code::INVALID_TEXT_REPRESENTATION);
        assert_eq!(decimal("1000", 3, 0).unwrap_err().sqlstate, code::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(decimal("999.5", 3, 0).unwrap_err().sqlstate, code::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(double("1e400", ColumnType::Double).unwrap_err().sqlstate, code::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(double("1e39", ColumnType::Real).unwrap_err().sqlstate, code::NUMERIC_VALUE_OUT_OF_RANGE);
        assert!(double("Infinity", ColumnType::Double).unwrap().is_infinite());
        assert!(double("NaN", ColumnType::Real).unwrap().is_nan());
    }
}
