//! A world with a scheduler.

use crate::tick::{Stage, Tick};
use ebbtide_runtime::schedule::{Cron, Declared, Slot, SlotStatus, When, slots};
use ebbtide_runtime::testing::{START, World};
use ebbtide_runtime::{Filter, Job, Options, Scheduler};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A crontab in UTC.
pub(crate) fn cron(expression: &str) -> When {
    When::Cron(Cron::parse(expression, "UTC").unwrap())
}

/// A workflow of kind `tick`.
pub(crate) fn tick(name: &str, when: When) -> Declared {
    declared(name, when, Tick::default())
}

pub(crate) fn declared(name: &str, when: When, tick: Tick) -> Declared {
    Declared::new(name, "tick", Arc::new(tick), when)
}

/// A world, what its jobs look at, and the workflows that each of its lives begins with.
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) stage: Arc<Stage>,
    pub(crate) declared: Vec<Declared>,
    scheduler: Option<Arc<Scheduler>>,
}

impl Town {
    /// At the start of 2030.
    pub(crate) fn new(declared: impl Into<Vec<Declared>>) -> Self {
        let stage = Arc::new(Stage::default());
        let mut world = World::new().with(Arc::clone(&stage));
        world.options = Options { cancel_grace: Duration::from_millis(100), ..Options::default() };
        Self { world, stage, declared: declared.into(), scheduler: None }
    }

    /// The scheduler of this life, started if it was not.
    pub(crate) async fn scheduler(&mut self) -> Arc<Scheduler> {
        if let Some(scheduler) = &self.scheduler {
            return Arc::clone(scheduler);
        }
        let runtime = self.world.runtime().await;
        let scheduler = Scheduler::start(&runtime, self.declared.clone());
        self.scheduler = Some(Arc::clone(&scheduler));
        scheduler
    }

    /// Looks at the clock and lets everything run that is due. When the program dies on the way, it is started again.
    pub(crate) async fn look(&mut self) {
        loop {
            let scheduler = self.scheduler().await;
            let crashes = self.world.crashes();
            let alive = tokio::select! {
                biased;
                () = self.world.died() => false,
                () = scheduler.look_again() => true,
            };
            if alive {
                self.world.run_to_idle().await;
            } else {
                self.crash().await;
            }
            if self.world.crashes() == crashes {
                return;
            }
            self.scheduler = None;
        }
    }

    /// As `look`, while a job is held: nothing comes to rest then.
    pub(crate) async fn look_only(&mut self) {
        let scheduler = self.scheduler().await;
        scheduler.look_again().await;
    }

    /// Moves the clock on and looks.
    pub(crate) async fn advance(&mut self, micros: i64) {
        self.world.advance(Duration::from_micros(u64::try_from(micros).unwrap()));
        self.look().await;
    }

    /// Puts the clock, and looks.
    pub(crate) async fn set(&mut self, after_start: i64) {
        self.world.env.hold(START + after_start);
        self.look().await;
    }

    /// The program dies, and is away until the next look.
    pub(crate) async fn crash(&mut self) {
        self.scheduler = None;
        self.world.crash().await;
    }

    /// Takes other workflows.
    pub(crate) async fn replace(&mut self, declared: impl Into<Vec<Declared>>) {
        self.declared = declared.into();
        let scheduler = self.scheduler().await;
        scheduler.replace(self.declared.clone());
        self.look().await;
    }

    /// Comes back when this many jobs were held.
    pub(crate) async fn held(&self, jobs: u32) {
        self.stage.held.subscribe().wait_for(|held| *held >= jobs).await.unwrap();
    }

    pub(crate) fn release(&self) {
        self.stage.open.send_replace(true);
    }

    /// All jobs, oldest first.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let mut jobs = self.world.list(Filter::default());
        jobs.reverse();
        jobs
    }

    /// The ledger of a workflow, oldest first.
    pub(crate) fn slots(&self, workflow: &str) -> Vec<Slot> {
        let mut cursor = slots(&self.world.engine.snapshot(), Some(workflow)).unwrap();
        let mut found: Vec<_> = std::iter::from_fn(|| cursor.next().unwrap()).collect();
        found.reverse();
        found
    }

    /// The ledger in short: minutes after the start, and what became of the slot.
    pub(crate) fn ledger(&self, workflow: &str) -> Vec<(i64, SlotStatus)> {
        self.slots(workflow).into_iter().map(|slot| ((slot.nominal_time - START) / MINUTE, slot.status)).collect()
    }

    /// Every slot that says it started a job names one of its own, and every job was started by one slot.
    pub(crate) fn assert_matched(&self, workflow: &str) {
        let mut started: Vec<_> = self
            .slots(workflow)
            .into_iter()
            .filter(|slot| matches!(slot.status, SlotStatus::Fired | SlotStatus::MadeUp))
            .map(|slot| slot.job_id.expect("a slot that started a job names it"))
            .collect();
        let mut jobs: Vec<_> = self.jobs().into_iter().map(|job| job.job_id).collect();
        started.sort_unstable();
        jobs.sort_unstable();
        assert_eq!(started, jobs);
        self.world.assert_sound();
    }
}
