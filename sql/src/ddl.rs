//! Namespaces and tables, made, altered and dropped.

use crate::error::{Error, Result, code};
use crate::parse::{AlterTable, CreateTable, Kind, Policy, TableKind, TableName};
use crate::reclaim;
use crate::scan::Moment;
use crate::session::Session;
use crate::storages;
use ebbtide_store::{
    Error as StoreError, FlushPolicy, Kind as Owner, Name, NewColumn, NewTable, StorageId, TableChange,
};

/// Runs a statement that changes the catalog: one synced commit each.
pub(crate) async fn run(session: &Session, kind: &Kind) -> Result<()> {
    let catalog = session.database.store.catalog();
    match kind {
        Kind::CreateNamespace { name, if_not_exists } => {
            match catalog.create_namespace(&self::name(name, None)?).await {
                Err(StoreError::NamespaceExists { .. }) if *if_not_exists => Ok(()),
                Err(error @ StoreError::Invalid { .. }) => {
                    Err(Error { sqlstate: code::RESERVED_NAME, ..Error::from(error) })
                }
                done => Ok(done.map(|_| ())?),
            }
        }
        Kind::DropNamespace { name, if_exists } => match catalog.drop_namespace(&self::name(name, None)?).await {
            Err(StoreError::NamespaceNotFound { .. }) if *if_exists => Ok(()),
            done => Ok(done.map(|_| ())?),
        },
        Kind::CreateTable(create) => create_table(session, create).await,
        Kind::AlterTable(alter) => alter_table(session, alter).await,
        Kind::DropTable { table, kind, if_exists } => drop_table(session, table, *kind, *if_exists).await,
        _ => Err(Error::internal("not a statement that changes the catalog")),
    }
}

fn name(text: &str, position: Option<u32>) -> Result<Name> {
    Name::new(text).map_err(|error| {
        let sqlstate =
            if text.len() > ebbtide_store::ids::NAME_CHARS_MAX { code::NAME_TOO_LONG } else { code::INVALID_NAME };
        Error::new(sqlstate, error.to_string()).at(position)
    })
}

async fn create_table(session: &Session, create: &CreateTable) -> Result<()> {
    let database = &session.database;
    let (namespace, table) = {
        let moment = Moment::take(database)?;
        session.qualified(&moment, &create.table)?
    };
    let new = new_table(session, create, &namespace, &table)?;
    match database.store.catalog().create_table(new).await {
        Ok(table) => {
            database.flusher.note_table(table.id);
            Ok(())
        }
        Err(StoreError::TableExists { .. }) if create.if_not_exists => Ok(()),
        // They are there to be read, so that there are none would be a strange thing to hear.
        Err(StoreError::NamespaceNotFound { name }) if is_own(&name) => Err(Error::new(
            code::RESERVED_NAME,
            format!("the namespace {name} is the database's own; no tables can be made in it"),
        )
        .hint("make one for your tables with CREATE NAMESPACE")
        .at(create.table.position)),
        Err(error) => Err(cannot_be(session, error, create.table.position)),
    }
}

/// What is said of a table that cannot be as it was asked for.
fn cannot_be(session: &Session, error: StoreError, position: Option<u32>) -> Error {
    let sqlstate = match &error {
        StoreError::Invalid { message, .. } if message.contains("reserved") => Some(code::RESERVED_NAME),
        StoreError::Invalid { .. } => Some(code::INVALID_TABLE_DEFINITION),
        _ => None,
    };
    let error = storages::refused(session, error, position);
    Error { sqlstate: sqlstate.unwrap_or(error.sqlstate), ..error }
}

/// Changes how a table is kept, from now on: its segments stay where they are.
async fn alter_table(session: &Session, alter: &AlterTable) -> Result<()> {
    let database = &session.database;
    let table = {
        let moment = Moment::take(database)?;
        session.target(&moment, &alter.table)
    };
    let table = match table {
        Err(error) if error.sqlstate == code::UNDEFINED_TABLE && alter.if_exists => return Ok(()),
        table => table?,
    };
    let policy = &alter.policy;
    let change = TableChange {
        storage: policy.storage.as_deref().map(storage).transpose()?,
        use_user_storage: policy.use_user_storage,
        sharding: policy.sharding.clone(),
        flush: policy.triggers().then(|| triggers(policy)),
    };
    match database.store.catalog().alter_table(&table.namespace, &table.name, change).await {
        Ok(table) => {
            // It may be due now, or later than was thought.
            database.flusher.note_table(table.id);
            Ok(())
        }
        Err(StoreError::TableNotFound { .. }) if alter.if_exists => Ok(()),
        Err(error) => Err(cannot_be(session, error, alter.table.position)),
    }
}

