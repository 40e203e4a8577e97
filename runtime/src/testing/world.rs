//! An engine in a directory of its own, what a runtime on it is started with, and the lives it has had.

use super::death::{Moment, Mortal};
use super::env::Env;
use super::sound;
use crate::error::Error;
use crate::job::{Job, JobId, Transition};
use crate::query::Filter;
use crate::runtime::{Builder, Options, Runtime};
use crate::status::Status;
use crate::submit::NewJob;
use crate::{SPACES, query};
use ebbtide_engine::env::{Env as _, SharedEnv};
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{BoxFuture, Commit, CommitError, Options as EngineOptions, SharedEngine, Space};
use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Where the clock of a new world stands: 2030-01-01T00:00:00Z, in microseconds since the Unix epoch.
pub const START: i64 = 1_893_456_000_000_000;

/// Longer than anything in a test takes: one that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clock moves after which [`World::run_to_end`] gives up on jobs that are tried again and again.
const CLOCK_MOVES_MAX: u32 = 10_000;

type Prepare = Arc<dyn Fn(Builder) -> BoxFuture<'static, Builder> + Send + Sync>;

/// An engine in a directory of its own, and runtimes on it, one life after another.
pub struct World {
    /// The engine of this life; another one after a crash.
    pub engine: SharedEngine,
    /// Clock, ids, chance.
    pub env: Arc<Env>,
    /// How the runtime behaves that is started next.
    pub options: Options,
    mortal: Arc<Mortal>,
    database: SharedEngine,
    spaces: Vec<Space>,
    prepare: Vec<Prepare>,
    runtime: Option<Runtime>,
    crashes: u32,
    /// How the lives after this one die.
    later: VecDeque<(u64, Moment)>,
    directory: TempDir,
}

impl World {
    /// A world with the runtime's own spaces and a clock that stands at [`START`].
    pub fn new() -> Self {
        Self::with_spaces(&[])
    }

    /// A world whose engine has these spaces beside the runtime's own.
    pub fn with_spaces(spaces: &[Space]) -> Self {
        Self::with_env(Env::held_at(START), spaces)
    }

    /// A world with an environment of its own making.
    pub fn with_env(env: Env, spaces: &[Space]) -> Self {
        let directory = tempfile::tempdir().expect("the system's folder for temporary files takes a new one");
        let env = Arc::new(env);
        let spaces = [SPACES, spaces].concat();
        let database = open(directory.path(), &spaces, &env);
        let mortal = Mortal::new(Arc::clone(&database));
        Self {
            engine: Arc::clone(&mortal) as SharedEngine,
            env,
            options: Options::default(),
            mortal,
            database,
            spaces,
            prepare: Vec::new(),
            runtime: None,
            crashes: 0,
            later: VecDeque::new(),
            directory,
        }
    }

