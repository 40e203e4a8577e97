//! What goes and what stays, against the simplest model; and who may do what between a plan and its commit.

use super::{Batch, Place, Retention, plan};
use crate::floor;
use crate::held::Held;
use crate::job::JobId;
use crate::keys::{COUNTERS, FLOOR};
use crate::query::Filter;
use crate::record;
use crate::status::Status;
use crate::testing::{Past, START, World};
use ebbtide_engine::env::{Env as _, HeldEnv, SharedEnv};
use ebbtide_engine::{Commit, CommitError, Sync, Write};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Builder;

const DAY: i64 = 86_400_000_000;
const ENDS: [Status; 4] = [Status::Completed, Status::Failed, Status::Cancelled, Status::Skipped];

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

fn id(created_at: i64, chance: u64) -> JobId {
    let mut rest = [0; 10];
    rest[2..].copy_from_slice(&chance.to_be_bytes());
    JobId::from_uuid(Builder::from_unix_timestamp_millis(created_at as u64 / 1000, &rest).into_uuid())
}

async fn write(world: &World, writes: Vec<Write>) {
    world.engine.commit(Commit { writes, sync: Sync::Unsynced, ..Commit::default() }).await.unwrap();
}

async fn commit(world: &World, batch: Batch) -> Result<(), CommitError> {
    let Batch { expect, writes, .. } = batch;
    world.engine.commit(Commit { expect, writes, sync: Sync::Unsynced }).await.map(drop)
}

/// Jobs of the last hundred days, of all ends, a few tables and workflows, in order and out of it.
async fn history(world: &World, count: usize) -> BTreeMap<JobId, Past> {
    let chance = HeldEnv::at(START);
    let below = |bound: u64| chance.random() % bound;
    let mut jobs = BTreeMap::new();
    let mut writes = Vec::new();
    for number in 0..count {
        let created_at = START - 100 * DAY + (100 * DAY / count as i64) * number as i64;
        let ended_at = created_at + 1 + below(if below(10) == 0 { 20 * DAY as u64 } else { 1_000_000 }) as i64;
        let past = Past {
            workflow: format!("w{}", below(3)),
            kind: "past".to_owned(),
            scope: (below(4) > 0).then(|| ("chat".to_owned(), format!("t{}", below(3)))),
            // Long stretches of one end, with others in between now and then.
            status: ENDS[if below(50) == 0 { below(4) as usize } else { number / 400 % 4 }],
            created_at,
            ended_at: ended_at.min(START),
            idempotency_key: (below(5) == 0).then(|| format!("key {number}")),
        };
        // The clock of ids is not always that of the rows.
        let made_at = if below(100) == 0 { created_at - 30 * DAY } else { created_at };
        let id = id(made_at, number as u64);
        writes.extend(past.writes(&id));
        jobs.insert(id, past);
    }
    write(world, writes).await;
    jobs
}

fn is_old(past: &Past, retention: &Retention, now: i64) -> bool {
    retention.of(past.status).is_some_and(|keep| past.ended_at <= now - keep.as_micros() as i64)
}

