//! A system table, as DataFusion plans with it.

use super::columns::schema;
use super::wanted::equality;
use super::{Out, System, Wanted};
use crate::scan::Moment;
use async_trait::async_trait;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session as Planning, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use std::sync::Arc;

/// Batches that wait for the consumer; the thread waits for room after that.
const BATCHES_QUEUED_MAX: usize = 2;

#[derive(Debug)]
pub(super) struct Provider {
    system: Arc<dyn System>,
    schema: SchemaRef,
}

impl Provider {
    pub(super) fn new(system: Arc<dyn System>) -> Self {
        let schema = schema(system.columns());
        Self { system, schema }
    }
}

#[async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let keys = self.system.keys();
        Ok(filters
            .iter()
            .map(|filter| match equality(keys, filter) {
                Some(_) => TableProviderFilterPushDown::Exact,
                None => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        planning: &dyn Planning,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let moment = Moment::of(planning)?;
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let wanted = Wanted::new(self.system.keys(), filters);
        if wanted.is_nothing() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let ordering = self.system.newest_first().and_then(|name| {
            let place = schema.index_of(name).ok()?;
            // Never NULL, so it does not matter where those would come.
            let options = SortOptions { descending: true, nulls_first: true };
            LexOrdering::new([PhysicalSortExpr::new(Arc::new(Column::new(name, place)), options)])
        });
        let rows = Reading { system: self.system.clone(), moment, wanted, projection, schema: schema.clone(), limit };
        // The projection is done where the rows are made, so the node above has nothing left to project.
        let exec = StreamingTableExec::try_new(schema, vec![Arc::new(rows)], None, ordering, false, limit)?;
        Ok(Arc::new(exec))
    }
}

/// A system table being read.
#[derive(Debug)]
struct Reading {
    system: Arc<dyn System>,
    moment: Arc<Moment>,
    wanted: Wanted,
    projection: Vec<usize>,
    schema: SchemaRef,
    limit: Option<usize>,
}

impl PartitionStream for Reading {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), BATCHES_QUEUED_MAX);
        let batches = builder.tx();
        let (system, moment, wanted) = (self.system.clone(), self.moment.clone(), self.wanted.clone());
        let (projection, schema, limit) = (self.projection.clone(), self.schema.clone(), self.limit);
        builder.spawn_blocking(move || {
            // The receiver is gone when nobody wants more.
            let mut send = |batch| batches.blocking_send(Ok(batch)).is_ok();
            let mut out = Out::new(system.columns(), &projection, schema, limit, &mut send);
            system.rows(&moment, &wanted, &mut out).and_then(|()| out.flush()).map_err(DataFusionError::from)?;
            Ok(())
        });
        builder.build()
    }
}
