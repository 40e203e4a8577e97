//! The trait that a kind of job implements.

use crate::step::{Step, StepError};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// A piece of durable work that stands in one of its states.
///
/// The set of states of one kind is closed: an enum and one `match`. The set of kinds is open: implementors carry
/// `#[typetag::serde(name = "…")]` with an explicit, stable name, since that name is stored.
///
/// ```
/// use ebbtide_runtime::{BoxFuture, Step, StepError, View, Workflow};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum Greeting { Waiting, Said }
///
/// #[typetag::serde(name = "greeting")]
/// impl Workflow for Greeting {
///     fn step<'a>(self: Box<Self>, _cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
///         Box::pin(async { Ok(Box::new(Greeting::Said) as Box<dyn Workflow>) })
///     }
///     fn view(&self) -> View<'_> {
///         match self {
///             Greeting::Waiting => View::new("greeting", "Waiting"),
///             Greeting::Said => View::new("greeting", "Said").done(),
///         }
///     }
/// }
/// ```
#[typetag::serde(tag = "kind")]
pub trait Workflow: Send + Sync {
    /// Does the work of the present state and returns the job in its next one. Safe to repeat: after a crash, a conflict or
    /// a retry the same state is stepped again.
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>>;

    /// What listings show of the present state.
    fn view(&self) -> View<'_>;
}

/// What listings show of a job. Written beside the stored body, so that a job which a program cannot load is still listed.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The kind, the same name as in `#[typetag::serde(name = "…")]`.
    pub kind: &'a str,
    /// The name of the state, without its data. A transition is recorded when it changes.
    pub state: &'a str,
    /// What the state works on at present, as a user's id. Moving it on is a checkpoint but no transition.
    pub subject: Option<&'a str>,
    /// Whether this is the last state: the job completes in the commit that reaches it.
    pub done: bool,
    /// Two labels to list jobs by (namespace and table). Opaque to the runtime; read when the job is submitted.
    pub scope: Option<(&'a str, &'a str)>,
    /// What was asked for; null for nothing.
    pub parameters: serde_json::Value,
    /// How far the work has come, by its last checkpoint.
    pub progress: Progress,
    /// What came out of it.
    pub result: Option<serde_json::Value>,
    /// The version of the stored body, to be raised when its form changes.
    pub body_version: u32,
}

impl<'a> View<'a> {
    /// A view of `state` with nothing else to show.
    pub fn new(kind: &'a str, state: &'a str) -> Self {
        Self {
            kind,
            state,
            subject: None,
            done: false,
            scope: None,
            parameters: serde_json::Value::Null,
            progress: Progress::default(),
            result: None,
            body_version: 1,
        }
    }

    /// The same view of a last state.
    pub fn done(self) -> Self {
        Self { done: true, ..self }
    }
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Users finished, whichever way.
    pub users_done: u64,
    /// Users there are to do, as far as known.
    pub users_total: u64,
    /// Rows done.
    pub rows_done: u64,
    /// Bytes written.
    pub bytes_done: u64,
}
