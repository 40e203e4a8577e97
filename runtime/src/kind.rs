//! Kinds of declared work: typed, documented parameters that turn into a job when their time has come.
//!
//! The set is open. A program adds a kind by implementing [`Kind`] for its parameters and submitting a [`KindInfo`]:
//!
//! ```
//! use ebbtide_runtime::kind::{self, Kind, KindInfo, Start, Starting};
//! # use ebbtide_runtime::{BoxError, BoxFuture, Step, StepError, View, Workflow};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// Parameters of `greet`: this is what somebody writes in a config file.
//! #[derive(Debug, Default, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields, default)]
//! struct Greet {
//!     /// Whom to greet.
//!     name: String,
//! }
//!
//! #[typetag::deserialize(name = "greet")]
//! impl Kind for Greet {
//!     fn start(&self, _cx: &Starting<'_>) -> Result<Start, BoxError> {
//!         Ok(Start::new(Box::new(Greeting::Waiting { name: self.name.clone() })))
//!     }
//! }
//!
//! inventory::submit! {
//!     KindInfo { name: "greet", about: "Greets somebody.", schema: || schemars::schema_for!(Greet), counts_rows: false }
//! }
//! # #[derive(Serialize, Deserialize)]
//! # enum Greeting { Waiting { name: String } }
//! # #[typetag::serde(name = "greet")]
//! # impl Workflow for Greeting {
//! #     fn step<'a>(self: Box<Self>, _cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
//! #         Box::pin(async move { Ok(self as Box<dyn Workflow>) })
//! #     }
//! #     fn view(&self) -> View<'_> { View::new("greet", "Waiting").done() }
//! # }
//!
//! kind::parse("greet", serde_json::json!({ "name": "Ana" }))?;
//! let wrong = kind::parse("gret", serde_json::json!({})).unwrap_err();
//! assert_eq!(wrong.to_string(), "unknown kind \"gret\", did you mean \"greet\"?");
//! # Ok::<(), kind::Refused>(())
//! ```

use crate::nearest::nearest;
use crate::runner::Shared;
use crate::step::BoxError;
use crate::workflow::Workflow;
use ebbtide_engine::env::SharedEnv;
use ebbtide_engine::{Expect, SharedEngine, Write};
use serde_json::{Map, Value};
use std::any::type_name;
use std::fmt;
use std::sync::Arc;

/// A kind of declared work with its parameters.
///
/// Implementors carry `#[typetag::deserialize(name = "…")]` with the name that config files use, and
/// `#[serde(deny_unknown_fields, default)]`, so that a wrong key is refused and every key may be left out.
#[typetag::deserialize(tag = "kind")]
pub trait Kind: fmt::Debug + Send + Sync {
    /// The job to start, in its first state. May read the engine and may block; must not write.
    ///
    /// # Errors
    ///
    /// Why no job can be started now. It is shown as the reason of a skipped slot.
    fn start(&self, cx: &Starting<'_>) -> Result<Start, BoxError>;

    /// How much waits to be done, for triggers by rows and bytes; `None` for a kind that does not count. Asked once a second, so it
    /// should be a few reads.
    ///
    /// # Errors
    ///
    /// Why it cannot be told now.
    fn pending(&self, cx: &Starting<'_>) -> Result<Option<Pending>, BoxError> {
        let _ = cx;
        Ok(None)
    }
}

/// A job that a kind wants started.
pub struct Start {
    /// The job in its first state.
    pub body: Box<dyn Workflow>,
    /// The active key: at most one job that is not over holds it. Absent: one active job per workflow name.
    pub unique: Option<Vec<u8>>,
    /// What must hold for the job to be made.
    pub expect: Vec<Expect>,
    /// What is written with it. Not written when the job is kept to follow an active one.
    pub writes: Vec<Write>,
}

impl Start {
    /// A job with nothing but its first state.
    pub fn new(body: Box<dyn Workflow>) -> Self {
        Self { body, unique: None, expect: Vec::new(), writes: Vec::new() }
    }

    /// The same job, holding an active key.
    pub fn unique(self, key: impl Into<Vec<u8>>) -> Self {
        Self { unique: Some(key.into()), ..self }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.body.view();
        f.debug_struct("Start").field("kind", &view.kind).field("state", &view.state).finish_non_exhaustive()
    }
}

/// What a kind may look at when it starts a job.
pub struct Starting<'a> {
    /// The declared name of the workflow.
    pub workflow: &'a str,
    /// The engine, to read from.
    pub engine: &'a SharedEngine,
    /// Clock, ids and chance.
    pub env: &'a SharedEnv,
    shared: &'a Shared,
}

impl<'a> Starting<'a> {
    pub(crate) fn new(shared: &'a Shared, workflow: &'a str) -> Self {
        Self { workflow, engine: &shared.engine, env: &shared.env, shared }
    }

    /// The service of this type that was registered with [`Builder::with`](crate::Builder::with).
    ///
    /// # Errors
    ///
    /// None of this type is registered.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, BoxError> {
        self.shared.services.get().ok_or_else(|| {
            BoxError::from(format!(
                "this kind needs a {}, which the runtime was not started with; registered are: {}",
                type_name::<T>(),
                self.shared.services.names()
            ))
        })
    }
}

