//! What a config file says of a flush.

use super::trigger::active_key;
use super::{Flush, KIND, records::Flushed, tables::FlushTables};
use crate::kinds::Tables;
use ebbtide_runtime::kind::Pending;
use ebbtide_runtime::{BoxError, Kind, KindInfo, Start, Starting};
use ebbtide_store::{Store, hot};
use schemars::JsonSchema;
use serde::Deserialize;

/// Parameters of `flush`, checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct FlushRows {
    /// Whose hot rows.
    pub tables: Tables,
}

/// Parameters of `flush`: moves hot rows into the cold tier, beside the triggers that tables have of their own. One of
/// `table`, `namespace` and `all` is needed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "FlushRows")]
struct Written {
    /// One table, as `namespace.table`.
    table: Option<String>,
    /// All tables of a namespace.
    namespace: Option<String>,
    /// All tables.
    all: bool,
}

impl TryFrom<Written> for FlushRows {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { table, namespace, all } = written;
        Ok(Self { tables: Tables::of(table, namespace, all)? })
    }
}

#[typetag::deserialize(name = "flush")]
impl Kind for FlushRows {
    fn start(&self, cx: &Starting<'_>) -> Result<Start, BoxError> {
        let Tables::Table(name) = &self.tables else {
            return Ok(Start::new(Box::new(FlushTables::new(self.tables.clone()))));
        };
        let store = cx.get::<Store>()?;
        let view = store.catalog().view(&cx.engine.snapshot())?;
        let table = self.tables.next(&view, None).ok_or_else(|| format!("Table {name} not found"))?;
        // The same key as for a flush that a statement or the table's own trigger starts: one at a time.
        let mut start = Start::new(Box::new(Flush::new(&table))).unique(active_key(table.id));
        start.expect.push(table.expect_present());
        Ok(start)
    }

    fn pending(&self, cx: &Starting<'_>) -> Result<Option<Pending>, BoxError> {
        let store = cx.get::<Store>()?;
        let snapshot = cx.engine.snapshot();
        let view = store.catalog().view(&snapshot)?;
        let now = cx.env.now();
        let mut pending = Pending::default();
        for table in self.tables.of_view(&view) {
            let counters = hot::counters(&*snapshot, table.id)?;
            // Rows of users whose writes failed wait for their time, and trigger nothing until then.
            let stuck =
                Flushed::read(&*snapshot, table.id)?.filter(|flushed| now < flushed.retry_at).unwrap_or_default();
            pending.rows += counters.rows.saturating_sub(stuck.stuck_rows);
            pending.bytes += counters.bytes.saturating_sub(stuck.stuck_bytes);
        }
        Ok(Some(pending))
    }
}

inventory::submit! {
    KindInfo {
        name: KIND,
        about: "Moves hot rows of one table, of a namespace or of all into the cold tier.",
        schema: || schemars::schema_for!(FlushRows),
        counts_rows: true,
    }
}
