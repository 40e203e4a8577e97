//! A flush of many tables: a job that asks for one flush per table, each a job of its own.
//!
//! ```text
//! Queued ─► Asking ─► Done
//!           ▲    │
//!           └────┘
//!         next tables
//! ```
//!
//! It does not wait for them: a job that waits for others would hold a place that they need. A table that is being
//! flushed already is not flushed twice, so asking again after a crash does no harm.

use super::Resources;
use crate::kinds::{Tables, next_table, read};
use ebbtide_runtime::{BoxFuture, Progress, Step, StepError, Submitted, Trigger, View, Workflow, query};
use ebbtide_store::TableId;
use serde::{Deserialize, Serialize};

/// The stable name of this kind in stored jobs.
pub const KIND: &str = "flush_tables";

/// Raised when a stored body changes its shape; older bodies must still load.
const BODY_VERSION: u32 = 1;

/// Tables asked for by one step.
const TABLES_MAX: usize = 64;
/// Jobs that a result names.
const JOBS_NAMED_MAX: usize = 100;

/// One request for flushes of many tables, and where the work stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct FlushTables {
    tables: Tables,
    state: State,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    Queued,
    Asking(Asking),
    Done(Asked),
}

/// Tables are asked for in the order of their ids.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Asking {
    after: Option<TableId>,
    asked: Asked,
}

/// What was asked for so far.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Asked {
    tables: u64,
    /// Flushes that were started.
    started: u64,
    jobs: Vec<String>,
}

impl FlushTables {
    /// A request for these tables, not yet begun.
    pub fn new(tables: Tables) -> Self {
        Self { tables, state: State::Queued }
    }
}

impl Asking {
    async fn ask_next(mut self, tables: &Tables, cx: &mut Step) -> Result<State, StepError> {
        let id = *cx.job_id();
        let job = read("reading the job", cx, move |snapshot| query::job(&*snapshot, &id)).await?;
        let trigger = job.map_or(Trigger::Manual, |job| job.trigger);
        let flusher = cx
            .get::<Resources>()?
            .flusher()
            .ok_or_else(|| StepError::retry("nobody starts flushes yet; the server is starting or stopping"))?;
        for _ in 0..TABLES_MAX {
            cx.signal().check()?;
            let Some(table) = next_table(tables, self.after, cx).await? else { return Ok(State::Done(self.asked)) };
            self.after = Some(table.id);
            let submitted = match flusher.flush_table(&table.namespace, &table.name, trigger).await {
                Ok(submitted) => submitted,
                // Dropped a moment ago.
                Err(super::Error::NotFound { .. }) => continue,
                Err(error) => return Err(StepError::retry_because("a flush could not be started", error)),
            };
            cx.env().reached("flush_tables.asking.asked");
            self.asked.tables += 1;
            self.asked.started += u64::from(matches!(submitted, Submitted::New(_)));
            if self.asked.jobs.len() < JOBS_NAMED_MAX {
                self.asked.jobs.push(submitted.id().to_string());
            }
        }
        Ok(State::Asking(self))
    }
}

#[typetag::serde(name = "flush_tables")]
impl Workflow for FlushTables {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let FlushTables { tables, state } = *self;
            let state = match state {
                State::Queued => State::Asking(Asking::default()),
                State::Asking(s) => s.ask_next(&tables, cx).await?,
                State::Done(s) => State::Done(s),
            };
            Ok(Box::new(FlushTables { tables, state }) as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let state = match &self.state {
            State::Queued => "Queued",
            State::Asking(_) => "Asking",
            State::Done(_) => "Done",
        };
        View {
            parameters: serde_json::json!({ "tables": self.tables }),
            progress: Progress::default(),
            done: matches!(self.state, State::Done(_)),
            result: match &self.state {
                State::Done(asked) => Some(serde_json::json!({
                    "tables": asked.tables,
                    "started": asked.started,
                    "jobs": asked.jobs,
                })),
                _ => None,
            },
            body_version: BODY_VERSION,
            ..View::new(KIND, state)
        }
    }
}
