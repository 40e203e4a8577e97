//! An engine in a directory of its own, and runtimes on it.

use crate::script::Stage;
use ebbtide_engine::{Cache, Space, counter};
use ebbtide_runtime::testing::{self, Env};
use ebbtide_runtime::{Job, JobId, NewJob, Options, Runtime};
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

/// Where the steps of tests leave their marks.
pub(crate) const MARKS: Space = Space { name: "marks", cache: Cache::Shared };

/// Longer than anything here takes: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Gives a future enough time, and no more.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("this should not have taken so long")
}

/// A world with the system's clock, a space for marks, and a stage to meet the steps of jobs.
pub(crate) struct World {
    world: testing::World,
    pub(crate) stage: Arc<Stage>,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &Self::Target {
        &self.world
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.world
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let stage = Arc::new(Stage::new());
        let mut world = testing::World::with_env(Env::running(), &[MARKS]).with(Arc::clone(&stage));
        // Failures are tried again at once, unless a test is about that.
        world.options = Options {
            backoff_min: Duration::from_micros(1),
            backoff_max: Duration::from_micros(1),
            cancel_grace: Duration::from_millis(100),
            ..Options::default()
        };
        Self { world, stage }
    }

    /// A runtime on this engine, in the hand of the test.
    pub(crate) async fn start(&self) -> Runtime {
        self.start_as(self.options.clone()).await
    }

    /// Closes the engine and opens its directory again. No runtime may be left.
    pub(crate) fn reopen(self) -> Self {
        Self { world: self.world.reopen(), stage: self.stage }
    }

    /// How often a mark was made.
    pub(crate) fn marks(&self, name: &str) -> i64 {
        self.engine.snapshot().get(MARKS, name.as_bytes()).unwrap().map_or(0, |value| counter(&value))
    }
}

/// Submits a job that must be new.
pub(crate) async fn submit(runtime: &Runtime, new: NewJob) -> JobId {
    match in_time(runtime.submit(new)).await.unwrap() {
        ebbtide_runtime::Submitted::New(id) => id,
        existing => panic!("a new job was expected, not {existing:?}"),
    }
}

/// Waits for a job's end.
pub(crate) async fn wait(runtime: &Runtime, id: &JobId) -> Job {
    in_time(runtime.wait(id)).await.unwrap()
}

/// The job as stored.
pub(crate) fn stored(runtime: &Runtime, id: &JobId) -> Job {
    runtime.job(id).unwrap().expect("the job is stored")
}

/// The error of something that must fail, as text.
pub(crate) fn refusal<T: Debug>(result: Result<T, ebbtide_runtime::Error>) -> String {
    result.expect_err("this must be refused").to_string()
}
