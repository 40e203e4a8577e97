//! An engine that cannot read for a while does not leave a job lying until its lease ends.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, submit, wait};
use ebbtide_engine::{
    Commit, CommitError, Committed, Cursor, Engine, Error, Health, KeyRange, Memory, Order, SharedEngine, Snapshot,
    Space,
};
use ebbtide_runtime::keys::JOBS;
use ebbtide_runtime::{NewJob, Options, Runtime, Status};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The engine below, whose next reads of job rows fail as often as a test says.
#[derive(Debug)]
struct Faulty {
    below: SharedEngine,
    failures: Arc<AtomicU32>,
}

struct FaultySnapshot {
    below: Arc<dyn Snapshot>,
    failures: Arc<AtomicU32>,
}

impl Engine for Faulty {
    fn commit(&self, commit: Commit) -> BoxFuture<'static, Result<Committed, CommitError>> {
        self.below.commit(commit)
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        Arc::new(FaultySnapshot { below: self.below.snapshot(), failures: Arc::clone(&self.failures) })
    }

    fn last_seq(&self) -> u64 {
        self.below.last_seq()
    }

    fn raise_seq(&self, floor: u64) {
        self.below.raise_seq(floor);
    }

    fn compact(&self, space: Space, live_keys: u64) -> BoxFuture<'static, ()> {
        self.below.compact(space, live_keys)
    }

    fn purge(&self, ranges: Vec<(Space, KeyRange)>) -> BoxFuture<'static, Result<(), Error>> {
        self.below.purge(ranges)
    }

    fn memory(&self) -> Memory {
        self.below.memory()
    }

    fn health(&self) -> Health {
        self.below.health()
    }

    fn close(&self) {
        self.below.close();
    }
}

impl Snapshot for FaultySnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let fail = |left: u32| left.checked_sub(1);
        if space == JOBS && self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail).is_ok() {
            return Err(Error::Read { space: space.name, reason: "the disk is away for a moment".to_owned() });
        }
        self.below.get(space, key)
    }

    fn scan(self: Arc<Self>, space: Space, range: KeyRange, order: Order) -> Result<Box<dyn Cursor>, Error> {
        Arc::clone(&self.below).scan(space, range, order)
    }
}

/// A runtime whose claims hold for an hour, on an engine that fails as told.
async fn start(world: &World) -> (Runtime, Arc<AtomicU32>) {
    let failures = Arc::new(AtomicU32::new(0));
    let engine = Arc::new(Faulty { below: world.engine.clone(), failures: Arc::clone(&failures) });
    let options =
        Options { lease: Duration::from_secs(3600), backoff_max: Duration::from_millis(50), ..world.options.clone() };
    let builder = Runtime::builder(engine, world.env.clone()).options(options).with(Arc::clone(&world.stage));
    (builder.start().await.unwrap(), failures)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_asks_again_and_goes_on_under_its_claim() {
    let world = World::new();
    let (runtime, failures) = start(&world).await;
    let id = submit(&runtime, job([Act::Hold, mark("done")]).unique(*b"k")).await;
    world.stage.entered().await;
    // Another runtime changes the row, so the step's commit does not find what it expects and reads the row again.
    let other = world.start_as(Options { node_id: "other".into(), ..world.options.clone() }).await;
    let next = NewJob { follow_up: true, ..job([mark("next")]).unique(*b"k") };
    other.submit(next).await.unwrap();
    failures.store(4, Ordering::SeqCst);
    world.stage.release();
    // The state is stepped again, from its checkpoint.
    world.stage.entered().await;
    assert_eq!(failures.load(Ordering::SeqCst), 0, "it asked until it was answered");
    world.stage.release();
    let done = wait(&runtime, &id).await;
    assert_eq!((done.status, done.epoch, done.attempt), (Status::Completed, 1, 1));
    in_time(runtime.idle()).await;
    in_time(other.idle()).await;
    assert_eq!((world.marks("done"), world.marks("next")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_could_not_be_taken_is_tried_again() {
    let world = World::new();
    let (runtime, failures) = start(&world).await;
    failures.store(3, Ordering::SeqCst);
    let id = *runtime.submit(job([mark("done")])).await.unwrap().id();
    in_time(async {
        while failures.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
    assert_eq!(world.marks("done"), 1);
}
