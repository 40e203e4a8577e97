//! Segments that cannot hold a row a filter wants, told from the statistics in the manifest.

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Column;
use datafusion::common::pruning::PruningStatistics;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::scalar::ScalarValue;
use ebbtide_store::{Hidden, Scalar, Segment, Table};
use std::collections::HashSet;
use std::sync::Arc;

/// Segments looked at together: enough to make a pass over arrays worth while, few enough to stay small.
pub(super) const SEGMENTS_PER_PASS: usize = 1024;

/// Leaves out segments that hold no row for which `predicate` is true. A predicate that statistics say nothing about
/// leaves all of them in.
pub(super) struct Pruner {
    predicate: Option<PruningPredicate>,
    table: Arc<Table>,
    schema: SchemaRef,
}

impl Pruner {
    pub(super) fn new(table: &Arc<Table>, schema: &SchemaRef, predicate: Option<&Arc<dyn PhysicalExpr>>) -> Self {
        let predicate = predicate
            .and_then(|predicate| {
                PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(predicate.clone()).ok()
            })
            .filter(|predicate| !predicate.always_true());
        Self { predicate, table: table.clone(), schema: schema.clone() }
    }

    /// Those of `segments` that may hold a wanted row.
    pub(super) fn prune(&self, segments: &mut Vec<Segment>) {
        let Some(predicate) = &self.predicate else { return };
        let statistics = Statistics { segments, table: &self.table, schema: &self.schema };
        // Statistics only save work: where they cannot be asked, everything is read.
        let Ok(keep) = predicate.prune(&statistics) else { return };
        let mut keep = keep.into_iter();
        segments.retain(|_| keep.next().unwrap_or(true));
    }
}

struct Statistics<'a> {
    segments: &'a [Segment],
    table: &'a Table,
    schema: &'a SchemaRef,
}

#[derive(Clone, Copy)]
enum Bound {
    Min,
    Max,
}

impl Statistics<'_> {
    fn bounds(&self, column: &Column, bound: Bound) -> Option<ArrayRef> {
        let data_type = self.schema.field_with_name(&column.name).ok()?.data_type();
        let hidden = Hidden::of(self.table.kind).iter().copied().find(|hidden| hidden.name() == column.name);
        let id = match hidden {
            Some(hidden) => hidden.id(),
            None => self.table.columns.iter().find(|own| own.name.as_str() == column.name)?.id,
        };
        let values = self.segments.iter().map(|segment| {
            let value = match (hidden, bound) {
                (Some(Hidden::UserId), _) => Some(ScalarValue::Utf8(Some(segment.user.as_str().to_owned()))),
                (Some(Hidden::Seq), Bound::Min) => i64::try_from(segment.from_seq).ok().map(ScalarValue::from),
                (Some(Hidden::Seq), Bound::Max) => i64::try_from(segment.to_seq).ok().map(ScalarValue::from),
                _ => segment.columns.iter().find(|stats| stats.id == id).and_then(|stats| {
                    let known = match bound {
                        Bound::Min => stats.min.as_ref(),
                        Bound::Max => stats.max.as_ref(),
                    };
                    known.and_then(|known| scalar(known, data_type))
                }),
            };
            value.map_or_else(|| ScalarValue::try_from(data_type), Ok)
        });
        let values: Vec<ScalarValue> = values.collect::<Result<_, _>>().ok()?;
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for Statistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Bound::Min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Bound::Max)
    }

    fn num_containers(&self) -> usize {
        self.segments.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        if Hidden::of(self.table.kind).iter().any(|hidden| hidden.name() == column.name) {
            return Some(Arc::new(UInt64Array::from(vec![0; self.segments.len()])));
        }
        let id = self.table.columns.iter().find(|own| own.name.as_str() == column.name)?.id;
        let counts: UInt64Array = self
            .segments
            .iter()
            .map(|segment| match segment.columns.iter().find(|stats| stats.id == id) {
                Some(stats) => stats.nulls,
                // The column was added later: all of it reads as null.
                None => Some(segment.rows),
            })
            .collect();
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.segments.iter().map(|segment| Some(segment.rows)).collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// A bound as a value of its column's type.
fn scalar(bound: &Scalar, data_type: &DataType) -> Option<ScalarValue> {
    let value = match (bound, data_type) {
        (Scalar::Bool(value), DataType::Boolean) => ScalarValue::Boolean(Some(*value)),
        (Scalar::Int(value), DataType::Int16) => ScalarValue::Int16(Some(i16::try_from(*value).ok()?)),
        (Scalar::Int(value), DataType::Int32) => ScalarValue::Int32(Some(i32::try_from(*value).ok()?)),
        (Scalar::Int(value), DataType::Int64) => ScalarValue::Int64(Some(*value)),
        (Scalar::Int(value), DataType::Date32) => ScalarValue::Date32(Some(i32::try_from(*value).ok()?)),
        (Scalar::Int(value), DataType::Time64(_)) => ScalarValue::Time64Microsecond(Some(*value)),
        (Scalar::Int(value), DataType::Timestamp(_, zone)) => {
            ScalarValue::TimestampMicrosecond(Some(*value), zone.clone())
        }
        // Widening is exact; narrowing back gives the value that was there.
        (Scalar::Float(value), DataType::Float32) => ScalarValue::Float32(Some(*value as f32)),
        (Scalar::Float(value), DataType::Float64) => ScalarValue::Float64(Some(*value)),
        (Scalar::Decimal(digits), DataType::Decimal128(precision, scale)) => {
            ScalarValue::Decimal128(Some(*digits), *precision, *scale)
        }
        (Scalar::Text(text), DataType::Utf8) => ScalarValue::Utf8(Some(text.clone())),
        _ => return None,
    };
    Some(value)
}
