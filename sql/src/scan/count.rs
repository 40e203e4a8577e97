//! How many rows segments hold, without opening one: the manifest knows.

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use ebbtide_store::Segment;
use std::sync::Arc;

/// As many rows without columns as `segments` hold; nothing for none.
pub(super) fn exec(
    segments: &[Segment],
    batch_rows: usize,
    limit: Option<usize>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
    if rows == 0 {
        return Ok(None);
    }
    let schema: SchemaRef = Arc::new(Schema::empty());
    let counted = Arc::new(Counted { rows, batch_rows: batch_rows.max(1), schema: schema.clone() });
    let exec = StreamingTableExec::try_new(schema, vec![counted], None, [], false, limit)?;
    Ok(Some(Arc::new(exec)))
}

#[derive(Debug)]
struct Counted {
    rows: u64,
    batch_rows: usize,
    schema: SchemaRef,
}

impl PartitionStream for Counted {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (schema, step) = (self.schema.clone(), self.batch_rows);
        let mut left = self.rows;
        // Batches of the usual size: what joins or literals make of them must not be one huge batch.
        let batches = std::iter::from_fn(move || {
            let rows = usize::try_from(left).unwrap_or(usize::MAX).min(step);
            left -= rows as u64;
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            (rows > 0)
                .then(|| RecordBatch::try_new_with_options(schema.clone(), Vec::new(), &options).map_err(Into::into))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches)))
    }
}