    /// Registers a service that steps get by its type, in this and every later life.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(self, service: Arc<T>) -> Self {
        self.prepare(move |builder| {
            let service = Arc::clone(&service);
            Box::pin(async move { builder.with(service) })
        })
    }

    /// Has every life begin with `prepare`, as a program's own start: to make services that need the engine of that life.
    #[must_use]
    pub fn prepare(mut self, prepare: impl Fn(Builder) -> BoxFuture<'static, Builder> + Send + Sync + 'static) -> Self {
        self.prepare.push(Arc::new(prepare));
        self
    }

    /// Has the program die at the `commit`-th change of any job from now on, counted from 1: a submission, a claim, each
    /// checkpoint, and whatever else changes a job, are one each. The next [`World::run_to_idle`] starts it again.
    pub fn crash_at(&mut self, commit: u64, moment: Moment) {
        self.mortal.die_at(commit, moment);
    }

    /// Has the life after those that are already doomed die as well, at the `commit`-th change of a job in it.
    pub fn crash_again_at(&mut self, commit: u64, moment: Moment) {
        self.later.push_back((commit, moment));
    }

    /// Comes back when the program has died; at once when it has, and with a panic when it never does.
    pub async fn died(&self) {
        in_time("the program dies", self.mortal.died()).await;
    }

    /// How often the program has died and was started again.
    pub fn crashes(&self) -> u32 {
        self.crashes
    }

    /// How many commits have changed a job in this life.
    pub fn commits(&self) -> u64 {
        self.mortal.commits()
    }

    /// The runtime of this life, started if it was not.
    pub async fn runtime(&mut self) -> Runtime {
        loop {
            if let Some(runtime) = &self.runtime {
                return runtime.clone();
            }
            let died = self.mortal.died();
            let started = tokio::select! {
                biased;
                started = in_time("the runtime starts", self.start_as(self.options.clone())) => Some(started),
                () = died => None,
            };
            match started {
                Some(runtime) => self.runtime = Some(runtime),
                None => self.rise().await,
            }
        }
    }

    /// A further runtime on the same engine, as another process would start it. It does not become [`World::runtime`].
    pub async fn start_as(&self, options: Options) -> Runtime {
        let env = Arc::clone(&self.env) as SharedEnv;
        let mut builder = Runtime::builder(Arc::clone(&self.engine), env).options(options);
        for prepare in &self.prepare {
            builder = prepare(builder).await;
        }
        builder.start().await.expect("a runtime starts on an engine that can be read")
    }

    /// Submits a job and gives its id, or that of the job which holds one of its keys.
    ///
    /// # Errors
    ///
    /// As [`Runtime::submit`]. When the program dies meanwhile, [`CommitError::Failed`]: whether the job is stored is in
    /// doubt, as it is for any caller.
    pub async fn submit(&mut self, new: NewJob) -> Result<JobId, Error> {
        let runtime = self.runtime().await;
        let died = self.mortal.died();
        tokio::select! {
            biased;
            submitted = in_time("a job is submitted", runtime.submit(new)) => submitted.map(|submitted| *submitted.id()),
            () = died => {
                drop(runtime);
                self.rise().await;
                let reason = "the process died while a job was submitted".to_owned();
                Err(Error::Commit(CommitError::Failed { reason, disk_full: false }))
            }
        }
    }

    /// Runs until nothing runs and nothing is due by the clock. When the program dies on the way, it is started again and
    /// goes on.
    pub async fn run_to_idle(&mut self) {
        loop {
            let runtime = self.runtime().await;
            let died = self.mortal.died();
            let alive = tokio::select! {
                biased;
                () = died => false,
                () = in_time("the jobs come to rest", runtime.idle()) => !self.mortal.is_dead(),
            };
            drop(runtime);
            if alive {
                return;
            }
            self.rise().await;
        }
    }

    /// Runs until no job is left that time alone would move: the clock is put to the next time a job waits for, again and
    /// again. Paused and parked jobs stay.
    pub async fn run_to_end(&mut self) {
        for _ in 0..CLOCK_MOVES_MAX {
            self.run_to_idle().await;
            let waiting = Filter::statuses([Status::Pending, Status::Retrying, Status::Running]);
            let next = self.list(waiting).iter().filter_map(|job| job.next_run_at.or(job.lease_expires_at)).min();
            let Some(next) = next else { return };
            self.env.hold(next.max(self.env.now()));
            if let Some(runtime) = &self.runtime {
                runtime.look_again();
            }
        }
        panic!(
            "after {CLOCK_MOVES_MAX} moves of the clock some jobs are still tried again: {:?}",
            self.list(Filter::default())
        );
    }

    /// Moves the clock on and lets the runtime see it.
    pub fn advance(&self, by: Duration) {
        self.env.advance(i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
        if let Some(runtime) = &self.runtime {
            runtime.look_again();
        }
    }

    /// The job as stored.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn job(&self, id: &JobId) -> Job {
        let job = query::job(&*self.database.snapshot(), id).expect("the engine can be read");
        job.unwrap_or_else(|| panic!("the job {id} is not stored"))
    }

    /// The stored jobs that `filter` asks for, newest first.
    pub fn list(&self, filter: Filter) -> Vec<Job> {
        let jobs = query::jobs(&self.database.snapshot(), filter).and_then(|mut jobs| jobs.page(usize::MAX));
        jobs.expect("the engine can be read")
    }

    /// Every transition of a job, in order.
    pub fn transitions(&self, id: &JobId) -> Vec<Transition> {
        let read = query::transitions(&self.database.snapshot(), Some(id)).and_then(|mut read| read.page(usize::MAX));
        read.expect("the engine can be read")
    }

    /// The states that a job has been in, in order; one that only changed its status, or was claimed again, once.
    pub fn path(&self, id: &JobId) -> Vec<String> {
        let mut path: Vec<String> = self.transitions(id).into_iter().map(|transition| transition.to_state).collect();
        path.dedup();
        path
    }

    /// A job's transitions in words, as `"Paying retrying: the bank's line is busy"`.
    pub fn history(&self, id: &JobId) -> Vec<String> {
        let said = |transition: Transition| match transition.error {
            Some(error) => format!("{} {}: {error}", transition.to_state, transition.status),
            None => format!("{} {}", transition.to_state, transition.status),
        };
        self.transitions(id).into_iter().map(said).collect()
    }

    /// Asserts that counters, index keys, transitions and bodies are exactly those of the stored rows. Reads all of them.
    ///
    /// # Panics
    ///
    /// When they are not, with a list of what is wrong.
    pub fn assert_sound(&self) {
        let wrong = sound::unsound(&self.database.snapshot());
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// The folder that the engine is in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Pulls the plug: the runtime ends where it stands. The next use starts another one.
    pub async fn crash(&mut self) {
        self.rise().await;
    }

    /// Closes the engine and opens its directory again. No runtime may be left: see [`World::crash`].
    #[must_use]
    pub fn reopen(self) -> Self {
        let World { engine, mortal, database, runtime, env, options, spaces, prepare, crashes, later, directory } =
            self;
        drop((engine, mortal, runtime));
        database.close();
        // The last handle goes here: nobody else may open the folder before.
        drop(database);
        let database = open(directory.path(), &spaces, &env);
        let mortal = Mortal::new(Arc::clone(&database));
        let engine = Arc::clone(&mortal) as SharedEngine;
        World { engine, mortal, database, runtime: None, env, options, spaces, prepare, crashes, later, directory }
    }

    /// Ends this life and begins the next.
    async fn rise(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Told first that nobody acts any more, then that nobody answers.
            let ended = async { tokio::join!(runtime.halt(), async { self.mortal.bury() }) };
            in_time("the tasks of a dead runtime end", ended).await;
        }
        self.mortal.bury();
        // A commit that was on its way when the program died has happened, or not, before the next one looks.
        in_time("the last commits end", self.database.commit(Commit::default()))
            .await
            .expect("the engine can be written");
        self.crashes += 1;
        self.mortal = Mortal::new(Arc::clone(&self.database));
        self.engine = Arc::clone(&self.mortal) as SharedEngine;
        if let Some((commit, moment)) = self.later.pop_front() {
            self.mortal.die_at(commit, moment);
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("directory", &self.directory)
            .field("crashes", &self.crashes)
            .finish_non_exhaustive()
    }
}

fn open(path: &Path, spaces: &[Space], env: &Arc<Env>) -> SharedEngine {
    Rocks::open(path, spaces, &EngineOptions::default(), Arc::clone(env) as SharedEnv)
        .expect("an engine opens in its own folder")
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}
