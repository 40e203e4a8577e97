//! `GROUP BY status` without reading the jobs: a rule that sees a count by a column whose counts are kept, and reads those.
//!
//! ```text
//! AggregateExec: gby=[status], aggr=[count(1)]          ProjectionExec: status, rows AS count(1)
//!   SystemExec: table=system.jobs              ─►         SystemExec: table=counters of system.jobs
//! ```
//!
//! It looks at the plan, not at the statement: whatever comes to the same plan is answered the same way. Counts without
//! GROUP BY need no rule; DataFusion takes them from the row count that the scan knows.

use super::columns::schema;
use super::exec::SystemExec;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode, AggregateOutputMode};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use std::sync::Arc;

/// Reads counters instead of rows where they say the same.
#[derive(Debug)]
pub(crate) struct TalliedGroups;

impl PhysicalOptimizerRule for TalliedGroups {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| match tallied(&node)? {
            Some(counters) => Ok(Transformed::yes(counters)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "tallied_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan that reads counters, if this is the root of an aggregate which they answer.
fn tallied(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(root) = node.downcast_ref::<AggregateExec>() else { return Ok(None) };
    if root.mode().output_mode() != AggregateOutputMode::Final {
        return Ok(None);
    }
    // The one that sees rows: the root itself, or the partial one right below.
    let reading = match root.mode().input_mode() {
        AggregateInputMode::Raw => root,
        AggregateInputMode::Partial => match root.input().downcast_ref::<AggregateExec>() {
            Some(partial) if partial.mode().input_mode() == AggregateInputMode::Raw => partial,
            _ => return Ok(None),
        },
    };
    let groups = reading.group_expr();
    let whole = root.limit_options().is_none() && reading.limit_options().is_none();
    if !whole || !groups.is_single() || reading.filter_expr().iter().any(Option::is_some) {
        return Ok(None);
    }
    let [(group, name)] = groups.expr() else { return Ok(None) };
    if !reading.aggr_expr().iter().all(|aggregate| counts_rows(aggregate, reading)) {
        return Ok(None);
    }
    let Some((scan, column)) = source(reading.input(), group) else { return Ok(None) };
    let Some(counters) = scan.system.tally(column).filter(|_| scan.is_whole() && scan.wanted.only_of(column)) else {
        return Ok(None);
    };
    let counter_schema = schema(counters.columns());
    let read =
        SystemExec::new(counters, scan.moment.clone(), scan.wanted.clone(), vec![0, 1], counter_schema.clone(), None);
    let place =
        |place: usize| Arc::new(Column::new(counter_schema.field(place).name(), place)) as Arc<dyn PhysicalExpr>;
    let group = ProjectionExpr { expr: place(0), alias: name.clone() };
    let counts = root.aggr_expr().iter().map(|count| ProjectionExpr { expr: place(1), alias: count.name().to_owned() });
    let columns: Vec<_> = [group].into_iter().chain(counts).collect();
    Ok(Some(Arc::new(ProjectionExec::try_new(columns, Arc::new(read))?)))
}

/// Whether it counts every row: `count(*)`, or the count of something that is never NULL.
fn counts_rows(aggregate: &AggregateFunctionExpr, reading: &AggregateExec) -> bool {
    let schema = reading.input_schema();
    aggregate.fun().name() == "count"
        && !aggregate.is_distinct()
        && aggregate.expressions().iter().all(|argument| match argument.downcast_ref::<Literal>() {
            Some(literal) => !literal.value().is_null(),
            None => {
                argument.downcast_ref::<Column>().is_some()
                    && argument.nullable(&schema).is_ok_and(|nullable| !nullable)
            }
        })
}

/// The scan that an expression comes from unchanged, and the column of its table.
fn source<'a>(
    plan: &'a Arc<dyn ExecutionPlan>,
    expr: &Arc<dyn PhysicalExpr>,
) -> Option<(&'a SystemExec, &'static str)> {
    let place = expr.downcast_ref::<Column>()?.index();
    if let Some(scan) = plan.downcast_ref::<SystemExec>() {
        return Some((scan, scan.column(place)?));
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    source(projection.input(), &projection.expr().get(place)?.expr)
}
