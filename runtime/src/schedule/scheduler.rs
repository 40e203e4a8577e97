//! The task that starts what is due.

use super::anchor;
use super::declared::Declared;
use super::fire::new_job;
use super::line::Line;
use super::list::{Listed, listed};
use crate::error::Error;
use crate::job::Trigger;
use crate::nearest::nearest;
use crate::runner::Shared;
use crate::runtime::Runtime;
use crate::step::BoxError;
use crate::submit::{Draft, Submitted, store};
use futures::{FutureExt, StreamExt};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// The longest sleep. Timers stand still while a machine does and know nothing of a clock that is set.
const SLEEP_MAX: Duration = Duration::from_secs(10);
/// Workflows that are started at the same time.
const STARTS_MAX: usize = 16;
/// How often a kind is asked again when what it expects does not hold.
const EXPECTATIONS_MAX: usize = 5;

/// Starts declared workflows when their time has come. It ends with its runtime.
pub struct Scheduler {
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// There is something to look at.
    wake: Notify,
    /// How many looks are done; none is begun once it is closed.
    looked: watch::Sender<u64>,
    stopped: CancellationToken,
}

struct State {
    declared: Arc<[Declared]>,
    /// Raised by every replacement.
    generation: u64,
    /// What keeps a workflow from starting, by its name.
    troubles: HashMap<String, String>,
    /// How many looks were asked for.
    asked: u64,
}

/// Why a workflow could not be run by hand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// None has this name.
    #[error("{}", unknown(name, nearest.as_deref()))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// Its kind cannot start a job now.
    #[error("workflow {name} cannot start: {source}")]
    Refused {
        /// The workflow.
        name: String,
        /// Why not.
        source: BoxError,
    },
    /// The runtime could not take the job.
    #[error(transparent)]
    Runtime(#[from] Error),
}

fn unknown(name: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(near) => format!("there is no workflow \"{name}\", did you mean \"{near}\"?"),
        None => format!("there is no workflow \"{name}\"; system.workflows lists all"),
    }
}

impl Scheduler {
    /// Begins to start `declared` on `runtime`, by the clock of its environment. Of several with one name the first counts.
    pub fn start(runtime: &Runtime, declared: Vec<Declared>) -> Arc<Self> {
        let shared = Arc::clone(&runtime.0.shared);
        let state = State { declared: declared.into(), generation: 1, troubles: HashMap::new(), asked: 0 };
        let scheduler = Arc::new(Self {
            shared: Arc::clone(&shared),
            state: Mutex::new(state),
            wake: Notify::new(),
            looked: watch::Sender::new(0),
            stopped: shared.killed.child_token(),
        });
        shared.tasks.spawn(Arc::clone(&scheduler).run_on());
        scheduler
    }

    /// Takes other workflows in place of all it has, at once and whole. What is under way goes on.
    pub fn replace(&self, declared: Vec<Declared>) {
        let mut state = self.state();
        state.declared = declared.into();
        state.generation += 1;
        state.troubles.clear();
        drop(state);
        self.wake.notify_one();
    }

    /// The declared workflows.
    pub fn declared(&self) -> Arc<[Declared]> {
        Arc::clone(&self.state().declared)
    }

    /// Runs a workflow now, also a disabled one; or finds its active job.
    ///
    /// # Errors
    ///
    /// See [`RunError`].
    pub async fn run(&self, name: &str) -> Result<Submitted, RunError> {
        let all = self.declared();
        let Some(declared) = all.iter().find(|declared| declared.name == name) else {
            let nearest = nearest(name, all.iter().map(|declared| declared.name.as_str())).map(str::to_owned);
            return Err(RunError::Unknown { name: name.to_owned(), nearest });
        };
        let shared = &self.shared;
        let mut tries = 0;
        loop {
            if shared.stopping.load(Ordering::Acquire) {
                return Err(RunError::Runtime(Error::ShuttingDown));
            }
            let refused = |source| RunError::Refused { name: name.to_owned(), source };
            let new = new_job(shared, declared, Trigger::Manual).await.map_err(refused)?;
            let draft = Draft::of(&new, shared.options.attempts_max)?;
            tries += 1;
            match shared.whole(store(Arc::clone(shared), new, draft)).await {
                // What the kind had read has changed meanwhile.
                Err(Error::Expectation { .. }) if tries < EXPECTATIONS_MAX => {}
                submitted => return Ok(submitted?),
            }
        }
    }

    /// Every declared workflow, with its last and next run. Blocking.
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        let (all, troubles) = {
            let state = self.state();
            (Arc::clone(&state.declared), state.troubles.clone())
        };
        all.iter().map(|declared| listed(&self.shared, declared, troubles.get(&declared.name).cloned())).collect()
    }

    /// Looks at the clock now, and comes back when everything that was due has been dealt with. Only of use where the
    /// environment's clock is not the real one.
    pub async fn look_again(&self) {
        let asked = {
            let mut state = self.state();
            state.asked += 1;
            state.asked
        };
        self.wake.notify_one();
        let mut looked = self.looked.subscribe();
        tokio::select! {
            () = self.stopped.cancelled() => {}
            _ = looked.wait_for(|looked| *looked >= asked) => {}
        }
    }

    /// Starts nothing more. Jobs run on.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_on(self: Arc<Self>) {
        let mut lines: Vec<Line> = Vec::new();
        let mut generation = 0;
        while !self.stopped.is_cancelled() {
            let (declared, now_generation, asked) = {
                let state = self.state();
                (Arc::clone(&state.declared), state.generation, state.asked)
            };
            if generation != now_generation {
                generation = now_generation;
                lines = self.take_over(&declared).await;
            }
            let next = self.turn(&mut lines).await;
            self.state().troubles =
                lines.iter().filter_map(|line| Some((line.declared.name.clone(), line.trouble.clone()?))).collect();
            self.looked.send_replace(asked);
            let sleep = next.map_or(SLEEP_MAX, |next| {
                let micros = next.saturating_sub(self.shared.env.now());
                Duration::from_micros(u64::try_from(micros).unwrap_or(0)).min(SLEEP_MAX)
            });
            tokio::select! {
                () = self.stopped.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Begins with other workflows.
    async fn take_over(&self, declared: &[Declared]) -> Vec<Line> {
        if let Err(error) = anchor::forget_others(&self.shared, declared).await {
            // They would only count as declared all the time, if they came back.
            tracing::warn!(%error, "workflows that are declared no more could not be forgotten");
        }
        let mut lines: Vec<Line> = Vec::with_capacity(declared.len());
        for declared in declared {
            if lines.iter().all(|line| line.declared.name != declared.name) {
                lines.push(Line::new(declared.clone()));
            }
        }
        lines
    }

    /// Deals with everything that is due. Gives the time of what is due next.
    async fn turn(&self, lines: &mut [Line]) -> Option<i64> {
        if self.shared.stopping.load(Ordering::Acquire) || self.shared.stalled().is_some() {
            return None;
        }
        let turns: Vec<_> = lines.iter_mut().map(|line| line.turn(&self.shared).boxed()).collect();
        let next: Vec<_> = futures::stream::iter(turns).buffer_unordered(STARTS_MAX).collect().await;
        next.into_iter().flatten().min()
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("declared", &self.declared().len()).finish_non_exhaustive()
    }
}
