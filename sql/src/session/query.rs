//! SELECT, planned by DataFusion.

use super::failing::{Deadline, Statement as StatementRows};
use super::{Outcome, Session, resolve, stars};
use crate::error::{Error, Result, code};
use crate::memory::StatementPool;
use crate::parse::Text;
use crate::scan::{Moment, Names};
use crate::value::is_of;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan};
use datafusion::physical_plan::execute_stream;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A query planned against one version of the catalog. It holds no snapshot: those are taken when it runs.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    query: Arc<ast::Statement>,
    text: Text,
    /// None if it shows what was there when it was planned: it is planned anew each time.
    plan: Option<LogicalPlan>,
    /// The version of the catalog that it was planned with.
    catalog: u64,
    /// Where bare names were looked up.
    namespace: Option<String>,
    /// Namespace and name of each table that it reads.
    tables: Vec<(String, String)>,
    pub(crate) parameters: Vec<DataType>,
    pub(crate) schema: SchemaRef,
}

impl Session {
    /// Plans a query: looks up its tables, types its parameters and its result.
    pub(crate) async fn plan(
        &self,
        moment: &Arc<Moment>,
        query: &Arc<ast::Statement>,
        text: &Text,
        hints: &[Option<DataType>],
    ) -> Result<Planned> {
        let namespace = self.namespace(moment);
        let tables = resolve::tables(moment, query, text, namespace.as_deref())?;
        let plan = self.logical_plan(moment, query, text, namespace.as_deref()).await?;
        let parameters = parameters(&plan, hints)?;
        let schema = result_schema(&plan, &parameters)?;
        Ok(Planned {
            query: query.clone(),
            text: text.clone(),
            plan: (!tables.shows_catalog).then_some(plan),
            catalog: moment.catalog.version(),
            namespace,
            tables: tables.named,
            parameters,
            schema,
        })
    }

    async fn logical_plan(
        &self,
        moment: &Arc<Moment>,
        query: &ast::Statement,
        text: &Text,
        namespace: Option<&str>,
    ) -> Result<LogicalPlan> {
        let mut statement = query.clone();
        let hidden = text.hidden();
        stars::write_out(&mut statement, moment, hidden, namespace)?;
        let mut state = self.planning(moment)?;
        let names = Names { moment: moment.clone(), identity: self.identity().clone(), hidden };
        state.register_catalog_list(Arc::new(names));
        let planning = state.statement_to_plan(Parsed::Statement(Box::new(statement)));
        let plan = planning.await.map_err(|error| located(error, text))?;
        // What the grammar lets through and only reads, nothing else.
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        Ok(plan)
    }

    /// Does work that only reads, if it is done before the statement's time is up.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let deadline = Deadline::new(self.state().settings.statement_timeout());
        Deadline::guard(deadline, work).await
    }

    /// Runs a planned query in the moment of this statement.
    pub(super) async fn query(&self, planned: &Planned, values: Vec<ScalarValue>) -> Result<Outcome> {
        let deadline = Deadline::new(self.state().settings.statement_timeout());
        let moment = Moment::take(&self.database)?;
        let rows = Deadline::guard(deadline, self.rows(&moment, planned, values)).await?;
        let schema = rows.schema();
        let stream = Box::pin(StatementRows::new(rows, self.shared.clone(), deadline, moment));
        Ok(Outcome::Rows { schema, stream })
    }

    /// The rows of a planned query in this moment.
    pub(crate) async fn rows(
        &self,
        moment: &Arc<Moment>,
        planned: &Planned,
        values: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream> {
        let namespace = self.namespace(moment);
        let anew;
        let mut current = planned;
        if planned.catalog != moment.catalog.version() || planned.namespace != namespace {
            let hints: Vec<_> = planned.parameters.iter().cloned().map(Some).collect();
            anew = self.plan(moment, &planned.query, &planned.text, &hints).await?;
            if anew.schema != planned.schema {
                return Err(Error::unsupported("cached plan must not change result type")
                    .detail("a table of the statement was changed after it was prepared")
                    .hint("prepare the statement again"));
            }
            current = &anew;
        }
        let planned = current;
        let plan = match &planned.plan {
            Some(plan) => plan.clone(),
            None => self.logical_plan(moment, &planned.query, &planned.text, namespace.as_deref()).await?,
        };
        self.check_readable(moment, planned)?;
        let values = bind(&values, &planned.parameters)?.into_owned();
        let plan = if values.is_empty() { plan } else { plan.with_param_values(listed(values))? };
        let state = self.planning(moment)?;
        let physical = state.create_physical_plan(&plan).await.map_err(|error| located(error, &planned.text))?;
        Ok(execute_stream(physical, self.task(&state)?)?)
    }

    /// What the statement may use while it runs: memory of its own, everything else shared.
    fn task(&self, state: &SessionState) -> Result<Arc<TaskContext>> {
        let bytes_max = self.database.options.statement_memory_bytes_max;
        let pool = Arc::new(StatementPool::new(self.database.memory.clone(), bytes_max));
        let environment =
            RuntimeEnvBuilder::from_runtime_env(state.runtime_env()).with_memory_pool(pool).build_arc()?;
        // A physical plan carries its functions along, so none are looked up by name.
        let none = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        let config = state.config().clone();
        let id = state.session_id().to_owned();
        Ok(Arc::new(TaskContext::new(None, id, config, none.0, none.1, none.2, none.3, environment)))
    }

    fn check_readable(&self, moment: &Moment, planned: &Planned) -> Result<()> {
        let state = self.state();
        for (namespace, table) in &planned.tables {
            if let Some(table) = moment.catalog.table(namespace, table) {
                state.transaction.check_readable(table)?;
            }
        }
        Ok(())
    }
}

