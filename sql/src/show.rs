//! SHOW and DESCRIBE.

use crate::error::{Error, Result};
use crate::parse::{Kind, Show, StorageVerb, TableName};
use crate::scan::Moment;
use crate::session::{Outcome, Session};
use crate::{jobs, storages, system};
use datafusion::arrow::array::{ArrayRef, BooleanArray, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use std::sync::Arc;

const JOBS: &str = "SELECT job_id, workflow, namespace, table_name, status, state, users_done, users_total, rows_done, \
    bytes_done, error, trigger, created_at, started_at, completed_at FROM system.jobs ORDER BY created_at DESC";
const USERS: &str = "SELECT * FROM system.users";
/// What anybody may see of storages: not the settings of their kinds.
const STORAGES: [&str; 11] = [
    "storage_id",
    "storage_name",
    "description",
    "storage_type",
    "base_directory",
    "uri",
    "credentials",
    "shared_tables_template",
    "user_tables_template",
    "created_at",
    "updated_at",
];
const WORKFLOWS: &str = "SELECT name, kind, trigger, time_zone, enabled, last_run, last_job_id, last_status, next_run, source \
    FROM system.workflows";

/// The query that a SHOW stands for, if it stands for one.
pub(crate) fn query_of(shown: &Show) -> Option<&'static str> {
    match shown {
        Show::Jobs => Some(JOBS),
        Show::Users => Some(USERS),
        Show::Workflows => Some(WORKFLOWS),
        _ => None,
    }
}

/// The columns that a statement gives; none if it gives no rows.
pub(crate) fn schema_of(kind: &Kind) -> Option<SchemaRef> {
    let names: &[&str] = match kind {
        Kind::Show(Show::Namespaces) => &["namespace"],
        Kind::Show(Show::Tables { .. }) => &["namespace", "table_name", "table_type"],
        Kind::Show(Show::Setting(name)) => return Some(texts(&[name])),
        Kind::Show(Show::Settings) => &["name", "setting"],
        Kind::Show(Show::Storages) => return system::schema_of("storages", &STORAGES).ok(),
        Kind::Storage(command) => match command.verb {
            StorageVerb::Check { .. } => return Some(storages::columns()),
            StorageVerb::Attach { .. } => &storages::ATTACHED,
            StorageVerb::Rotate => &storages::ROTATED,
            _ => return None,
        },
        Kind::Describe(_) => return Some(described()),
        _ => jobs::columns(kind)?,
    };
    Some(texts(names))
}

fn texts(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect::<Vec<_>>()))
}

fn described() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("column_name", DataType::Utf8, false),
        Field::new("data_type", DataType::Utf8, false),
        Field::new("is_nullable", DataType::Boolean, false),
        Field::new("is_hidden", DataType::Boolean, false),
    ]))
}

/// Rows of text.
pub(crate) fn rows(names: &[&str], rows: &[Vec<String>]) -> Result<Outcome> {
    let columns = (0..names.len())
        .map(|place| Arc::new(rows.iter().map(|row| Some(row[place].as_str())).collect::<StringArray>()) as ArrayRef);
    let schema = texts(names);
    outcome(schema.clone(), vec![RecordBatch::try_new(schema, columns.collect())?])
}

/// Rows that are all there.
pub(crate) fn outcome(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Outcome> {
    let batches = futures::stream::iter(batches.into_iter().map(Ok));
    let stream = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), batches));
    Ok(Outcome::Rows { schema, stream })
}

/// SHOW of what needs no query.
pub(crate) fn run(session: &Session, shown: &Show) -> Result<Outcome> {
    match shown {
        Show::Namespaces => {
            let moment = Moment::take(&session.database)?;
            let names: Vec<_> = moment.catalog.namespaces().map(|namespace| vec![namespace.name.to_string()]).collect();
            rows(&["namespace"], &names)
        }
        Show::Tables { namespace } => {
            let moment = Moment::take(&session.database)?;
            if let Some(name) = namespace
                && moment.catalog.namespace(name).is_none()
            {
                return Err(ebbtide_store::Error::NamespaceNotFound { name: name.clone() }.into());
            }
            let tables: Vec<_> = moment
                .catalog
                .tables(namespace.as_deref())
                .map(|table| {
                    vec![table.namespace.to_string(), table.name.to_string(), system::kind(table.kind).to_owned()]
                })
                .collect();
            rows(&["namespace", "table_name", "table_type"], &tables)
        }
        Show::Setting(name) => rows(&[name], &[vec![session.setting(name)?]]),
        Show::Settings => {
            let all: Vec<_> =
                session.settings().into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
            rows(&["name", "setting"], &all)
        }
        Show::Storages => {
            let moment = Moment::take(&session.database)?;
            let batches = system::read("storages", &STORAGES, &moment)?;
            outcome(system::schema_of("storages", &STORAGES)?, batches)
        }
        Show::Jobs | Show::Users | Show::Workflows => Err(Error::internal("this SHOW is a query")),
    }
}

/// A table's columns, its own first.
pub(crate) fn describe(session: &Session, name: &TableName) -> Result<Outcome> {
    let moment = Moment::take(&session.database)?;
    let table = session.target(&moment, name)?;
    let own = table
        .columns
        .iter()
        .map(|column| (column.name.to_string(), column.column_type.to_string(), column.nullable, false));
    let hidden = ebbtide_store::Hidden::of(table.kind).iter().map(|hidden| {
        let column_type = match hidden {
            ebbtide_store::Hidden::UserId => "TEXT",
            ebbtide_store::Hidden::Seq => "BIGINT",
            ebbtide_store::Hidden::CommittedAt => "TIMESTAMPTZ",
        };
        (hidden.name().to_owned(), column_type.to_owned(), false, true)
    });
    let columns: Vec<_> = own.chain(hidden).collect();
    let schema = described();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(columns.iter().map(|column| Some(column.0.as_str())).collect::<StringArray>()),
        Arc::new(columns.iter().map(|column| Some(column.1.as_str())).collect::<StringArray>()),
        Arc::new(columns.iter().map(|column| Some(column.2)).collect::<BooleanArray>()),
        Arc::new(columns.iter().map(|column| Some(column.3)).collect::<BooleanArray>()),
    ];
    outcome(schema.clone(), vec![RecordBatch::try_new(schema, arrays)?])
}
