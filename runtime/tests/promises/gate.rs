//! An environment that holds one task at a point of the program until the test lets it go, and a world with it.

use crate::script::Stage;
use crate::world::MARKS;
use ebbtide_engine::env::{Defect, Env, SharedEnv};
use ebbtide_engine::rocks::Rocks;
use ebbtide_engine::{Options as EngineOptions, SharedEngine, counter};
use ebbtide_runtime::{Options, Runtime, testing};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// The environment of all tests, with a gate.
#[derive(Debug)]
pub(crate) struct Gated {
    below: testing::Env,
    /// The point to be held at, and how often to pass it before.
    armed: Mutex<Option<(&'static str, u32)>>,
    held: Mutex<bool>,
    changed: Condvar,
}

impl Gated {
    /// The task that reaches `point` after it was passed so many times is held there, with its thread.
    pub(crate) fn hold_at(&self, point: &'static str, passes: u32) {
        *self.armed.lock().unwrap() = Some((point, passes));
    }

    /// Whether a task is held.
    pub(crate) fn holds_one(&self) -> bool {
        *self.held.lock().unwrap()
    }

    /// Lets the held task go, if there is one, and holds no other.
    pub(crate) fn let_go(&self) {
        *self.armed.lock().unwrap() = None;
        *self.held.lock().unwrap() = false;
        self.changed.notify_all();
    }

    pub(crate) fn crash_at(&self, point: &'static str, passes: u32) {
        self.below.crash_at(point, passes);
    }

    fn is_to_be_held(&self, point: &'static str) -> bool {
        let mut armed = self.armed.lock().unwrap();
        match &mut *armed {
            Some((at, 0)) if *at == point => {
                *armed = None;
                *self.held.lock().unwrap() = true;
                true
            }
            Some((at, passes)) if *at == point => {
                *passes -= 1;
                false
            }
            _ => false,
        }
    }
}

impl Env for Gated {
    fn now(&self) -> i64 {
        self.below.now()
    }

    fn id(&self) -> Uuid {
        self.below.id()
    }

    fn random(&self) -> u64 {
        self.below.random()
    }

    fn reached(&self, point: &'static str) {
        if self.is_to_be_held(point) {
            let mut held = self.held.lock().unwrap();
            while *held {
                held = self.changed.wait(held).unwrap();
            }
        }
        self.below.reached(point);
    }

    fn planted(&self, defect: Defect) -> bool {
        self.below.planted(defect)
    }
}

/// An engine with a gate, in a directory of its own, and what a runtime on it is started with.
pub(crate) struct GatedWorld {
    pub(crate) engine: SharedEngine,
    pub(crate) env: Arc<Gated>,
    pub(crate) stage: Arc<Stage>,
    directory: TempDir,
    _let_go: LetGo,
}

/// A test that fails leaves no thread behind that its end would wait for.
struct LetGo(Arc<Gated>);

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

fn open(path: &Path, env: &Arc<Gated>) -> SharedEngine {
    let spaces = [ebbtide_runtime::SPACES, &[MARKS]].concat();
    Rocks::open(path, &spaces, &EngineOptions::default(), Arc::clone(env) as SharedEnv).unwrap()
}

fn environment() -> Arc<Gated> {
    Arc::new(Gated {
        below: testing::Env::running(),
        armed: Mutex::default(),
        held: Mutex::default(),
        changed: Condvar::new(),
    })
}

impl GatedWorld {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let env = environment();
        let engine = open(directory.path(), &env);
        Self { engine, _let_go: LetGo(Arc::clone(&env)), env, stage: Arc::new(Stage::new()), directory }
    }

    /// Options under which what fails is tried again at once.
    pub(crate) fn options() -> Options {
        Options {
            backoff_min: Duration::from_micros(1),
            backoff_max: Duration::from_micros(1),
            cancel_grace: Duration::from_millis(100),
            ..Options::default()
        }
    }

    pub(crate) async fn start_as(&self, options: Options) -> Runtime {
        Runtime::builder(Arc::clone(&self.engine), Arc::clone(&self.env) as SharedEnv)
            .options(options)
            .with(Arc::clone(&self.stage))
            .start()
            .await
            .unwrap()
    }

    /// Closes the engine and opens its directory again, with nothing armed. No runtime may be left.
    pub(crate) fn reopen(self) -> Self {
        let GatedWorld { engine, env, stage, directory, .. } = self;
        env.let_go();
        engine.close();
        drop(engine);
        let env = environment();
        let engine = open(directory.path(), &env);
        GatedWorld { engine, _let_go: LetGo(Arc::clone(&env)), env, stage, directory }
    }

    pub(crate) fn marks(&self, name: &str) -> i64 {
        self.engine.snapshot().get(MARKS, name.as_bytes()).unwrap().map_or(0, |value| counter(&value))
    }
}
