//! What a config file says of a verification.

use super::{KIND, State, Verify, Work, queued::Queued};
use crate::kinds::Tables;
use ebbtide_runtime::{BoxError, Kind, KindInfo, Start, Starting};
use schemars::JsonSchema;
use serde::Deserialize;

/// Parameters of `verify`, checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct VerifySegments {
    /// Whose segments.
    pub tables: Tables,
    /// Whether rows are read too, beside size and checksum.
    pub rows: bool,
}

/// Parameters of `verify`: reads segments again and compares them with the manifest. One of `table`, `namespace` and
/// `all` is needed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "VerifySegments")]
struct Written {
    /// One table, as `namespace.table`.
    table: Option<String>,
    /// All tables of a namespace.
    namespace: Option<String>,
    /// All tables.
    all: bool,
    /// Read the rows too: their number, their seqs and their owner. Without it only size and checksum are compared.
    rows: bool,
}

impl Default for Written {
    fn default() -> Self {
        Self { table: None, namespace: None, all: false, rows: true }
    }
}

impl TryFrom<Written> for VerifySegments {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { table, namespace, all, rows } = written;
        Ok(Self { tables: Tables::of(table, namespace, all)?, rows })
    }
}

impl VerifySegments {
    /// A run with these parameters, not yet begun.
    pub fn job(&self) -> Verify {
        let work = Work { tables: self.tables.clone(), rows: self.rows };
        Verify { work, state: State::Queued(Queued::default()) }
    }
}

#[typetag::deserialize(name = "verify")]
impl Kind for VerifySegments {
    fn start(&self, _: &Starting<'_>) -> Result<Start, BoxError> {
        Ok(Start::new(Box::new(self.job())))
    }
}

inventory::submit! {
    KindInfo {
        name: KIND,
        about: "Reads segments again and compares them with the manifest; findings are in system.verify_findings.",
        schema: || schemars::schema_for!(VerifySegments),
        counts_rows: false,
    }
}