/// Prunes until nothing is left to prune, and gives the sizes of the batches.
async fn prune(world: &World, retention: &Retention, now: i64, jobs_max: usize) -> Vec<u64> {
    let mut sizes = Vec::new();
    let mut after: Option<Place> = None;
    loop {
        let batch = plan(&world.engine.snapshot(), retention, now, after.as_ref(), jobs_max).unwrap();
        let Some(next) = batch.next else {
            assert_eq!((batch.jobs, batch.writes.len()), (0, 0));
            return sizes;
        };
        // As it would be kept in a state.
        after = Some(serde_json::from_value(serde_json::to_value(next).unwrap()).unwrap());
        sizes.push(batch.jobs);
        commit(world, batch).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_old_goes_and_all_else_stays_as_it_was() {
    let world = World::new();
    let mut jobs = history(&world, 6_000).await;
    world.assert_sound();
    let steps = [
        Retention { completed: Some(days(60)), ..Retention::default() },
        Retention { completed: Some(days(40)), failed: Some(days(70)), cancelled: Some(days(10)), skipped: None },
        Retention::all(days(30)),
        Retention::all(Duration::ZERO),
    ];
    for (step, retention) in steps.iter().enumerate() {
        let expected = jobs.values().filter(|past| is_old(past, retention, START)).count();
        let sizes = prune(&world, retention, START, [100, 5000, 1024, 8192][step]).await;
        assert_eq!(sizes.iter().sum::<u64>(), expected as u64);
        jobs.retain(|_, past| !is_old(past, retention, START));
        let left: Vec<JobId> = {
            let mut left: Vec<JobId> = world.list(Filter::default()).iter().map(|job| job.job_id).collect();
            left.sort_unstable();
            left
        };
        assert_eq!(left, jobs.keys().copied().collect::<Vec<_>>());
        world.assert_sound();
        if let Some((id, past)) = jobs.first_key_value() {
            let job = world.job(id);
            assert_eq!((job.status, &job.workflow, job.created_at), (past.status, &past.workflow, past.created_at));
            assert!(job.parameters.is_some() && world.transitions(id).len() == 3);
        }
    }
    assert!(jobs.is_empty());
}

#[tokio::test]
async fn jobs_that_are_not_over_stay_wherever_they_lie() {
    let world = World::new();
    let jobs = history(&world, 3_000).await;
    // Some of them are run again, and so are young in status and old in place.
    let mut world = world;
    let runtime = world.runtime().await;
    let mut again = Vec::new();
    for (id, _) in jobs.iter().filter(|(_, past)| past.status == Status::Failed).step_by(7) {
        runtime.retry(id).await.unwrap();
        again.push(*id);
    }
    assert!(again.len() > 20);
    world.crash().await;
    let kept = prune(&world, &Retention::all(Duration::ZERO), START, 8192).await;
    assert_eq!(kept.iter().sum::<u64>() as usize, jobs.len() - again.len());
    for id in again {
        assert!(!world.job(&id).status.is_terminal(), "a job without a kind that loads is parked");
    }
    world.assert_sound();
}

#[tokio::test]
async fn whole_stretches_take_few_writes_once_the_floor_is_raised() {
    let world = World::new();
    let mut writes = Vec::new();
    for number in 0..20_000_i64 {
        let created_at = START - 50 * DAY + number * 1000;
        let past = Past {
            workflow: "w".to_owned(),
            kind: "past".to_owned(),
            scope: Some(("chat".to_owned(), "messages".to_owned())),
            status: Status::Completed,
            created_at,
            ended_at: created_at + 5,
            idempotency_key: None,
        };
        writes.extend(past.writes(&id(created_at, number as u64)));
    }
    write(&world, writes).await;
    let retention = Retention::all(days(30));
    let first = plan(&world.engine.snapshot(), &retention, START, None, 8192).unwrap();
    assert!(first.jobs <= 1024 && first.writes.len() < 20_000, "without a floor a batch is small: {}", first.jobs);
    let next = first.next;
    commit(&world, first).await.unwrap();
    let second = plan(&world.engine.snapshot(), &retention, START, next.as_ref(), 8192).unwrap();
    assert_eq!(second.jobs, 8192);
    assert!(second.writes.len() < 8192 + 50, "one key a job, and a few ranges: {}", second.writes.len());
    let ranges = second.writes.iter().filter(|write| matches!(write, Write::DeleteRange { .. })).count();
    assert_eq!(ranges, 3 * 7, "seven for each chunk: 1024, 4096, and the rest");
    commit(&world, second).await.unwrap();
    world.assert_sound();
}

#[tokio::test]
async fn a_job_that_ends_among_old_ones_between_plan_and_commit_stays_listed() {
    let mut world = World::new();
    world.env.hold(START - 50 * DAY);
    let asleep = world.submit(crate::testing::tests::sleeper()).await.unwrap();
    world.env.hold(START);
    let mut writes = vec![floor::raise(START - DAY)];
    for number in -100..100 {
        let created_at = START - 50 * DAY + number * 1_000_000;
        if number == 0 {
            continue;
        }
        let past = Past {
            workflow: "w".to_owned(),
            kind: "past".to_owned(),
            scope: None,
            status: Status::Cancelled,
            created_at,
            ended_at: created_at + 5,
            idempotency_key: None,
        };
        writes.extend(past.writes(&id(created_at, number.unsigned_abs())));
    }
    write(&world, writes).await;
    let batch = plan(&world.engine.snapshot(), &Retention::all(days(30)), START, None, 8192).unwrap();
    assert!(batch.jobs == 199 && batch.writes.len() < 250, "in ranges: {} writes", batch.writes.len());
    let runtime = world.runtime().await;
    runtime.cancel(&asleep).await.unwrap();
    assert_eq!(runtime.wait(&asleep).await.unwrap().status, Status::Cancelled);
    commit(&world, batch).await.unwrap();
    assert_eq!(world.list(Filter::statuses([Status::Cancelled])).len(), 1);
    world.assert_sound();
}

#[tokio::test]
async fn refused_checkpoints_go_with_their_jobs() {
    let world = World::new();
    let jobs = history(&world, 300).await;
    let snapshot = world.engine.snapshot();
    let before = plan(&snapshot, &Retention::all(Duration::ZERO), START, None, 8192).unwrap();
    for (id, _) in jobs.iter().step_by(10) {
        let row = Held::read(&*snapshot, id).unwrap().unwrap().row;
        write(&world, record::refuse(id, &row, 1, "too late", START)).await;
        write(&world, record::refuse(id, &row, 2, "too late again", START)).await;
        assert_eq!(world.transitions(id).len(), 5);
    }
    world.assert_sound();
    assert!(commit(&world, before).await.is_err(), "a plan that knows nothing of them is refused");
    prune(&world, &Retention::all(days(20)), START, 8192).await;
    world.assert_sound();
    prune(&world, &Retention::all(Duration::ZERO), START, 8192).await;
    world.assert_sound();
    assert!(world.list(Filter::default()).is_empty());
}

#[tokio::test]
async fn a_plan_does_not_outlive_a_change_of_the_history() {
    let mut world = World::new();
    let jobs = history(&world, 500).await;
    let retention = Retention::all(Duration::ZERO);
    let (failed, _) = jobs.iter().find(|(_, past)| past.status == Status::Failed).unwrap();

    // Run again between plan and commit.
    let batch = plan(&world.engine.snapshot(), &retention, START, None, 8192).unwrap();
    world.runtime().await.retry(failed).await.unwrap();
    let refused = commit(&world, batch).await.unwrap_err();
    assert!(matches!(refused, CommitError::Mismatch { index: 0, .. }), "{refused}");

    // Two plans for the same jobs: one of them goes through, and the counters stay right.
    world.crash().await;
    let snapshot = world.engine.snapshot();
    let [one, other] = [(); 2].map(|()| plan(&snapshot, &retention, START, None, 8192).unwrap());
    commit(&world, one).await.unwrap();
    assert!(matches!(commit(&world, other).await, Err(CommitError::Mismatch { .. })));
    world.assert_sound();
}

#[tokio::test]
async fn a_new_job_is_never_below_the_floor_even_when_the_clock_is_set_back() {
    let mut world = World::new();
    history(&world, 2_000).await;
    let retention = Retention { completed: Some(days(10)), ..Retention::default() };
    prune(&world, &retention, START, 8192).await;
    let floor = world.engine.snapshot().get(COUNTERS, FLOOR).unwrap().unwrap();
    let floor = i64::from_be_bytes(floor.try_into().unwrap());
    assert_eq!(floor, START - 10 * DAY);

    world.env.hold(START - 200 * DAY);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(world.submit(crate::testing::tests::sleeper()).await.unwrap());
    }
    for id in &made {
        let job = world.job(id);
        assert!(job.created_at > floor && *id > floor::last_id(floor), "{job:?}");
        assert!(job.next_run_at.is_none_or(|due| due <= world.env.now()), "it is due all the same: {job:?}");
    }
    let failed = Retention { failed: Some(Duration::ZERO), ..Retention::default() };
    let batch = plan(&world.engine.snapshot(), &failed, START, None, 8192).unwrap();
    assert!(batch.writes.iter().any(|write| matches!(write, Write::DeleteRange { .. })));
    commit(&world, batch).await.unwrap();
    for id in made {
        assert!(!world.job(&id).status.is_terminal());
    }
    world.assert_sound();
}

#[tokio::test]
async fn a_floor_raised_meanwhile_makes_a_submission_choose_again() {
    let mut world = World::new();
    let runtime = world.runtime().await;
    // What was chosen below a floor that was raised meanwhile is refused.
    let env: SharedEnv = world.env.clone();
    let old = floor::newborn(&*world.engine.snapshot(), &env).unwrap();
    write(&world, vec![floor::raise(START - 1)]).await;
    let stale = Commit { expect: vec![old.expect], ..Commit::default() };
    assert!(matches!(world.engine.commit(stale).await, Err(CommitError::Mismatch { .. })));
    // And chosen again, by a submission.
    for at in 0..50 {
        let (submitted, ()) = tokio::join!(
            runtime.submit(crate::testing::tests::sleeper()),
            write(&world, vec![floor::raise(START + at)])
        );
        submitted.unwrap();
    }
    assert_eq!(world.list(Filter::default()).len(), 50);
    world.assert_sound();
}
