//! What the manifest keeps of each column, read from the footer of the file.

use arrow::datatypes::DataType;
use parquet::file::{metadata::RowGroupMetaData, statistics::Statistics};

use super::layout::Column;
use crate::{ColumnStats, Scalar};

/// The bounds and nulls of column `index` over all row groups.
///
/// A row group whose bounds are not known makes the segment's unknown. `has_nan` too: Parquet leaves NaN out of its bounds, and in SQL it is
/// greater than every number, so a bound would hide it.
pub(super) fn of_column(index: usize, column: &Column, has_nan: bool, groups: &[RowGroupMetaData]) -> ColumnStats {
    let mut nulls = Some(0);
    let mut bounds = Bounds::Empty;
    for group in groups {
        let chunk = group.column(index);
        let statistics = chunk.statistics();
        let chunk_nulls = statistics.and_then(Statistics::null_count_opt);
        nulls = nulls.zip(chunk_nulls).map(|(all, chunk)| all + chunk);
        if chunk_nulls == Some(chunk.num_values().unsigned_abs()) {
            continue;
        }
        let chunk_bounds = statistics.filter(|_| !has_nan).and_then(|s| bounds_of(&column.data_type, s));
        bounds = bounds.with(chunk_bounds);
    }
    let (min, max) = match bounds {
        Bounds::Known(min, max) => (Some(min), Some(max)),
        Bounds::Empty | Bounds::Unknown => (None, None),
    };
    ColumnStats { id: column.id, name: column.name.clone(), min, max, nulls }
}

enum Bounds {
    Empty,
    Known(Scalar, Scalar),
    Unknown,
}

impl Bounds {
    fn with(self, other: Option<(Scalar, Scalar)>) -> Bounds {
        match (self, other) {
            (Bounds::Unknown, _) | (_, None) => Bounds::Unknown,
            (Bounds::Empty, Some((min, max))) => Bounds::Known(min, max),
            (Bounds::Known(min, max), Some((other_min, other_max))) => Bounds::Known(
                if less(&other_min, &min) { other_min } else { min },
                if less(&max, &other_max) { other_max } else { max },
            ),
        }
    }
}

/// Within one column all bounds are of one kind.
fn less(a: &Scalar, b: &Scalar) -> bool {
    match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => a < b,
        (Scalar::Int(a), Scalar::Int(b)) => a < b,
        (Scalar::Float(a), Scalar::Float(b)) => a < b,
        (Scalar::Decimal(a), Scalar::Decimal(b)) => a < b,
        (Scalar::Text(a), Scalar::Text(b)) => a < b,
        _ => false,
    }
}

fn bounds_of(data_type: &DataType, statistics: &Statistics) -> Option<(Scalar, Scalar)> {
    macro_rules! both {
        ($statistics:expr, $scalar:expr) => {
            ($scalar($statistics.min_opt()?)?, $scalar($statistics.max_opt()?)?)
        };
    }
    let decimal = matches!(data_type, DataType::Decimal128(..));
    let whole = |value: i64| Some(if decimal { Scalar::Decimal(i128::from(value)) } else { Scalar::Int(value) });
    // JSON has no infinity.
    let float = |value: f64| value.is_finite().then_some(Scalar::Float(value));
    Some(match statistics {
        Statistics::Boolean(s) => both!(s, |v: &bool| Some(Scalar::Bool(*v))),
        Statistics::Int32(s) => both!(s, |v: &i32| whole(i64::from(*v))),
        Statistics::Int64(s) => both!(s, |v: &i64| whole(*v)),
        Statistics::Float(s) => both!(s, |v: &f32| float(f64::from(*v))),
        Statistics::Double(s) => both!(s, |v: &f64| float(*v)),
        Statistics::FixedLenByteArray(s) if decimal => {
            both!(s, |v: &parquet::data_type::FixedLenByteArray| big_endian(v.data()))
        }
        Statistics::ByteArray(s) if *data_type == DataType::Utf8 => {
            both!(s, |v: &parquet::data_type::ByteArray| Some(Scalar::Text(v.as_utf8().ok()?.to_owned())))
        }
        // The manifest keeps no bounds of bytes.
        _ => return None,
    })
}

fn big_endian(bytes: &[u8]) -> Option<Scalar> {
    let first = *bytes.first()?;
    let mut all = [if first >= 0x80 { 0xff } else { 0 }; 16];
    all.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(Scalar::Decimal(i128::from_be_bytes(all)))
}
