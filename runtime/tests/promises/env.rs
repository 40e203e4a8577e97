//! Clock, chance, crash points and planted defects, all in the hand of a test.

use ebbtide_engine::env::{Defect, Env, SystemEnv};
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use uuid::Uuid;

/// The system's clock, moved on by what a test adds; chance as a test sets it; crash points that a test arms.
#[derive(Debug, Default)]
pub(crate) struct TestEnv {
    ahead: AtomicI64,
    /// When not zero: the clock stands here.
    held: AtomicI64,
    chance: AtomicU64,
    /// The point to crash at, and how often to pass it before.
    armed: Mutex<Option<(&'static str, u32)>>,
    planted: Mutex<HashSet<Defect>>,
}

impl TestEnv {
    pub(crate) fn hold(&self, at: i64) {
        self.held.store(at, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, micros: i64) {
        self.ahead.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn set_chance(&self, chance: u64) {
        self.chance.store(chance, Ordering::SeqCst);
    }

    pub(crate) fn crash_at(&self, point: &'static str, passes: u32) {
        *self.armed.lock().unwrap() = Some((point, passes));
    }

    pub(crate) fn plant(&self, defect: Defect) {
        self.planted.lock().unwrap().insert(defect);
    }
}

impl Env for TestEnv {
    fn now(&self) -> i64 {
        let base = match self.held.load(Ordering::SeqCst) {
            0 => SystemEnv.now(),
            held => held,
        };
        base + self.ahead.load(Ordering::SeqCst)
    }

    fn id(&self) -> Uuid {
        SystemEnv.id()
    }

    fn random(&self) -> u64 {
        self.chance.load(Ordering::SeqCst)
    }

    fn reached(&self, point: &'static str) {
        let mut armed = self.armed.lock().unwrap();
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
        self.planted.lock().unwrap().contains(&defect)
    }
}
