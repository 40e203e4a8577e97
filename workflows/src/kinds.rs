//! What the kinds of this crate share: how their parameters say which tables and how long, and how their steps read.

use crate::{
    attach, flush, job_cleanup, orphan_sweep, segment_move, segment_retention, user_erase, user_export, verify,
};
use ebbtide_config::{parse_duration, show_duration};
use ebbtide_engine::Snapshot;
use ebbtide_runtime::{Step, StepError};
use ebbtide_store::{Reading, Store, Table, TableId, View, deletions};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// The names under which jobs of this crate are stored. A program whose linker lost one of them could not load its jobs,
/// so it does well to compare these with [`ebbtide_runtime::kinds::workflow_names`] in a test.
pub const NAMES: &[&str] = &[
    attach::KIND,
    flush::KIND,
    flush::tables::KIND,
    job_cleanup::KIND,
    orphan_sweep::KIND,
    segment_move::KIND,
    segment_retention::KIND,
    user_erase::KIND,
    user_export::KIND,
    verify::KIND,
];

/// In a job's parameters: the file timestamp of the objects that it writes. While such a job is not over, or has
/// failed and may be tried again, the orphan sweep leaves objects of that timestamp alone.
pub const FILE_TIMESTAMP: &str = "file_timestamp";

/// A duration in parameters, written as in `ebbtide.toml`: `"90d"`, `"1h 30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// So many days.
    pub const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * 86_400))
    }

    /// In microseconds.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show_duration(self.0))
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Whole numbers with units (d, h, m, s, ms), such as \"90d\" or \"1h 30m\".",
            "pattern": r"^\s*([0-9]+\s*([dD]|[hH]|[mM][sS]?|[sS])\s*)+$"
        })
    }
}

/// Which tables a run is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tables {
    /// One, by its qualified name.
    Table(String),
    /// Those of a namespace.
    Namespace(String),
    /// All there are.
    All,
}

impl Tables {
    /// What the parameters `table`, `namespace` and `all` say together.
    ///
    /// # Errors
    /// A sentence that says what is missing, or too much.
    pub fn of(table: Option<String>, namespace: Option<String>, all: bool) -> Result<Self, String> {
        match (table, namespace, all) {
            (Some(table), None, false) => match table.split_once('.') {
                Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('.') => {
                    Ok(Self::Table(table))
                }
                _ => Err(format!("table \"{table}\" is not written as namespace.table, such as \"chat.messages\"")),
            },
            (None, Some(namespace), false) => Ok(Self::Namespace(namespace)),
            (None, None, true) => Ok(Self::All),
            // Begins like serde's own, by which a missing key is told from a wrong one.
            (None, None, false) => Err(
                "missing field: say which tables, with table = \"namespace.table\", namespace = \"…\" or all = true"
                    .to_owned(),
            ),
            _ => Err("table, namespace and all exclude one another; give one of them".to_owned()),
        }
    }

    /// The first of these tables whose id is higher than `after`, by id. One that is made while a run goes on comes
    /// last.
    pub fn next(&self, view: &View, after: Option<TableId>) -> Option<Arc<Table>> {
        let later = |table: &&Arc<Table>| after.is_none_or(|after| table.id > after);
        self.of_view(view).filter(later).min_by_key(|table| table.id).cloned()
    }

    /// These tables, in no order that means anything.
    pub fn of_view<'a>(&'a self, view: &'a View) -> Box<dyn Iterator<Item = &'a Arc<Table>> + 'a> {
        match self {
            Self::Table(name) => {
                Box::new(self.named(name).and_then(|(namespace, name)| view.table(namespace, name)).into_iter())
            }
            Self::Namespace(namespace) => Box::new(view.tables(Some(namespace))),
            Self::All => Box::new(view.tables(None)),
        }
    }

    fn named<'a>(&self, name: &'a str) -> Option<(&'a str, &'a str)> {
        name.split_once('.')
    }

    /// The two labels that jobs are listed by, if it is one table.
    pub fn scope(&self) -> Option<(&str, &str)> {
        match self {
            Self::Table(name) => self.named(name),
            Self::Namespace(_) | Self::All => None,
        }
    }
}

