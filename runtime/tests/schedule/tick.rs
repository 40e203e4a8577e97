//! A kind that does as it is told.

use ebbtide_runtime::kind::{Kind, KindInfo, Pending, Start, Starting};
use ebbtide_runtime::{BoxError, BoxFuture, Step, StepError, View, Workflow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use tokio::sync::watch;

/// What jobs and kinds of a test look at.
pub(crate) struct Stage {
    /// Jobs that hold go on when this is true.
    pub(crate) open: watch::Sender<bool>,
    /// How many jobs were held so far.
    pub(crate) held: watch::Sender<u32>,
    /// What waits to be done.
    pub(crate) pending: Mutex<Option<Pending>>,
    /// Why no job can be started.
    pub(crate) refusal: Mutex<Option<String>>,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            open: watch::Sender::new(false),
            held: watch::Sender::new(0),
            pending: Mutex::default(),
            refusal: Mutex::default(),
        }
    }
}

/// Does nothing, or waits, or fails.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tick {
    /// Whether a job waits until the stage is open.
    pub(crate) hold: bool,
    /// Whether a job fails.
    pub(crate) fail: bool,
    /// How many times; here for a type that a text is not.
    pub(crate) times: u32,
}

inventory::submit! {
    KindInfo { name: "tick", about: "Does as it is told.", schema: || schemars::schema_for!(Tick), counts_rows: true }
}

#[typetag::deserialize(name = "tick")]
impl Kind for Tick {
    fn start(&self, cx: &Starting<'_>) -> Result<Start, BoxError> {
        if let Some(refusal) = cx.get::<Stage>()?.refusal.lock().unwrap().clone() {
            return Err(refusal.into());
        }
        Ok(Start::new(Box::new(Ticking::Begun { hold: self.hold, fail: self.fail })))
    }

    fn pending(&self, cx: &Starting<'_>) -> Result<Option<Pending>, BoxError> {
        Ok(*cx.get::<Stage>()?.pending.lock().unwrap())
    }
}

#[derive(Serialize, Deserialize)]
enum Ticking {
    Begun { hold: bool, fail: bool },
    Done,
}

#[typetag::serde(name = "tick")]
impl Workflow for Ticking {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            if let Ticking::Begun { hold: true, .. } = *self {
                let stage = cx.get::<Stage>()?;
                stage.held.send_modify(|held| *held += 1);
                let mut open = stage.open.subscribe();
                tokio::select! {
                    stop = async { cx.signal().stopped().await } => return Err(stop.into()),
                    _ = open.wait_for(|open| *open) => {}
                }
            }
            match *self {
                Ticking::Begun { fail: true, .. } => Err(StepError::fail("as it was told")),
                _ => Ok(Box::new(Ticking::Done) as Box<dyn Workflow>),
            }
        })
    }

    fn view(&self) -> View<'_> {
        match self {
            Ticking::Begun { .. } => View::new("tick", "Begun"),
            Ticking::Done => View::new("tick", "Done").done(),
        }
    }
}

/// A job that has nothing to wait for.
pub(crate) fn ticking() -> Box<dyn Workflow> {
    Box::new(Ticking::Begun { hold: false, fail: false })
}
