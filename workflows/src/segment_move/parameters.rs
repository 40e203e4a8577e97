//! What a config file says of a move.

use super::{KIND, Move, State, Work, queued::Queued};
use crate::kinds::{Span, Tables};
use ebbtide_runtime::{BoxError, Kind, KindInfo, Start, Starting};
use ebbtide_store::{StorageId, UserId};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Parameters of `segment_move`, checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct SegmentMove {
    /// Whose segments.
    pub tables: Tables,
    /// Only this user's.
    pub user: Option<UserId>,
    /// Where they go.
    pub to: StorageId,
    /// How long the originals stay after the manifest stopped naming them.
    pub grace: Span,
}

/// Parameters of `segment_move`: moves segments that are there to another storage. One of `table`, `namespace` and `all`
/// is needed, and `to`. Where new files go is said by the table and the user, not here.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "SegmentMove")]
struct Written {
    /// One table, as `namespace.table`.
    table: Option<String>,
    /// All tables of a namespace.
    namespace: Option<String>,
    /// All tables.
    all: bool,
    /// Only the segments of this user.
    user: Option<String>,
    /// The storage that they are moved to.
    to: Option<String>,
    /// How long a file stays in its old storage after the last query that could know it began.
    grace: Span,
}

impl Default for Written {
    fn default() -> Self {
        let grace = Span(Duration::from_secs(3600));
        Self { table: None, namespace: None, all: false, user: None, to: None, grace }
    }
}

impl TryFrom<Written> for SegmentMove {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { table, namespace, all, user, to, grace } = written;
        let user = user.map(|user| UserId::new(&user)).transpose().map_err(|error| error.to_string())?;
        // Checked before what may be missing, so that a wrong id is told by itself.
        let to = to.map(|to| StorageId::new(&to)).transpose().map_err(|error| error.to_string())?;
        let tables = Tables::of(table, namespace, all)?;
        let to = to.ok_or("missing field: to says which storage, such as to = \"archive\"")?;
        Ok(Self { tables, user, to, grace })
    }
}

impl SegmentMove {
    /// All segments to this storage, with the grace that there is unless another is given.
    pub fn to(to: StorageId) -> Self {
        Self { tables: Tables::All, user: None, to, grace: Written::default().grace }
    }

    /// A run with these parameters, not yet begun.
    pub fn job(&self) -> Move {
        let Self { tables, user, to, grace } = self.clone();
        Move { work: Work { tables, user, to, grace }, state: State::Queued(Queued::default()) }
    }
}

#[typetag::deserialize(name = "segment_move")]
impl Kind for SegmentMove {
    fn start(&self, _: &Starting<'_>) -> Result<Start, BoxError> {
        Ok(Start::new(Box::new(self.job())))
    }
}

inventory::submit! {
    KindInfo {
        name: KIND,
        about: "Moves segments that are there to another storage.",
        schema: || schemars::schema_for!(SegmentMove),
        counts_rows: false,
    }
}
