//! Which request is struck by what.

use super::{Fault, Operation};
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests of one operation that fail in one way.
#[derive(Debug, Clone)]
pub struct Rule {
    operation: Operation,
    fault: Fault,
    path: String,
    times: RangeInclusive<u64>,
}

impl Rule {
    /// Every request of this operation.
    ///
    /// # Panics
    /// When the operation cannot fail like this: the test would pass and have tested nothing.
    pub fn new(operation: Operation, fault: Fault) -> Self {
        assert!(fault.fits(operation), "{operation:?} cannot fail with {fault:?}");
        Self { operation, fault, path: String::new(), times: 1..=u64::MAX }
    }

    /// Only of objects whose path has this in it. (A listing's path is its prefix.)
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Only the n-th of them, counted from 1.
    #[must_use]
    pub fn time(self, n: u64) -> Self {
        self.times(n..=n)
    }

    /// Only those with these numbers, counted from 1.
    #[must_use]
    pub fn times(mut self, times: RangeInclusive<u64>) -> Self {
        self.times = times;
        self
    }
}

/// A fault that struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// What was asked for.
    pub operation: Operation,
    /// Of which object.
    pub path: String,
    /// How it failed.
    pub fault: Fault,
}

/// The plan, and what came of it. Of rules that match, the first one strikes; where none does, chance may.
#[derive(Default)]
pub struct Faults(Mutex<Plan>);

#[derive(Default)]
struct Plan {
    /// Each with how many requests it has matched.
    rules: Vec<(Rule, u64)>,
    chance: Option<Chance>,
    /// How often each operation was asked for on each path.
    asked: HashMap<(Operation, String), u64>,
    struck: Vec<Struck>,
    /// Requests that were not answered in time and are on their way still.
    late: Vec<BoxFuture<'static, ()>>,
}

struct Chance {
    seed: u64,
    percent: u64,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("rules", &self.lock().rules).finish_non_exhaustive()
    }
}

impl Faults {
    /// Adds a rule behind those that are there.
    pub fn add(&self, rule: Rule) {
        self.lock().rules.push((rule, 0));
    }

    /// Has so many of a hundred requests fail, each in a way that it can. What strikes depends on the seed, the operation, the
    /// path and how often that was asked for, and not on who comes first: a seed fails the same way again.
    pub fn chance(&self, seed: u64, percent: u64) {
        self.lock().chance = Some(Chance { seed, percent });
    }

    /// From now on nothing fails. Requests that are late are late still.
    pub fn calm(&self) {
        let mut plan = self.lock();
        plan.rules.clear();
        plan.chance = None;
    }

    /// Has every request be done that is late. Gives how many.
    pub async fn arrive(&self) -> usize {
        let late = std::mem::take(&mut self.lock().late);
        let count = late.len();
        for request in late {
            request.await;
        }
        count
    }

    /// What struck so far, in the order in which it did.
    pub fn struck(&self) -> Vec<Struck> {
        self.lock().struck.clone()
    }

    /// What strikes this request, if anything does.
    pub(super) fn strike(&self, operation: Operation, path: &str) -> Option<Fault> {
        let mut plan = self.lock();
        let asked = plan.asked.entry((operation, path.to_owned())).or_default();
        *asked += 1;
        let time = *asked;
        let mut fault = None;
        for (rule, matched) in &mut plan.rules {
            if rule.operation == operation && path.contains(&rule.path) {
                *matched += 1;
                fault = fault.or(rule.times.contains(matched).then_some(rule.fault));
            }
        }
        let fault = fault.or_else(|| plan.chance.as_ref()?.strike(operation, path, time));
        plan.struck.extend(fault.map(|fault| Struck { operation, path: path.to_owned(), fault }));
        fault
    }

    /// This request comes late.
    pub(super) fn delay(&self, request: BoxFuture<'static, ()>) {
        self.lock().late.push(request);
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chance {
    fn strike(&self, operation: Operation, path: &str, time: u64) -> Option<Fault> {
        let mut hasher = DefaultHasher::new();
        (self.seed, operation, path, time).hash(&mut hasher);
        let chance = hasher.finish();
        if chance % 100 >= self.percent {
            return None;
        }
        let mut chance = chance / 100;
        let fitting: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.fits(operation)).collect();
        let fault = fitting[(chance % fitting.len() as u64) as usize];
        chance /= fitting.len() as u64;
        Some(match fault {
            Fault::Slow(_) => Fault::Slow(Duration::from_millis(chance % 3)),
            Fault::Truncated(_) => Fault::Truncated(chance % 1000),
            Fault::Short(_) => Fault::Short((chance % 5) as usize),
            fault => fault,
        })
    }
}