/// The type of each parameter: what the client said, else what the statement makes of it, else text.
fn parameters(plan: &LogicalPlan, hints: &[Option<DataType>]) -> Result<Vec<DataType>> {
    let mut inferred = HashMap::new();
    for (name, data_type) in plan.get_parameter_types()? {
        inferred.insert(number(&name)?, data_type);
    }
    let mut tell = |expr: &Expr, data_type: DataType| {
        if let Expr::Placeholder(Placeholder { id, field: None }) = expr
            && let Ok(number) = number(id)
        {
            inferred.entry(number).or_insert(None).get_or_insert(data_type);
        }
    };
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            limit.skip.iter().chain(&limit.fetch).for_each(|count| tell(count, DataType::Int64));
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                // `$1::INT` says its type itself.
                if let Expr::Cast(Cast { expr, field }) = expr {
                    tell(expr, field.data_type().clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let count = inferred.keys().copied().max().unwrap_or(0).max(hints.len());
    let type_of = |number: usize| {
        let hint = hints.get(number - 1).cloned().flatten();
        hint.or_else(|| inferred.get(&number).cloned().flatten()).unwrap_or(DataType::Utf8)
    };
    Ok((1..=count).map(type_of).collect())
}

/// The number of a parameter `$n`.
pub(crate) fn number(name: &str) -> Result<usize> {
    let number = name.strip_prefix('$').and_then(|digits| digits.parse().ok());
    number.filter(|number| (1..=usize::from(u16::MAX)).contains(number)).ok_or_else(|| {
        Error::new(code::UNDEFINED_PARAMETER, format!("there is no parameter {name}"))
            .hint("parameters are $1, $2 and so on")
    })
}

/// The columns of the result, once parameters of these types are in their places.
fn result_schema(plan: &LogicalPlan, parameters: &[DataType]) -> Result<SchemaRef> {
    if parameters.is_empty() {
        return Ok(plan.schema().inner().clone());
    }
    let nulls = parameters.iter().map(ScalarValue::try_from).collect::<Result<Vec<_>, _>>()?;
    let typed = plan.clone().with_param_values(listed(nulls))?;
    Ok(typed.schema().inner().clone())
}

fn listed(values: Vec<ScalarValue>) -> ParamValues {
    ParamValues::List(values.into_iter().map(ScalarAndMetadata::from).collect())
}

/// The values of all parameters, as the types the statement was planned with: they mostly are of those already.
pub(crate) fn bind<'v>(values: &'v [ScalarValue], parameters: &[DataType]) -> Result<Cow<'v, [ScalarValue]>> {
    if values.len() != parameters.len() {
        return Err(Error::new(
            code::UNDEFINED_PARAMETER,
            format!("the statement has {} parameters; {} were given", parameters.len(), values.len()),
        ));
    }
    let pairs = || values.iter().zip(parameters);
    if pairs().all(|(value, data_type)| is_of(value, data_type)) {
        return Ok(Cow::Borrowed(values));
    }
    let cast = |(value, data_type): (&ScalarValue, &DataType)| {
        if is_of(value, data_type) { Ok(value.clone()) } else { Ok(value.cast_to(data_type)?) }
    };
    pairs().map(cast).collect::<Result<_>>().map(Cow::Owned)
}

/// An error of planning, with its place in the statement where DataFusion knows it.
fn located(error: DataFusionError, text: &Text) -> Error {
    let span = error.diagnostic().and_then(|found| found.span);
    let position = span.and_then(|span| text.position_of(span.start.line, span.start.column));
    Error::from(error).at(position)
}
