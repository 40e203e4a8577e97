//! EXPLAIN says why a job stands where it stands, and what would move it.

use crate::script::{Act, job, mark};
use crate::world::{World, in_time, submit, wait};
use ebbtide_runtime::explain::explain;
use ebbtide_runtime::{JobId, NewJob, Options, Runtime};
use std::time::Duration;

const NOON: i64 = 1_800_000_000_000_000;

/// The line about `topic`.
fn line(runtime: &Runtime, id: &JobId, topic: &str) -> String {
    let explanation = explain(runtime, id).unwrap();
    let found = explanation.lines.iter().find(|(about, _)| *about == topic);
    found.map(|(_, text)| text.clone()).unwrap_or_default()
}

async fn held_clock() -> World {
    let world = World::new();
    world.env.hold(NOON);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_slot_names_those_that_have_them() {
    let world = held_clock().await;
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    let running = submit(&runtime, job([Act::Step, Act::Work]).unique(*b"k")).await;
    world.stage.entered().await;
    let waiting = submit(&runtime, job([mark("ran")])).await;
    world.env.advance(41_000_000);
    assert_eq!(line(&runtime, &waiting, "status"), "pending in state S0 since 2027-01-15 08:00:00Z (41 s ago)");
    let why = format!("it is due, but all 1 slot of this node are taken: scripted {running} (running in S1)");
    assert_eq!(line(&runtime, &waiting, "waiting"), why);
    assert_eq!(line(&runtime, &waiting, "key"), "");
    assert!(line(&runtime, &waiting, "next").starts_with("it is claimed when it is due and a slot is free"));

    assert_eq!(line(&runtime, &running, "attempt"), "try 1 of 5 of this checkpoint; claimed 1 time");
    let claim = line(&runtime, &running, "claim");
    assert!(claim.starts_with("node local, epoch 1, lease until 2027-01-15 08:00:30Z"), "{claim}");
    let progress = line(&runtime, &running, "progress");
    assert!(progress.starts_with("at ana, 4 of 10 users, 100 rows, 4.8 KiB, "), "{progress}");
    assert!(progress.contains("rows/s") && progress.ends_with("to go"), "{progress}");
    assert_eq!(line(&runtime, &running, "key"), "it holds its active key: the same work is not started twice");
    let next = NewJob { follow_up: true, ..job([Act::Step]).unique(*b"k") };
    runtime.submit(next).await.unwrap();
    assert_eq!(
        line(&runtime, &running, "key"),
        "it holds its active key; a follow-up waits for its end and starts then"
    );
    runtime.pause(&running).await.unwrap();
    in_time(runtime.idle()).await;
    assert_eq!(line(&runtime, &running, "waiting"), "it is held back by an operator");
    assert_eq!(
        line(&runtime, &running, "next"),
        format!("RESUME JOB '{running}' lets it go on, KILL JOB '{running}' cancels it")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_when_it_is_tried_again_and_why_it_failed() {
    let world = held_clock().await;
    world.env.set_chance(90_000_000);
    let options = Options {
        backoff_min: Duration::from_secs(100),
        backoff_max: Duration::from_secs(100),
        ..world.options.clone()
    };
    let runtime = world.start_as(options).await;
    let id = submit(&runtime, NewJob { timeout: Some(Duration::from_secs(3600)), ..job([Act::Fail(9)]) }).await;
    in_time(runtime.idle()).await;
    let wait = "the wait after a failed try, until 2027-01-15 08:01:30Z (in 1 min 30 s)";
    assert_eq!(line(&runtime, &id, "waiting"), wait);
    assert_eq!(line(&runtime, &id, "error"), "failure 1");
    assert!(line(&runtime, &id, "time").ends_with(" of at most 1 h"), "{}", line(&runtime, &id, "time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_says_who_has_the_key_now_and_how_to_run_it_on() {
    let world = held_clock().await;
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Step, Act::GiveUp]).unique(*b"k")).await;
    wait(&runtime, &id).await;
    assert_eq!(line(&runtime, &id, "status"), "failed in state S1 since 2027-01-15 08:00:00Z (0 ms ago)");
    assert_eq!(line(&runtime, &id, "next"), format!("RETRY JOB '{id}' runs it on from state S1"));
    assert_eq!((line(&runtime, &id, "key"), line(&runtime, &id, "claim")), (String::new(), String::new()));
    let other = submit(&runtime, job([Act::Hold]).unique(*b"k")).await;
    world.stage.entered().await;
    let key = format!("its active key is held by scripted {other} (running in S0)");
    assert_eq!(line(&runtime, &id, "key"), key);
    let unknown: JobId = "018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90".parse().unwrap();
    assert!(explain(&runtime, &unknown).is_err());
}
