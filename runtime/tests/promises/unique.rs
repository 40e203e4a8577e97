//! One active job per key, held by an atomic insert; freed by every terminal status.

use crate::script::{Act, job, mark};
use crate::world::{MARKS, World, in_time, refusal, submit, wait};
use ebbtide_engine::{Commit, Expect, Write};
use ebbtide_runtime::{Error, Filter, Status, Submitted};
use futures::FutureExt;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_submissions_at_once_one_makes_the_job() {
    let world = World::new();
    let runtime = world.start().await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let runtime = runtime.clone();
            tokio::spawn(async move { runtime.submit(job([Act::Hold, mark("ran")]).unique(*b"chat.messages")).await })
        })
        .collect();
    let mut new = Vec::new();
    let mut existing = Vec::new();
    for task in tasks {
        match in_time(task).await.unwrap().unwrap() {
            Submitted::New(id) => new.push(id),
            Submitted::Existing(id) => existing.push(id),
        }
    }
    assert_eq!(new.len(), 1);
    assert_eq!(existing, vec![new[0]; 31]);
    world.stage.release();
    wait(&runtime, &new[0]).await;
    assert_eq!(world.marks("ran"), 1);
    assert_eq!(runtime.jobs(Filter::default(), 100).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_frees_the_key() {
    let world = World::new();
    let runtime = world.start().await;
    let unique = |act: Act| job([act]).unique(*b"k");
    let completed = submit(&runtime, unique(Act::Step)).await;
    assert_eq!(wait(&runtime, &completed).await.status, Status::Completed);
    let failed = submit(&runtime, unique(Act::GiveUp)).await;
    assert_eq!(wait(&runtime, &failed).await.status, Status::Failed);
    let cancelled = submit(&runtime, unique(Act::Hold)).await;
    world.stage.entered().await;
    runtime.cancel(&cancelled).await.unwrap();
    assert_eq!(wait(&runtime, &cancelled).await.status, Status::Cancelled);
    submit(&runtime, unique(Act::Step)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_holds_after_the_end_too() {
    let world = World::new();
    let runtime = world.start().await;
    let due = || ebbtide_runtime::NewJob { idempotency_key: Some("nightly 2026-11-22".into()), ..job([mark("ran")]) };
    let id = submit(&runtime, due()).await;
    wait(&runtime, &id).await;
    assert_eq!(runtime.submit(due()).await.unwrap(), Submitted::Existing(id));
    in_time(runtime.idle()).await;
    assert_eq!(world.marks("ran"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_submitted_with_a_job_is_written_with_it_or_not_at_all() {
    let world = World::new();
    let runtime = world.start().await;
    let with = |expect: Expect| ebbtide_runtime::NewJob {
        expect: vec![expect],
        writes: vec![Write::put(MARKS, "table", "here")],
        ..job([Act::Step])
    };
    let refused = runtime.submit(with(Expect::present(MARKS, "table"))).await;
    assert!(matches!(refused, Err(Error::Expectation { index: 0, space: "marks" })), "{refused:?}");
    assert!(refusal(refused).contains("expectation 0"));
    assert_eq!(world.engine.snapshot().get(MARKS, b"table").unwrap(), None);
    assert!(runtime.jobs(Filter::default(), 10).unwrap().is_empty());

    submit(&runtime, with(Expect::absent(MARKS, "table"))).await;
    assert_eq!(world.engine.snapshot().get(MARKS, b"table").unwrap().as_deref(), Some(&b"here"[..]));
    world.engine.commit(Commit::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_no_job_lying() {
    let world = World::new();
    let runtime = world.start().await;
    let mut dropped = 0;
    for _ in 0..20 {
        let submitting = runtime.submit(job([mark("ran")]).unique(*b"k"));
        // Polled once, and dropped: the commit is under way and happens. On a busy machine it may be over by then.
        dropped += usize::from(submitting.now_or_never().is_none());
        // Were the job stored and not queued, it would hold the key for ever and never end.
        let next = runtime.submit(job([mark("ran")]).unique(*b"k")).await.unwrap();
        wait(&runtime, next.id()).await;
    }
    assert!(dropped > 0, "every submission was over before its caller went away");
    in_time(runtime.idle()).await;
    assert!(runtime.jobs(Filter::statuses(Status::ACTIVE), 1).unwrap().is_empty());
}
