//! A column of one type into a column of another, as INSERT … SELECT needs it.

use super::{Builder, Problem};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::scalar::ScalarValue;
use ebbtide_store::ColumnType;

/// The values of `array` as `column_type` has them, or the first row whose value does not fit and why.
pub(crate) fn assign(array: &ArrayRef, column_type: ColumnType) -> Result<ArrayRef, (usize, Problem)> {
    // JSON is text as far as Arrow knows: what comes from elsewhere is checked value by value.
    if *array.data_type() == column_type.arrow() && column_type != ColumnType::Json {
        return Ok(array.clone());
    }
    let mut column = Builder::new(column_type, array.len());
    for row in 0..array.len() {
        if array.is_null(row) {
            column.push_null();
            continue;
        }
        let value = ScalarValue::try_from_array(array, row).map_err(|error| {
            (row, Problem { sqlstate: crate::error::code::DATATYPE_MISMATCH, message: error.to_string() })
        })?;
        column.push_scalar(&value).map_err(|problem| (row, problem))?;
    }
    Ok(column.finish())
}
