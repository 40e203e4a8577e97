//! Filters that give out all columns, so that no projection is mistaken for another one's.
//!
//! DataFusion 55 lets a filter drop columns by itself. If a sort above it is then found to be needless, a projection comes to lie
//! right above such a filter; pushing it below takes its columns for those of the filter's input
//! (`FilterExec::try_swapping_with_projection`), and the statement fails. So what a filter drops is dropped by a projection of its
//! own, and DataFusion brings the two together afterwards.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use std::sync::Arc;

/// DataFusion's rules, with this one before each that pushes projections down.
pub(crate) fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = Vec::new();
    for rule in PhysicalOptimizer::new().rules {
        if rule.name() == "ProjectionPushdown" {
            rules.push(Arc::new(WholeFilters) as _);
        }
        rules.push(rule);
    }
    rules
}

#[derive(Debug)]
struct WholeFilters;

impl PhysicalOptimizerRule for WholeFilters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match whole(&node)? {
            Some(projected) => Ok(Transformed::yes(projected)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "whole_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn whole(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(None) };
    let Some(kept) = filter.projection() else { return Ok(None) };
    let schema = filter.input().schema();
    let columns: Vec<ProjectionExpr> = kept
        .iter()
        .map(|place| {
            let name = schema.field(*place).name();
            ProjectionExpr { expr: Arc::new(Column::new(name, *place)), alias: name.clone() }
        })
        .collect();
    let whole = FilterExecBuilder::from(filter).apply_projection(None)?.build()?;
    Ok(Some(Arc::new(ProjectionExec::try_new(columns, Arc::new(whole))?)))
}
