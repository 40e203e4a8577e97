//! A system table being read: rows from a blocking thread through a bounded channel.

use super::{Look, Out, System, Wanted};
use crate::scan::Moment;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::fmt;
use std::sync::Arc;

/// Batches that wait for the consumer; the thread waits for room after that.
const BATCHES_QUEUED_MAX: usize = 2;

/// The metric that says how many keys of the engine were read.
pub(crate) const ENGINE_READS: &str = "engine_reads";

/// The wanted rows and columns of a system table in one moment.
#[derive(Debug, Clone)]
pub(super) struct SystemExec {
    pub(super) system: &'static dyn System,
    pub(super) moment: Arc<Moment>,
    pub(super) wanted: Arc<Wanted>,
    projection: Arc<[usize]>,
    schema: SchemaRef,
    /// Rows wanted, at most.
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SystemExec {
    pub(super) fn new(
        system: &'static dyn System,
        moment: Arc<Moment>,
        wanted: Arc<Wanted>,
        projection: Vec<usize>,
        schema: SchemaRef,
        fetch: Option<usize>,
    ) -> Self {
        let mut equivalences = EquivalenceProperties::new(schema.clone());
        if let Some(ordering) = ordering(system, &schema) {
            equivalences.add_ordering(ordering);
        }
        let properties = PlanProperties::new(
            equivalences,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        // Receiving from the channel yields when the task has had its share.
        .with_scheduling_type(SchedulingType::Cooperative);
        Self {
            system,
            moment,
            wanted,
            projection: projection.into(),
            schema,
            fetch,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The name in the table of the column at this place of the output.
    pub(super) fn column(&self, place: usize) -> Option<&'static str> {
        Some(self.system.columns()[*self.projection.get(place)?].name)
    }

    /// Whether every wanted row is given out.
    pub(super) fn is_whole(&self) -> bool {
        self.fetch.is_none()
    }

    /// How many rows there are, where counting does not mean reading them.
    fn count(&self) -> Option<usize> {
        let look = Look::new(&self.moment, Count::new());
        // Statistics only save work: where they cannot be had, rows are read, and then the error is said.
        let rows = self.system.count(&look, &self.wanted).ok().flatten()?;
        let rows = usize::try_from(rows).ok()?;
        Some(self.fetch.map_or(rows, |fetch| rows.min(fetch)))
    }
}

/// Newest first, and where the id of what happened at once decides, by that.
fn ordering(system: &dyn System, schema: &SchemaRef) -> Option<LexOrdering> {
    // Never NULL, so it does not matter where those would come.
    let options = SortOptions { descending: true, nulls_first: true };
    let falling = |name: &str| {
        let place = schema.index_of(name).ok()?;
        Some(PhysicalSortExpr::new(Arc::new(Column::new(name, place)), options))
    };
    let first = falling(system.newest_first()?)?;
    LexOrdering::new([first].into_iter().chain(system.then_by().and_then(falling)))
}

impl DisplayAs for SystemExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "SystemExec: table={}, columns=[{}]{}", self.system.name(), columns.join(", "), self.wanted)?;
        match self.fetch {
            Some(fetch) => write!(f, ", fetch={fetch}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for SystemExec {
    fn name(&self) -> &'static str {
        "SystemExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    // Not `supports_limit_pushdown`: that hands a limit on to children, and a leaf has none, so it would be lost.
    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { fetch, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        if let Some(rows) = self.count() {
            statistics.num_rows = Precision::Exact(rows);
            statistics.column_statistics = self
                .schema
                .fields()
                .iter()
                .map(|field| match field.is_nullable() {
                    true => ColumnStatistics::new_unknown(),
                    false => ColumnStatistics::new_unknown().with_null_count(Precision::Exact(0)),
                })
                .collect();
        }
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), BATCHES_QUEUED_MAX);
        let batches = builder.tx();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let reads = MetricBuilder::new(&self.metrics).counter(ENGINE_READS, partition);
        let exec = self.clone();
        builder.spawn_blocking(move || {
            let mut send = |batch: RecordBatch| {
                metrics.record_output(batch.num_rows());
                // The receiver is gone when nobody wants more.
                batches.blocking_send(Ok(batch)).is_ok()
            };
            let look = Look::new(&exec.moment, reads);
            let mut out = Out::new(exec.system.columns(), &exec.projection, exec.schema.clone(), exec.fetch, &mut send);
            exec.system
                .rows(&look, &exec.wanted, &mut out)
                .and_then(|()| out.flush().map(drop))
                .map_err(DataFusionError::from)
        });
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
