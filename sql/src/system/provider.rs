//! A system table, as DataFusion plans with it.

use super::columns::schema;
use super::exec::SystemExec;
use super::wanted::Clause;
use super::{System, Wanted};
use crate::scan::Moment;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session as Planning, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Provider {
    system: &'static dyn System,
    schema: SchemaRef,
}

impl Provider {
    pub(super) fn new(system: &'static dyn System) -> Self {
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
        Ok(filters
            .iter()
            .map(|filter| match Clause::read(self.system, filter) {
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
        // The projection is done where the rows are made, so the node above has nothing left to project.
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let wanted = Wanted::new(self.system, filters);
        if wanted.is_nothing() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        Ok(Arc::new(SystemExec::new(self.system, moment, Arc::new(wanted), projection, schema, limit)))
    }
}