impl fmt::Debug for Starting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("workflow", &self.workflow).finish_non_exhaustive()
    }
}

/// How much waits to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a program says about one of its kinds, with `inventory::submit!`.
pub struct KindInfo {
    /// The name, the same as in `#[typetag::deserialize(name = "…")]`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// The schema of its parameters.
    pub schema: fn() -> schemars::Schema,
    /// Whether it counts what is pending, so that triggers by rows and bytes make sense.
    pub counts_rows: bool,
}

inventory::collect!(KindInfo);

/// Every kind that is linked into this program, by name.
pub fn all() -> Vec<&'static KindInfo> {
    let mut kinds: Vec<_> = inventory::iter::<KindInfo>().collect();
    kinds.sort_by_key(|info| info.name);
    kinds
}

/// The kind with this name.
pub fn info(name: &str) -> Option<&'static KindInfo> {
    inventory::iter::<KindInfo>().find(|info| info.name == name)
}

/// Reads the parameters of a kind. `parameters` is an object, or null for none.
///
/// # Errors
///
/// The name of no kind, or parameters that it does not take; both with the nearest known name.
pub fn parse(name: &str, parameters: Value) -> Result<Arc<dyn Kind>, Refused> {
    let Some(info) = info(name) else {
        let known: Vec<_> = all().iter().map(|info| info.name).collect();
        let nearest = nearest(name, known.iter().copied());
        return Err(Refused::UnknownKind { name: name.to_owned(), nearest, known });
    };
    let parameters = match parameters {
        Value::Null => Map::new(),
        Value::Object(parameters) => parameters,
        _ => {
            return Err(Refused::BadParameter {
                kind: info.name,
                key: None,
                message: "parameters are written as a table, such as { key = \"value\" }".to_owned(),
            });
        }
    };
    known_keys(info, &parameters)?;
    typed(info.name, parameters.clone()).map_err(|message| {
        let key = culprit(info.name, &parameters);
        Refused::BadParameter { kind: info.name, key, message }
    })
}

/// A key that the kind does not have is refused here, where the nearest known one can be told.
fn known_keys(info: &KindInfo, parameters: &Map<String, Value>) -> Result<(), Refused> {
    let schema = (info.schema)();
    let known: Vec<&str> = match schema.get("properties").and_then(Value::as_object) {
        Some(properties) => properties.keys().map(String::as_str).collect(),
        None => Vec::new(),
    };
    let Some(key) = parameters.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let message = match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown parameter \"{key}\", did you mean \"{near}\"?"),
        None if known.is_empty() => format!("unknown parameter \"{key}\"; this kind has none"),
        None => format!("unknown parameter \"{key}\"; known are {}", known.join(", ")),
    };
    Err(Refused::BadParameter { kind: info.name, key: Some(key.clone()), message })
}

fn typed(name: &str, parameters: Map<String, Value>) -> Result<Arc<dyn Kind>, String> {
    // The tag goes first, so that the rest is read straight into the type.
    let mut tagged = Map::with_capacity(parameters.len() + 1);
    tagged.insert("kind".to_owned(), Value::String(name.to_owned()));
    tagged.extend(parameters);
    serde_json::from_value::<Box<dyn Kind>>(Value::Object(tagged)).map(Arc::from).map_err(|error| error.to_string())
}

/// The first key that is refused when it stands alone. Every key of a kind may be left out, so the others are not missed.
fn culprit(name: &str, parameters: &Map<String, Value>) -> Option<String> {
    parameters
        .iter()
        .find(|(key, value)| {
            let alone = Map::from_iter([((*key).clone(), (*value).clone())]);
            typed(name, alone).is_err_and(|message| !message.starts_with("missing field"))
        })
        .map(|(key, _)| key.clone())
}

/// Why a declared kind is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No kind has this name.
    UnknownKind {
        /// What was written.
        name: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
        /// All there are.
        known: Vec<&'static str>,
    },
    /// The kind does not take these parameters.
    BadParameter {
        /// The kind.
        kind: &'static str,
        /// The key that is wrong, where one can be named.
        key: Option<String>,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::UnknownKind { name, nearest: Some(near), .. } => {
                write!(f, "unknown kind \"{name}\", did you mean \"{near}\"?")
            }
            Refused::UnknownKind { name, known, .. } if known.is_empty() => {
                write!(f, "unknown kind \"{name}\"; this program has no kinds")
            }
            Refused::UnknownKind { name, known, .. } => {
                write!(f, "unknown kind \"{name}\"; known are {}", known.join(", "))
            }
            Refused::BadParameter { kind, key: Some(key), message } if !message.contains(key.as_str()) => {
                write!(f, "parameter \"{key}\" of kind {kind}: {message}")
            }
            Refused::BadParameter { kind, message, .. } => write!(f, "kind {kind}: {message}"),
        }
    }
}

impl std::error::Error for Refused {}
