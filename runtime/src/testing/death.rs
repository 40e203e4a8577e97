//! An engine that dies at a chosen commit, as the process would: nothing later is written and nobody hears anything more.

use crate::keys::JOBS;
use ebbtide_engine::{
    BoxFuture, Commit, CommitError, Committed, Engine, Error, Health, KeyRange, Memory, SharedEngine, Snapshot, Space,
};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// When the program dies, as seen from one commit. A commit is atomic, so there is no half of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Nothing of it is written. What the step did outside the engine has happened.
    Before,
    /// It is written, and the program never hears of it.
    During,
    /// It is written and the program was told; nothing after it is written.
    After,
}

impl Moment {
    /// All three.
    pub const ALL: [Moment; 3] = [Moment::Before, Moment::During, Moment::After];
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Moment::Before => "before",
            Moment::During => "in",
            Moment::After => "after",
        })
    }
}

/// One life of a process on an engine.
#[derive(Debug)]
pub(super) struct Mortal {
    engine: SharedEngine,
    life: Arc<Life>,
}

#[derive(Debug, Default)]
struct Life {
    course: Mutex<Course>,
    died: CancellationToken,
    /// Those who wait for an answer get none until nobody is left who could act on it.
    buried: CancellationToken,
}

#[derive(Debug, Default)]
struct Course {
    /// Commits that changed a job.
    commits: u64,
    /// The commit to die at, counted as `commits`.
    death: Option<(u64, Moment)>,
    over: bool,
}

enum Fate {
    Lives,
    DiesHere(Moment),
    IsDead,
}

impl Mortal {
    pub(super) fn new(engine: SharedEngine) -> Arc<Self> {
        Arc::new(Self { engine, life: Arc::default() })
    }

    /// Has it die at the `commit`-th change of a job from now on, counted from 1.
    pub(super) fn die_at(&self, commit: u64, moment: Moment) {
        let mut course = self.life.course();
        course.death = Some((course.commits + commit.max(1), moment));
    }

    /// How many commits of this life have changed a job.
    pub(super) fn commits(&self) -> u64 {
        self.life.course().commits
    }

    pub(super) fn is_dead(&self) -> bool {
        self.life.died.is_cancelled()
    }

    /// Comes back when it dies.
    pub(super) fn died(&self) -> impl Future<Output = ()> + use<> {
        self.life.died.clone().cancelled_owned()
    }

    /// Dies now, if it lives, and lets go of everybody who waits for an answer.
    pub(super) fn bury(&self) {
        self.life.course().over = true;
        self.life.died.cancel();
        self.life.buried.cancel();
    }
}

impl Life {
    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, commit: &Commit) -> Fate {
        let mut course = self.course();
        if course.over {
            return Fate::IsDead;
        }
        if !commit.writes.iter().any(|write| write.space().name == JOBS.name) {
            return Fate::Lives;
        }
        course.commits += 1;
        match course.death {
            Some((at, moment)) if at == course.commits => {
                course.over = true;
                Fate::DiesHere(moment)
            }
            _ => Fate::Lives,
        }
    }

    /// What everybody hears who asked a dead process for a commit: that it is in doubt.
    async fn silence(self: Arc<Self>) -> Result<Committed, CommitError> {
        self.buried.cancelled().await;
        Err(CommitError::Failed { reason: "the process died here, as a test wished".to_owned(), disk_full: false })
    }
}

/// Announces the death, also when the future that should have is dropped.
struct LastWord(Arc<Life>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.died.cancel();
    }
}

impl Engine for Mortal {
    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Committed, CommitError>> {
        let life = Arc::clone(&self.life);
        match life.fate(&commit) {
            Fate::Lives => self.engine.commit(commit),
            Fate::IsDead => Box::pin(life.silence()),
            Fate::DiesHere(Moment::Before) => {
                drop(LastWord(Arc::clone(&life)));
                Box::pin(life.silence())
            }
            Fate::DiesHere(moment) => {
                let last_word = LastWord(Arc::clone(&life));
                let written = self.engine.commit(commit);
                Box::pin(async move {
                    let answer = written.await;
                    drop(last_word);
                    if moment == Moment::After { answer } else { life.silence().await }
                })
            }
        }
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.engine.snapshot()
    }

    fn last_seq(&self) -> u64 {
        self.engine.last_seq()
    }

    fn raise_seq(&self, floor: u64) {
        self.engine.raise_seq(floor);
    }

    fn compact(&self, space: Space, live_keys: u64) -> BoxFuture<'static, ()> {
        self.engine.compact(space, live_keys)
    }

    fn purge(&self, ranges: Vec<(Space, KeyRange)>) -> BoxFuture<'static, Result<(), Error>> {
        self.engine.purge(ranges)
    }

    fn memory(&self) -> Memory {
        self.engine.memory()
    }

    fn health(&self) -> Health {
        self.engine.health()
    }

    fn close(&self) {
        self.engine.close();
    }
}
