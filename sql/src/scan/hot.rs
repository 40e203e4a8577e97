//! Rows that no segment holds yet: read on blocking threads, handed over through a bounded channel.

use super::Moment;
use super::narrow::{Narrowed, Owners};
use crate::error::Result;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as Planned};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use ebbtide_store::{Seq, Table, UserId, hot, manifest};
use std::fmt;
use std::sync::Arc;

/// Batches that wait for the consumer; the thread waits for room after that.
const BATCHES_QUEUED_MAX: usize = 2;
/// Encoded bytes of one batch, at most.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Below this many hot rows one thread is faster than several.
const ROWS_PER_PARTITION: u64 = 20_000;
/// Users taken from the index at a time.
const USERS_PER_PAGE: usize = 512;

/// Which hot rows, and by how many threads.
#[derive(Debug, Clone)]
pub(super) enum Reach {
    /// One user's, in seq order.
    One { user: UserId, after: Seq, through: Seq },
    /// These users'.
    Some(Arc<[UserId]>),
    /// Everybody's, the users dealt out over so many partitions.
    All { partitions: usize },
}

impl Reach {
    pub(super) fn of(moment: &Moment, table: &Table, narrowed: Narrowed, partitions_max: usize) -> Result<Self> {
        match narrowed.owners {
            Owners::These(users) if users.len() == 1 => {
                let user = users.into_iter().next().expect("there is one");
                Ok(Self::One { user, after: narrowed.after, through: narrowed.through })
            }
            Owners::These(users) => Ok(Self::Some(users.into_iter().collect())),
            Owners::All => {
                let rows = hot::counters(&*moment.snapshot, table.id)?.rows;
                let wanted = usize::try_from(rows / ROWS_PER_PARTITION).unwrap_or(usize::MAX);
                Ok(Self::All { partitions: wanted.clamp(1, partitions_max.max(1)) })
            }
        }
    }

    fn partitions(&self) -> usize {
        match self {
            Self::All { partitions } => *partitions,
            _ => 1,
        }
    }
}

/// The hot rows of one table in one moment.
#[derive(Debug, Clone)]
pub(super) struct HotExec {
    moment: Arc<Moment>,
    table: Arc<Table>,
    /// Places in the table's full schema.
    columns: Arc<[usize]>,
    schema: SchemaRef,
    reach: Reach,
    /// Rows wanted of each partition, at most.
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl HotExec {
    pub(super) fn new(
        moment: Arc<Moment>,
        table: Arc<Table>,
        columns: Vec<usize>,
        schema: SchemaRef,
        reach: Reach,
        fetch: Option<usize>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(reach.partitions()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        // Receiving from the channel yields when the task has had its share.
        .with_scheduling_type(SchedulingType::Cooperative);
        let metrics = ExecutionPlanMetricsSet::new();
        Self { moment, table, columns: columns.into(), schema, reach, fetch, properties: Arc::new(properties), metrics }
    }
}

impl DisplayAs for HotExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HotExec: table={}", self.table.qualified_name())?;
        match &self.reach {
            Reach::One { user, .. } if user.is_shared() => {}
            Reach::One { .. } => f.write_str(", users=1")?,
            Reach::Some(users) => write!(f, ", users={}", users.len())?,
            Reach::All { .. } => f.write_str(", users=all")?,
        }
        if let Reach::One { after, through, .. } = &self.reach {
            if *after > 0 {
                write!(f, ", _seq>{after}")?;
            }
            if *through < Seq::MAX {
                write!(f, ", _seq<={through}")?;
            }
        }
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, ", columns=[{}]", names.join(", "))?;
        match self.fetch {
            Some(fetch) => write!(f, ", fetch={fetch}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for HotExec {
    fn name(&self) -> &'static str {
        "HotExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Planned<TreeNodeRecursion>,
    ) -> Planned<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Planned<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    // Not `supports_limit_pushdown`: that hands a limit on to children, and a leaf has none, so it would be lost.
    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { fetch, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Planned<SendableRecordBatchStream> {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), BATCHES_QUEUED_MAX);
        let batches = builder.tx();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let batch_rows = context.session_config().batch_size();
        let scan = self.clone();
        builder.spawn_blocking(move || {
            let mut left = scan.fetch.unwrap_or(usize::MAX);
            let mut give = |batch: RecordBatch| -> Result<bool> {
                let batch = batch.slice(0, batch.num_rows().min(left));
                left -= batch.num_rows();
                metrics.record_output(batch.num_rows());
                let batch = batch.with_schema(scan.schema.clone())?;
                // The receiver is gone when nobody wants more.
                Ok(batches.blocking_send(Ok(batch)).is_ok() && left > 0)
            };
            scan.read(partition, batch_rows.min(scan.fetch.unwrap_or(usize::MAX)), &mut give)
                .map_err(DataFusionError::from)
        });
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

impl HotExec {
    /// Reads a partition's rows until there is none left or `give` wants no more.
    fn read(
        &self,
        partition: usize,
        batch_rows: usize,
        give: &mut dyn FnMut(RecordBatch) -> Result<bool>,
    ) -> Result<()> {
        let snapshot = &self.moment.snapshot;
        let projection = Some(&*self.columns);
        match &self.reach {
            Reach::One { user, after, through } => {
                let watermark = manifest::watermark(&**snapshot, self.table.id, user)?.seq;
                let (snapshot, table) = (snapshot.clone(), self.table.clone());
                let mut scan = hot::scan(snapshot, table, user, watermark.max(*after), *through, projection)?;
                while let Some(batch) = scan.next_batch(batch_rows, BATCH_BYTES_MAX)? {
                    if !give(batch)? {
                        break;
                    }
                }
                Ok(())
            }
            Reach::Some(users) => {
                self.read_users(users.iter().cloned(), batch_rows, give)?;
                Ok(())
            }
            Reach::All { partitions: 1 } => {
                let mut scan = hot::scan_table(snapshot.clone(), self.table.clone(), projection)?;
                while let Some(batch) = scan.next_batch(batch_rows, BATCH_BYTES_MAX)? {
                    if !give(batch)? {
                        break;
                    }
                }
                Ok(())
            }
            Reach::All { partitions } => self.read_share(partition, *partitions, batch_rows, give),
        }
    }

    /// Every `partitions`-th user of the index, beginning with the `partition`-th.
    fn read_share(
        &self,
        partition: usize,
        partitions: usize,
        batch_rows: usize,
        give: &mut dyn FnMut(RecordBatch) -> Result<bool>,
    ) -> Result<()> {
        let mut after: Option<UserId> = None;
        let mut number = 0;
        loop {
            let page = hot::users(self.moment.snapshot.clone(), self.table.id, after.as_ref(), USERS_PER_PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let first = number;
            number += page.len();
            let share = (first..).zip(page).filter(|(number, _)| number % partitions == partition);
            if !self.read_users(share.map(|(_, (user, _))| user), batch_rows, give)? {
                return Ok(());
            }
        }
    }

    /// Whether more is wanted.
    fn read_users(
        &self,
        users: impl Iterator<Item = UserId>,
        batch_rows: usize,
        give: &mut dyn FnMut(RecordBatch) -> Result<bool>,
    ) -> Result<bool> {
        let snapshot = self.moment.snapshot.clone();
        let mut scan = hot::scan_users(snapshot, self.table.clone(), users, Some(&*self.columns))?;
        while let Some(batch) = scan.next_batch(batch_rows, BATCH_BYTES_MAX)? {
            if !give(batch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
