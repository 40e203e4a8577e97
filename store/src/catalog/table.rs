//! Tables and namespaces as the catalog stores them, and what is asked for when one is made.

use super::keys;
use crate::schema::{DECIMAL_PRECISION_MAX, RESERVED_COLUMNS};
use crate::{CATALOG, Column, ColumnType, Error, Name, StorageId, TableId, UserId};
use arrow::datatypes::SchemaRef;
use ebbtide_engine::{Expect, Expected};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

/// A namespace: tables' names are unique within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: Name,
    /// Microseconds since the Unix epoch.
    pub created_at: i64,
}

/// Whose rows a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One logical table per user.
    User,
    /// One for all; its rows belong to [`UserId::shared`].
    Shared,
}

/// When a table is flushed by itself: at whichever comes first, and then all start anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushPolicy {
    /// This long after the last flush.
    pub interval: Option<Duration>,
    /// At this many hot rows.
    pub rows: Option<u64>,
    /// At this many bytes of hot rows.
    pub bytes: Option<u64>,
}

impl FlushPolicy {
    /// Whether there is no trigger at all.
    pub fn is_empty(&self) -> bool {
        self.interval.is_none() && self.rows.is_none() && self.bytes.is_none()
    }
}

/// A table. Its id, not its name, is what rows and segments are kept under.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// Never given to another table, also after this one is dropped.
    pub id: TableId,
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Whose rows it holds.
    pub kind: Kind,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// Starts at 1 and grows with every change of the columns; each row keeps the one it was written under.
    pub schema_version: u32,
    /// What rows of earlier schema versions look like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) older: Vec<Layout>,
    /// Where its segments go.
    pub storage: StorageId,
    /// Whether a user's own storage goes before the table's.
    pub use_user_storage: bool,
    /// How users are spread over folders, as the registry of strategies names it.
    pub sharding: String,
    /// When it is flushed by itself.
    pub flush: FlushPolicy,
    /// Microseconds since the Unix epoch.
    pub created_at: i64,
    /// The table of a lost database that this one goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    #[serde(skip)]
    pub(crate) arrow: OnceLock<SchemaRef>,
}

/// A table of another database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) database_id: String,
    pub(crate) table_id: TableId,
}

/// The columns of one schema version, in the order in which its rows hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) schema_version: u32,
    pub(crate) columns: Vec<(u32, ColumnType)>,
}

impl Table {
    /// Whether it goes on from a table of a lost database.
    pub fn is_attached(&self) -> bool {
        self.origin.is_some()
    }

    /// Expects that rows may be written, where a database is still coming back: [`Self::is_attached`] tables take none while
    /// a storage is being taken in, for nobody knows yet which rows their users have.
    pub fn expect_writable(&self) -> Option<Expect> {
        self.is_attached().then(super::expect_nothing_attaching)
    }

    /// Expects the table to be there still. Every commit of rows carries it, so no row outlives its table.
    pub fn expect_present(&self) -> Expect {
        expect_table(self.id)
    }

    /// `namespace.table`.
    pub fn qualified_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }

    /// Whether `user` may own rows here: a named user in a USER table, the shared owner in a SHARED one.
    pub fn may_own(&self, user: &UserId) -> bool {
        user.is_shared() == (self.kind == Kind::Shared)
    }

    /// The table as `change` makes it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for triggers, or a USE_USER_STORAGE, that cannot be.
    pub(super) fn with(&self, change: &TableChange) -> Result<Self, Error> {
        let mut table = self.clone();
        table.storage = change.storage.clone().unwrap_or(table.storage);
        table.use_user_storage = change.use_user_storage.unwrap_or(table.use_user_storage);
        table.sharding = change.sharding.clone().unwrap_or(table.sharding);
        table.flush = change.flush.clone().unwrap_or(table.flush);
        check_keeping(&table.qualified_name(), table.kind, table.use_user_storage, &table.flush)?;
        Ok(table)
    }

    /// The table with one more column, under the next schema version. Rows written before read it as null.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is taken or reserved, for a type that cannot be, and for a column that
    /// takes no NULL, which the rows that are there could not have.
    pub fn with_column(&self, column: NewColumn) -> Result<Self, Error> {
        if !column.nullable {
            return Err(Error::invalid(format!(
                "column \"{}\" cannot be NOT NULL: the rows of {} that are there already have no value for it",
                column.name,
                self.qualified_name()
            )));
        }
        let mut table = self.clone();
        table.older.push(self.layout());
        table.schema_version += 1;
        // Ids are not reused, so one that only older rows know counts too.
        let id = table.older.iter().flat_map(|layout| &layout.columns).map(|(id, _)| *id).max().unwrap_or(0) + 1;
        let NewColumn { name, column_type, nullable } = column;
        table.columns.push(Column { id, name, column_type, nullable });
        table.arrow = OnceLock::new();
        check_columns(&table.columns)?;
        Ok(table)
    }

    /// The table that goes on from one of another database, as its manifest describes it.
    pub(super) fn attached(&self, id: TableId, origin: Origin, storage: StorageId, created_at: i64) -> Self {
        Self { id, storage, created_at, origin: Some(origin), arrow: OnceLock::new(), ..self.clone() }
    }

    /// The columns of a later definition of the same table.
    pub(super) fn with_columns_of(&self, later: &Self) -> Self {
        Self {
            columns: later.columns.clone(),
            schema_version: later.schema_version,
            older: later.older.clone(),
            arrow: OnceLock::new(),
            ..self.clone()
        }
    }

    /// What rows of the present schema version look like.
    pub(crate) fn layout(&self) -> Layout {
        let columns = self.columns.iter().map(|column| (column.id, column.column_type)).collect();
        Layout { schema_version: self.schema_version, columns }
    }
}

