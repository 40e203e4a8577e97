//! Clock, ids, chance, crash points and planted defects, all in the hand of a test.

use ebbtide_engine::env::{Defect, Env as Outside, HeldEnv, SystemEnv};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// What is outside a program, held by a test. The clock stands ([`Env::held_at`]) or is the system's ([`Env::running`]); chance
/// is 0 until it is set, so that a failed step is tried again at once.
#[derive(Debug)]
pub struct Env {
    held: HeldEnv,
    runs: AtomicBool,
    /// What is added to a clock that runs.
    ahead: AtomicI64,
    chance: AtomicU64,
    /// The point to crash at, and how often to pass it before.
    armed: Mutex<Option<(&'static str, u32)>>,
    planted: Mutex<HashSet<Defect>>,
}

impl Env {
    /// A clock that stands at `now`, in microseconds since the Unix epoch, and ids that are the same in every run.
    pub fn held_at(now: i64) -> Self {
        Self {
            held: HeldEnv::at(now),
            runs: AtomicBool::new(false),
            ahead: AtomicI64::new(0),
            chance: AtomicU64::new(0),
            armed: Mutex::default(),
            planted: Mutex::default(),
        }
    }

    /// The system's clock and ids.
    pub fn running() -> Self {
        let env = Self::held_at(0);
        env.runs.store(true, Ordering::SeqCst);
        env
    }

    /// From now on the clock stands at `at`, in microseconds since the Unix epoch.
    pub fn hold(&self, at: i64) {
        self.held.set(at);
        self.runs.store(false, Ordering::SeqCst);
    }

    /// Moves the clock on by `micros`, or back. A runtime that waits for a time has to be told:
    /// [`Runtime::look_again`](crate::Runtime::look_again).
    pub fn advance(&self, micros: i64) {
        if self.runs.load(Ordering::SeqCst) {
            self.ahead.fetch_add(micros, Ordering::SeqCst);
        } else {
            self.held.advance(micros);
        }
    }

    /// What every question for chance is answered with from now on.
    pub fn set_chance(&self, chance: u64) {
        self.chance.store(chance, Ordering::SeqCst);
    }

    /// Panics when `point` is reached after it was passed `passes` times. The task that is there ends, and with it whatever it
    /// was about to do; others go on. A death of everything is [`World::crash_at`](super::World::crash_at).
    pub fn crash_at(&self, point: &'static str, passes: u32) {
        *lock(&self.armed) = Some((point, passes));
    }

    /// Plants a known bug.
    pub fn plant(&self, defect: Defect) {
        lock(&self.planted).insert(defect);
    }
}

impl Outside for Env {
    fn now(&self) -> i64 {
        if self.runs.load(Ordering::SeqCst) {
            SystemEnv.now() + self.ahead.load(Ordering::SeqCst)
        } else {
            self.held.now()
        }
    }

    fn id(&self) -> Uuid {
        if self.runs.load(Ordering::SeqCst) { SystemEnv.id() } else { self.held.id() }
    }

    fn random(&self) -> u64 {
        self.chance.load(Ordering::SeqCst)
    }

    fn reached(&self, point: &'static str) {
        let mut armed = lock(&self.armed);
        match &mut *armed {
            Some((at, 0)) if *at == point => {
                *armed = None;
                drop(armed);
                panic!("crashed at {point}");
            }
            Some((at, passes)) if *at == point => *passes -= 1,
            _ => {}
        }
    }

    fn planted(&self, defect: Defect) -> bool {
        lock(&self.planted).contains(&defect)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
