//! A workflow that does as it is told, and the place where a test meets it.

use crate::world::{MARKS, in_time};
use ebbtide_engine::{Cache, Expect, Space, Write};
use ebbtide_runtime::{BoxFuture, NewJob, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a step of [`Scripted`] does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Goes on.
    Step,
    /// Goes on within the same state, for another subject.
    For(String),
    /// Adds one to a mark, in the commit of the step.
    Mark(String),
    /// Fails the first so many tries.
    Fail(u32),
    /// Fails for good.
    GiveUp,
    /// Panics at the first try.
    Panic,
    /// Tells the test, and waits for it or the signal.
    Hold,
    /// Tells the test, and waits for it, deaf to the signal.
    Deaf,
    /// Tells the test, and blocks its thread until the test opens the gate.
    Block,
    /// As `Block`, in the first claim alone.
    BlockOnce,
    /// Works so long in silence, but for signs of life.
    Alive(Duration),
    /// Is stored as a later version would store it.
    Later,
    /// Expects a mark to be absent; the test's own commit makes it so or not.
    Expect(String),
    /// Says that what it read has changed, for ever.
    Conflict,
    /// Uses CPU and memory, and says how far it is before it waits as `Hold` does.
    Work,
    /// Writes into a space that the engine does not have.
    Stray,
}

/// A job that acts out a script, one state after another. State `S2` is about to do the third act.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scripted {
    pub(crate) script: Vec<Act>,
    #[serde(default)]
    pub(crate) at: usize,
    #[serde(default)]
    pub(crate) scope: Option<(String, String)>,
}

const NAMES: [&str; 8] = ["S0", "S1", "S2", "S3", "S4", "S5", "S6", "S7"];

pub(crate) fn scripted(script: impl IntoIterator<Item = Act>) -> Box<Scripted> {
    Box::new(Scripted { script: script.into_iter().collect(), at: 0, scope: None })
}

pub(crate) fn job(script: impl IntoIterator<Item = Act>) -> NewJob {
    NewJob::new("test", scripted(script))
}

pub(crate) fn mark(name: &str) -> Act {
    Act::Mark(name.to_owned())
}

#[typetag::serde(name = "scripted")]
impl Workflow for Scripted {
    fn step<'a>(mut self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            let stage = cx.get::<Stage>()?;
            stage.log(format!("{} epoch {} attempt {}", NAMES[self.at], cx.epoch(), cx.attempt()));
            act(&self.script[self.at], cx, &stage).await?;
            self.at += 1;
            Ok(self as Box<dyn Workflow>)
        })
    }

    fn view(&self) -> View<'_> {
        let (state, subject) = match self.script.get(self.at) {
            Some(Act::For(subject)) => ("For", Some(subject.as_str())),
            _ => (NAMES[self.at], None),
        };
        let done = self.at == self.script.len();
        View {
            subject,
            done,
            scope: self.scope.as_ref().map(|(first, second)| (first.as_str(), second.as_str())),
            body_version: if matches!(self.script.get(self.at), Some(Act::Later)) { 2 } else { 1 },
            parameters: serde_json::json!({ "acts": self.script.len() }),
            result: done.then(|| serde_json::json!({ "acted": self.at })),
            ..View::new("scripted", state)
        }
    }
}

async fn act(act: &Act, cx: &mut Step, stage: &Stage) -> Result<(), StepError> {
    match act {
        Act::Step | Act::For(_) | Act::Later => {}
        Act::Mark(name) => cx.write(Write::add(MARKS, name.as_bytes(), 1)),
        Act::Fail(times) if cx.attempt() <= *times => {
            return Err(StepError::retry(format!("failure {}", cx.attempt())));
        }
        Act::Fail(_) => {}
        Act::GiveUp => return Err(StepError::fail("there is no way")),
        Act::Panic if cx.attempt() == 1 => panic!("the step's own bug"),
        Act::Panic => {}
        Act::Hold => stage.hold(cx).await?,
        Act::Deaf => {
            stage.entered.add_permits(1);
            stage.release.acquire().await.expect("never closed").forget();
        }
        Act::Block => stage.block(),
        Act::BlockOnce if cx.epoch() == 1 => stage.block(),
        Act::BlockOnce => {}
        Act::Alive(length) => {
            let (progress, length) = (cx.progress().clone(), *length);
            let blocking = move || {
                let end = std::time::Instant::now() + length;
                while std::time::Instant::now() < end {
                    progress.alive();
                    std::thread::yield_now();
                }
            };
            tokio::task::spawn_blocking(blocking).await.expect("it does not panic");
        }
        Act::Expect(name) => {
            cx.expect(Expect::absent(MARKS, name.as_bytes()));
            cx.write(Write::add(MARKS, "expected", 1));
        }
        Act::Conflict => return Err(StepError::Conflict),
        Act::Work => {
            let progress = cx.progress().clone();
            progress.set_users_total(10);
            progress.set_users_done(4);
            progress.add_rows(100);
            progress.add_bytes(5000);
            progress.set_subject("ana");
            progress.reserve_memory(1 << 20);
            progress.reserve_memory(1 << 10);
            spin(Duration::from_millis(20));
            let blocking = tokio::task::spawn_blocking(move || progress.charge(|| spin(Duration::from_millis(20))));
            blocking.await.expect("it does not panic");
            stage.hold(cx).await?;
        }
        Act::Stray => cx.write(Write::put(Space { name: "nowhere", cache: Cache::Shared }, "k", "v")),
    }
    Ok(())
}

/// Uses this much CPU time of the thread, or a little more.
fn spin(cpu: Duration) {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let end = now() + cpu;
    while now() < end {
        std::hint::black_box(end);
    }
}

/// Where a test meets the steps of its jobs.
#[derive(Debug)]
pub(crate) struct Stage {
    entered: Semaphore,
    release: Semaphore,
    gate: Mutex<bool>,
    opened: Condvar,
    log: Mutex<Vec<String>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            entered: Semaphore::new(0),
            release: Semaphore::new(0),
            gate: Mutex::new(false),
            opened: Condvar::new(),
            log: Mutex::new(Vec::new()),
        }
    }

    fn log(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    /// Every step begun so far, as "S1 epoch 2 attempt 1".
    pub(crate) fn steps(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    async fn hold(&self, cx: &Step) -> Result<(), StepError> {
        self.entered.add_permits(1);
        let signal = cx.signal();
        tokio::select! {
            released = self.release.acquire() => {
                released.expect("never closed").forget();
                Ok(())
            }
            stop = signal.stopped() => Err(stop.into()),
        }
    }

    fn block(&self) {
        self.entered.add_permits(1);
        let mut open = self.gate.lock().expect("no panic inside");
        while !*open {
            open = self.opened.wait(open).expect("no panic inside");
        }
    }

    /// Waits until a step holds.
    pub(crate) async fn entered(&self) {
        in_time(self.entered.acquire()).await.unwrap().forget();
    }

    pub(crate) fn release(&self) {
        self.release.add_permits(1);
    }

    /// Takes back releases that no step has used.
    pub(crate) fn forget_releases(&self) {
        self.release.forget_permits(usize::MAX);
    }

    pub(crate) fn open_gate(&self) {
        *self.gate.lock().unwrap() = true;
        self.opened.notify_all();
    }
}
