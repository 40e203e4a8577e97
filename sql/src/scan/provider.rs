//! A table, for one identity: what DataFusion plans with.

use super::hot::{HotExec, Reach};
use super::narrow::{Narrowed, Owners, is_exact, is_plain};
use super::schema::{full_schema, shown};
use super::{HiddenColumns, Moment, cold, count};
use crate::error::Error;
use crate::session::Identity;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session as Planning, TableProvider};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use ebbtide_store::{Kind, Table, UserId};
use std::sync::Arc;

/// The rows of a table that one identity may see.
///
/// It holds no snapshot, so a plan with it can be kept: each scan takes the [`Moment`] of the statement it runs in.
#[derive(Debug)]
pub(crate) struct Rows {
    table: Arc<Table>,
    identity: Identity,
    /// Where in the table's full schema the columns of `schema` are.
    shown: Vec<usize>,
    schema: SchemaRef,
}

impl Rows {
    pub(crate) fn new(table: Arc<Table>, identity: Identity, hidden: HiddenColumns) -> Self {
        let shown = shown(&table, hidden);
        let schema = full_schema(&table).project(&shown).expect("places come from the same table");
        Self { table, identity, shown, schema: Arc::new(schema) }
    }

    /// Whose rows, before any filter has its say.
    fn owners(&self) -> Owners {
        match (self.table.kind, &self.identity) {
            (Kind::Shared, _) => Owners::These([UserId::shared()].into()),
            (Kind::User, Identity::User(user)) => Owners::These([user.clone()].into()),
            (Kind::User, Identity::Service(_)) => Owners::All,
        }
    }
}

#[async_trait]
impl TableProvider for Rows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| {
                if is_exact(filter) {
                    TableProviderFilterPushDown::Exact
                } else if is_plain(filter) {
                    TableProviderFilterPushDown::Inexact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
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
        // A plan may be older than the moment it runs in; the table must still be the one it was made for.
        if moment.catalog.table_by_id(self.table.id).is_none_or(|now| now.schema_version != self.table.schema_version) {
            return Err(Error::internal(format!("{} changed after it was planned", self.table.qualified_name())).into());
        }
        let columns: Vec<usize> = match projection {
            Some(places) => places.iter().map(|place| self.shown[*place]).collect(),
            None => self.shown.clone(),
        };
        let full = full_schema(&self.table);
        let schema = Arc::new(full.project(&columns)?);
        let narrowed = Narrowed::new(self.owners()).by(filters);
        if narrowed.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let others: Vec<Expr> = filters.iter().filter(|filter| !is_exact(filter)).cloned().collect();
        let predicate = predicate(planning, &full, &others)?;
        // Rows are counted, not read, only where no filter is left to look at them.
        let counted = columns.is_empty() && predicate.is_none();

        let segments = {
            let (moment, table, narrowed) = (moment.clone(), self.table.clone(), narrowed.clone());
            let predicate = predicate.clone();
            // Reading the manifest blocks.
            tokio::task::spawn_blocking(move || cold::segments(&moment, &table, &narrowed, predicate.as_ref()))
                .await
                .map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??
        };
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if counted {
            parts.extend(count::exec(&segments, planning.config().batch_size(), limit)?);
        } else {
            parts.extend(cold::execs(planning, &moment, &full, &columns, predicate, segments, limit)?);
        }
        let partitions = planning.config().target_partitions();
        let reach = Reach::of(&moment, &self.table, narrowed, partitions).map_err(DataFusionError::from)?;
        parts.push(Arc::new(HotExec::new(moment, self.table.clone(), columns, schema, reach, limit)));
        UnionExec::try_new(parts)
    }
}

/// The filters as one expression over the full schema.
fn predicate(planning: &dyn Planning, full: &SchemaRef, filters: &[Expr]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
    let schema = DFSchema::try_from(full.as_ref().clone())?;
    planning.create_physical_expr(filter, &schema).map(Some)
}
