//! The handle and its builder.

use crate::error::Error;
use crate::job::{Job, JobId, Transition};
use crate::nodes;
use crate::progress::Figures;
use crate::query::{self, Filter};
use crate::recover;
use crate::recovery::Recovery;
use crate::runner::Shared;
use crate::services::Services;
use crate::status::Status;
use crate::supervisor;
use ebbtide_engine::SharedEngine;
use ebbtide_engine::env::SharedEnv;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a runtime behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Jobs that run at once.
    pub concurrency_max: usize,
    /// Tries of one checkpoint before a job fails, for jobs that do not say otherwise.
    pub attempts_max: u32,
    /// The bound of the first wait before another try; it doubles with each further one.
    pub backoff_min: Duration,
    /// The highest bound of such a wait.
    pub backoff_max: Duration,
    /// How long a claim holds without a beat of the process that has it.
    pub lease: Duration,
    /// How long a step may show no sign of life (it is not polled and says no progress) before its job is taken from it.
    /// That counts as a failed try. A step that waits longer than this says [`ProgressHandle::alive`](crate::ProgressHandle::alive).
    pub silence_max: Duration,
    /// Who claims. Claims that an earlier life of the same node left behind are void at its next start, so no two runtimes
    /// that live at once may share a name.
    pub node_id: String,
    /// Waiting jobs that are known in memory. Further ones stand only in the engine until there is room.
    pub queue_jobs_max: usize,
    /// How long a cancelled step may take to stop by itself before it is dropped at its next await.
    pub cancel_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency_max: 4,
            attempts_max: 5,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            lease: Duration::from_secs(30),
            silence_max: Duration::from_secs(600),
            node_id: "local".to_owned(),
            queue_jobs_max: 65_536,
            cancel_grace: Duration::from_millis(300),
        }
    }
}

impl Options {
    pub(crate) fn lease_end(&self, now: i64) -> i64 {
        now.saturating_add(i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Starts a [`Runtime`].
pub struct Builder {
    engine: SharedEngine,
    env: SharedEnv,
    options: Options,
    services: Services,
}

impl Builder {
    /// Sets how the runtime behaves.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// The engine that the jobs will lie in, for services that are made of it.
    pub fn engine(&self) -> &SharedEngine {
        &self.engine
    }

    /// Clock, ids and chance, for services that need them.
    pub fn env(&self) -> &SharedEnv {
        &self.env
    }

    /// Registers a service that steps get by its type, with [`Step::get`](crate::Step::get).
    pub fn with<T: Send + Sync + 'static>(mut self, service: Arc<T>) -> Self {
        self.services.put(service);
        self
    }

    /// Reads the queue back from the engine and starts running: every job that is not over goes on from its last checkpoint.
    ///
    /// # Errors
    ///
    /// When the engine cannot read, or the options make no sense.
    pub async fn start(self) -> Result<Runtime, Error> {
        let Builder { engine, env, options, services } = self;
        if options.concurrency_max == 0 || options.queue_jobs_max == 0 || options.lease.is_zero() {
            return Err(Error::Invalid {
                reason: "concurrency_max, queue_jobs_max and lease of the runtime must be above zero, or no job could ever run".to_owned(),
            });
        }
        let shared = Arc::new(Shared::new(engine, env, options, services));
        let recovery = recover::recover(&shared).await?;
        tracing::info!("{recovery}");
        nodes::started(&shared, &recovery).await;
        supervisor::start(&shared)?;
        Ok(Runtime(Arc::new(Handle { recovery, shared })))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A running set of jobs on one engine. Cheap to clone; when the last clone is dropped, everything ends where it stands, as
/// in a crash, and goes on at the next start. [`Runtime::shutdown`] is the orderly way.
#[derive(Clone)]
pub struct Runtime(pub(crate) Arc<Handle>);

pub(crate) struct Handle {
    pub(crate) recovery: Recovery,
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.kill();
    }
}

impl Runtime {
    /// Begins a runtime on an engine that was opened with [`SPACES`](crate::SPACES).
    pub fn builder(engine: SharedEngine, env: SharedEnv) -> Builder {
        Builder { engine, env, options: Options::default(), services: Services::default() }
    }

    /// The job with this id, with its live numbers while it runs.
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    pub fn job(&self, id: &JobId) -> Result<Option<Job>, Error> {
        let mut job = query::job(&*self.0.shared.engine.snapshot(), id)?;
        if let Some(job) = &mut job {
            self.show_live(job);
        }
        Ok(job)
    }

    /// Up to `jobs_max` jobs, newest first, with their live numbers. Blocking; for longer listings, or to list from a
    /// snapshot that is already there, see [`query::jobs`].
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    pub fn jobs(&self, filter: Filter, jobs_max: usize) -> Result<Vec<Job>, Error> {
        let mut jobs = query::jobs(&self.0.shared.engine.snapshot(), filter)?.page(jobs_max)?;
        jobs.iter_mut().for_each(|job| self.show_live(job));
        Ok(jobs)
    }

    /// Every transition of a job, in order.
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    pub fn transitions(&self, id: &JobId) -> Result<Vec<Transition>, Error> {
        query::transitions(&self.0.shared.engine.snapshot(), Some(id))?.page(usize::MAX)
    }

    /// How many jobs have each status.
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    pub fn counts(&self) -> Result<Vec<(Status, u64)>, Error> {
        query::counts(&*self.0.shared.engine.snapshot())
    }

    /// What this start found of an earlier life of its node, and what became of it.
    pub fn recovery(&self) -> Recovery {
        self.0.recovery.clone()
    }

    /// The live numbers of a job that runs here.
    pub fn live(&self, id: &JobId) -> Option<Figures> {
        self.0.shared.live(id).map(|live| live.progress.figures())
    }

    /// Puts the live numbers of a running job over those of its last checkpoint, for listings.
    pub fn show_live(&self, job: &mut Job) {
        if job.status != Status::Running {
            return;
        }
        let Some(live) = self.0.shared.live(&job.job_id).filter(|live| live.epoch == job.epoch) else {
            return;
        };
        let figures = live.progress.figures();
        if figures.subject.is_some() {
            job.current_user_id = figures.subject;
        }
        // The live numbers start from the checkpoint and only grow.
        job.users_done = job.users_done.max(figures.progress.users_done);
        job.users_total = job.users_total.max(figures.progress.users_total);
        job.rows_done = job.rows_done.max(figures.progress.rows_done);
        job.bytes_done = job.bytes_done.max(figures.progress.bytes_done);
        job.memory_used = job.memory_used.max(figures.memory_used);
        job.cpu_used = job.cpu_used.max(figures.cpu_used);
    }

    /// The engine that the jobs lie in.
    pub fn engine(&self) -> &SharedEngine {
        &self.0.shared.engine
    }

    /// The service of this type that was registered with [`Builder::with`].
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.shared.services.get()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("options", &self.0.shared.options).finish_non_exhaustive()
    }
}
