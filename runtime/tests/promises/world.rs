//! An engine in a directory of its own, and runtimes on it.

use crate::env::TestEnv;
use crate::script::Stage;
use ebbtide_engine::env::SharedEnv;
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Cache, Options as EngineOptions, SharedEngine, Space, counter};
use ebbtide_runtime::{Job, JobId, NewJob, Options, Runtime};
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Where the steps of tests leave their marks.
pub(crate) const MARKS: Space = Space { name: "marks", cache: Cache::Shared };

/// Longer than anything here takes: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Gives a future enough time, and no more.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("this should not have taken so long")
}

/// An engine in a directory of its own, and what a runtime on it is started with.
pub(crate) struct World {
    pub(crate) engine: SharedEngine,
    pub(crate) env: Arc<TestEnv>,
    pub(crate) stage: Arc<Stage>,
    pub(crate) options: Options,
    directory: TempDir,
}

fn open(path: &Path, env: &Arc<TestEnv>) -> SharedEngine {
    let spaces = [ebbtide_runtime::SPACES, &[MARKS]].concat();
    Rocks::open(path, &spaces, &EngineOptions::default(), Arc::clone(env) as SharedEnv).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let env = Arc::new(TestEnv::default());
        Self {
            engine: open(directory.path(), &env),
            env,
            stage: Arc::new(Stage::new()),
            // Failures are tried again at once, unless a test is about that.
            options: Options {
                backoff_min: Duration::from_micros(1),
                backoff_max: Duration::from_micros(1),
                cancel_grace: Duration::from_millis(100),
                ..Options::default()
            },
            directory,
        }
    }

    /// A runtime on this engine.
    pub(crate) async fn start(&self) -> Runtime {
        self.start_as(self.options.clone()).await
    }

    pub(crate) async fn start_as(&self, options: Options) -> Runtime {
        Runtime::builder(Arc::clone(&self.engine), Arc::clone(&self.env) as SharedEnv)
            .options(options)
            .with(Arc::clone(&self.stage))
            .start()
            .await
            .unwrap()
    }

    /// Closes the engine and opens its directory again. No runtime may be left.
    pub(crate) fn reopen(self) -> Self {
        let World { engine, env, stage, options, directory } = self;
        engine.close();
        drop(engine);
        World { engine: open(directory.path(), &env), env, stage, options, directory }
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