/// Expects the table of this id to be there still.
pub(crate) fn expect_table(id: TableId) -> Expect {
    Expect { space: CATALOG, key: keys::table(id), value: Expected::Present }
}

/// What is to become different about a table; what is `None` stays as it is. Files that are there stay where they are.
#[derive(Debug, Clone, Default)]
pub struct TableChange {
    /// Where its segments go from now on; it must exist.
    pub storage: Option<StorageId>,
    /// Whether a user's own storage goes before the table's.
    pub use_user_storage: Option<bool>,
    /// How users are spread over folders; it must be registered.
    pub sharding: Option<String>,
    /// When it is flushed by itself.
    pub flush: Option<FlushPolicy>,
}

/// A column to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether it takes NULL.
    pub nullable: bool,
}

/// A table to be made.
#[derive(Debug, Clone)]
pub struct NewTable {
    /// Where; it must exist.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Whose rows it will hold.
    pub kind: Kind,
    /// Its columns, at least one.
    pub columns: Vec<NewColumn>,
    /// Where its segments will go; it must exist.
    pub storage: StorageId,
    /// Whether a user's own storage goes before the table's. Only for USER tables.
    pub use_user_storage: bool,
    /// How users are spread over folders; it must be registered.
    pub sharding: String,
    /// At least one trigger.
    pub flush: FlushPolicy,
}

/// Columns of a table, at most: as in PostgreSQL.
pub const COLUMNS_MAX: usize = 1600;

impl NewTable {
    /// Checks all that can be checked without looking at the catalog.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.columns.is_empty() {
            return Err(Error::invalid(format!("table {}.{} has no column", self.namespace, self.name)));
        }
        let name = format!("{}.{}", self.namespace, self.name);
        check_keeping(&name, self.kind, self.use_user_storage, &self.flush)
    }

    /// The table, once it has an id.
    pub(crate) fn made(self, id: TableId, created_at: i64) -> Result<Table, Error> {
        let columns: Vec<Column> = (1..)
            .zip(self.columns)
            .map(|(id, NewColumn { name, column_type, nullable })| Column { id, name, column_type, nullable })
            .collect();
        check_columns(&columns)?;
        Ok(Table {
            id,
            namespace: self.namespace,
            name: self.name,
            kind: self.kind,
            columns,
            schema_version: 1,
            older: Vec::new(),
            storage: self.storage,
            use_user_storage: self.use_user_storage,
            sharding: self.sharding,
            flush: self.flush,
            created_at,
            origin: None,
            arrow: OnceLock::new(),
        })
    }
}

/// How a table is kept, as it is made and as it is changed.
fn check_keeping(name: &str, kind: Kind, use_user_storage: bool, flush: &FlushPolicy) -> Result<(), Error> {
    if use_user_storage && kind == Kind::Shared {
        return Err(Error::invalid("USE_USER_STORAGE is only supported for USER tables"));
    }
    if flush.is_empty() {
        return Err(Error::Invalid {
            message: format!("table {name} has no flush trigger: its rows would never leave the hot tier"),
            hint: Some("add FLUSH INTERVAL 60s, FLUSH ROW_THRESHOLD 1000, or both".to_owned()),
        });
    }
    if flush.interval.is_some_and(|interval| interval.is_zero()) || flush.rows == Some(0) || flush.bytes == Some(0) {
        return Err(Error::invalid("a flush trigger must be greater than 0"));
    }
    Ok(())
}

fn check_columns(columns: &[Column]) -> Result<(), Error> {
    if columns.len() > COLUMNS_MAX {
        return Err(Error::invalid(format!("{} columns are too many; the limit is {COLUMNS_MAX}", columns.len())));
    }
    let mut names = BTreeSet::new();
    for Column { name, column_type, .. } in columns {
        if RESERVED_COLUMNS.contains(&name.as_str()) {
            return Err(Error::invalid(format!("the column name \"{name}\" is reserved for a hidden column")));
        }
        if !names.insert(name.as_str()) {
            return Err(Error::invalid(format!("column \"{name}\" is specified more than once")));
        }
        if let ColumnType::Decimal { precision, scale } = *column_type
            && (precision == 0
                || precision > DECIMAL_PRECISION_MAX
                || u8::try_from(scale).map_or(true, |scale| scale > precision))
        {
            return Err(Error::invalid(format!(
                "column \"{name}\": DECIMAL({precision},{scale}) cannot be; the precision is 1 to {DECIMAL_PRECISION_MAX}, the scale 0 to the precision"
            )));
        }
    }
    Ok(())
}