/// A kind's `State` out of each of its states: `state_from!(queued::Queued, done::Done)`.
macro_rules! state_from {
    ($($module:ident::$name:ident),*) => {$(
        impl From<$module::$name> for State {
            fn from(state: $module::$name) -> Self { State::$name(state) }
        }
    )*};
}
pub(crate) use state_from;

/// Reads of the engine block; so do they on a thread that may.
pub(crate) async fn read<T, E>(
    what: &'static str,
    cx: &Step,
    read: impl FnOnce(Arc<dyn Snapshot>) -> Result<T, E> + Send + 'static,
) -> Result<T, StepError>
where
    T: Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let engine = cx.engine().clone();
    let progress = cx.progress().clone();
    match tokio::task::spawn_blocking(move || progress.charge(|| read(engine.snapshot()))).await {
        Ok(done) => done.map_err(|error| StepError::retry_because(format!("{what} failed"), error)),
        Err(error) => Err(StepError::retry_because(format!("{what} failed"), error)),
    }
}

/// The first of these tables after `after`, as the catalog has it now.
pub(crate) async fn next_table(
    tables: &Tables,
    after: Option<TableId>,
    cx: &Step,
) -> Result<Option<Arc<Table>>, StepError> {
    let store = cx.get::<Store>()?;
    let tables = tables.clone();
    read("reading the catalog", cx, move |snapshot| {
        Ok::<_, ebbtide_store::Error>(tables.next(&*store.catalog().view(&snapshot)?, after))
    })
    .await
}

/// Objects removed by one step.
const OBJECTS_PER_STEP: usize = 512;
/// How long a job waits for older readers before it leaves the objects to those who come later.
const READERS_WAIT_MAX: Duration = Duration::from_secs(10);

/// Removes some of the objects that are due; none when nothing is left, or when somebody still reads.
pub(crate) async fn delete_due(cx: &Step) -> Result<deletions::Deleted, StepError> {
    let store = cx.get::<Store>()?;
    let signal = cx.signal();
    let deleting = tokio::time::timeout(READERS_WAIT_MAX, deletions::delete_due(&store, OBJECTS_PER_STEP));
    tokio::select! {
        deleted = deleting => match deleted {
            Ok(deleted) => deleted.map_err(|error| StepError::retry_because("removing objects failed", error)),
            Err(_) => {
                tracing::debug!(job_id = %cx.job_id(), "older readers are still there; objects that are due go later");
                Ok(deletions::Deleted::default())
            }
        },
        stop = signal.stopped() => Err(stop.into()),
    }
}

/// Has the step count as one that writes objects out of what it reads from now on, until its commit is over: who erases a
/// user waits for it. The next step, or the end of the claim, ends it.
///
/// What is given goes with an object on its way, which may come to be there after the claim has ended.
pub(crate) fn writes(store: &Store, cx: &mut Step) -> Arc<Reading> {
    let writing = Arc::new(store.writers().register());
    *cx.keep() = Some(writing.clone());
    writing
}

/// What [`writes`] gave in this step, if it was called.
pub(crate) fn writing(cx: &mut Step) -> Option<Arc<Reading>> {
    cx.keep::<Arc<Reading>>().clone()
}

/// The job writes no more objects.
pub(crate) fn writes_no_more(cx: &mut Step) {
    *cx.keep::<Arc<Reading>>() = None;
}

/// How often a step that waits says that it does, so that nobody takes it for dead.
const ALIVE: Duration = Duration::from_secs(10);

/// Waits for others as long as they take, or until the job is to stop.
pub(crate) async fn wait<T>(cx: &Step, others: impl Future<Output = T>) -> Result<T, StepError> {
    let (signal, progress) = (cx.signal(), cx.progress().clone());
    let mut alive = tokio::time::interval(ALIVE);
    let mut others = std::pin::pin!(others);
    loop {
        tokio::select! {
            done = &mut others => return Ok(done),
            stop = signal.stopped() => return Err(stop.into()),
            _ = alive.tick() => progress.alive(),
        }
    }
}

/// A time as people write it, UTC.
pub(crate) fn show_time(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}