fn storage(id: &str) -> Result<StorageId> {
    StorageId::new(id).map_err(|error| Error::new(code::INVALID_NAME, error.to_string()))
}

fn triggers(policy: &Policy) -> FlushPolicy {
    FlushPolicy { interval: policy.interval, rows: policy.rows, bytes: policy.bytes }
}

fn new_table(session: &Session, create: &CreateTable, namespace: &str, table: &str) -> Result<NewTable> {
    let options = &session.database.options;
    let position = create.table.position;
    let policy = &create.policy;
    let kind = match policy.kind {
        Some(TableKind::User) => Owner::User,
        Some(TableKind::Shared) | None => Owner::Shared,
    };
    let flush = if policy.triggers() { triggers(policy) } else { options.flush.clone() };
    if flush.is_empty() {
        return Err(Error::new(
            code::INVALID_TABLE_DEFINITION,
            format!("table {namespace}.{table} has no flush trigger: its rows would never leave the hot tier"),
        )
        .hint(crate::parse::FLUSH_HINT)
        .at(position));
    }
    let columns = create.columns.iter().map(|column| {
        let name = name(&column.name, column.position)?;
        if name.as_str().starts_with('_') && is_hidden(name.as_str()) {
            return Err(Error::new(
                code::RESERVED_NAME,
                format!("the column name \"{name}\" is reserved for a hidden column"),
            )
            .at(column.position));
        }
        Ok(NewColumn { name, column_type: column.column_type, nullable: column.nullable })
    });
    let storage = match &policy.storage {
        Some(id) => self::storage(id)?,
        None => StorageId::local(),
    };
    let sharding = match (&policy.sharding, kind) {
        (Some(sharding), _) => sharding.clone(),
        (None, Owner::User) => options.sharding.clone(),
        // One owner needs no spreading.
        (None, Owner::Shared) => "none".to_owned(),
    };
    Ok(NewTable {
        namespace: name(namespace, position)?,
        name: name(table, position)?,
        kind,
        columns: columns.collect::<Result<_>>()?,
        storage,
        use_user_storage: policy.use_user_storage.unwrap_or(false),
        sharding,
        flush,
    })
}

/// Namespaces of tables that the database itself fills.
fn is_own(namespace: &str) -> bool {
    matches!(namespace, "system" | "information_schema" | "pg_catalog")
}

fn is_hidden(name: &str) -> bool {
    matches!(name, "_user_id" | "_seq" | "_committed_at" | "_deleted")
}

async fn drop_table(session: &Session, name: &TableName, kind: Option<TableKind>, if_exists: bool) -> Result<()> {
    let database = &session.database;
    let (namespace, table) = {
        let moment = Moment::take(database)?;
        let (namespace, table) = session.qualified(&moment, name)?;
        if let (Some(kind), Some(found)) = (kind, moment.catalog.table(&namespace, &table)) {
            let wanted = match kind {
                TableKind::User => Owner::User,
                TableKind::Shared => Owner::Shared,
            };
            if found.kind != wanted {
                return Err(Error::new(
                    code::DATATYPE_MISMATCH,
                    format!("{namespace}.{table} is a {} table", crate::system::kind(found.kind).to_uppercase()),
                )
                .hint("DROP TABLE drops either kind")
                .at(name.position));
            }
        }
        (namespace, table)
    };
    // In a task of its own: a caller that goes away after the commit must not take the clearing away with it.
    let dropping = {
        let database = database.clone();
        database.reclaiming.clone().spawn(async move {
            let dropped = database.store.catalog().drop_table(&namespace, &table).await?;
            database.flusher.note_table(dropped.table.id);
            reclaim::begin(&database, dropped);
            Ok::<_, StoreError>(())
        })
    };
    match dropping.await.map_err(|error| Error::internal(format!("dropping the table: {error}")))? {
        Err(StoreError::TableNotFound { .. }) if if_exists => Ok(()),
        done => done.map_err(|error| Error::from(error).at(name.position)),
    }
}
