//! What a config file says of a retention.

use super::{KIND, Retention, State, Work, queued::Queued};
use crate::kinds::{Span, Tables};
use ebbtide_runtime::{BoxError, Kind, KindInfo, Start, Starting};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Parameters of `segment_retention`, checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct SegmentRetention {
    /// Whose segments.
    pub tables: Tables,
    /// Rows committed longer ago go.
    pub age: Span,
    /// How long objects stay after the manifest stopped naming them.
    pub grace: Span,
    /// Whether a segment of old and young rows is written anew.
    pub rewrite: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Parameters of `segment_retention`: removes cold rows that are older than an age. One of `table`, `namespace` and
/// `all` is needed, and `age`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "SegmentRetention")]
struct Written {
    /// One table, as `namespace.table`.
    table: Option<String>,
    /// All tables of a namespace.
    namespace: Option<String>,
    /// All tables.
    all: bool,
    /// How long rows are kept after they were committed. Older ones go once they are cold; hot rows stay.
    age: Option<Span>,
    /// How long a file stays after the last query that could know it began.
    grace: Span,
    /// Write a file that holds old rows and young ones anew without the old ones. Without it such a file stays until all its rows are old.
    rewrite: bool,
    /// Only say what would go.
    dry_run: bool,
}

impl Default for Written {
    fn default() -> Self {
        let grace = Span(Duration::from_secs(3600));
        Self { table: None, namespace: None, all: false, age: None, grace, rewrite: true, dry_run: false }
    }
}

impl TryFrom<Written> for SegmentRetention {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { table, namespace, all, age, grace, rewrite, dry_run } = written;
        let tables = Tables::of(table, namespace, all)?;
        // A forgotten age must not mean that everything goes.
        let age = age.ok_or("missing field: age says how long rows are kept, such as age = \"365d\"")?;
        if age.0.is_zero() {
            return Err("age = 0 would remove every cold row; DROP TABLE does that".to_owned());
        }
        Ok(Self { tables, age, grace, rewrite, dry_run })
    }
}

impl SegmentRetention {
    /// A run with these parameters, not yet begun.
    pub fn job(&self) -> Retention {
        let Self { tables, age, grace, rewrite, dry_run } = self.clone();
        Retention { work: Work { tables, age, grace, rewrite, dry_run }, state: State::Queued(Queued::default()) }
    }
}

#[typetag::deserialize(name = "segment_retention")]
impl Kind for SegmentRetention {
    fn start(&self, _: &Starting<'_>) -> Result<Start, BoxError> {
        Ok(Start::new(Box::new(self.job())))
    }
}

inventory::submit! {
    KindInfo {
        name: KIND,
        about: "Removes cold rows that are older than an age.",
        schema: || schemars::schema_for!(SegmentRetention),
        counts_rows: false,
    }
}
