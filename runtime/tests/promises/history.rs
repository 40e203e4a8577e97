//! Transitions form a legal path, and the counters and indexes say what a recount of the rows says.

use crate::script::{Act, job, mark, scripted};
use crate::world::{World, in_time, submit};
use ebbtide_runtime::{Filter, JobId, NewJob, Options, Runtime, Status, query};
use std::collections::HashMap;

/// Jobs of every fate; those that come to an end have come to it.
async fn all_fates(world: &World) -> (Runtime, Vec<JobId>) {
    let runtime = world.start_as(Options { concurrency_max: 8, attempts_max: 3, ..world.options.clone() }).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(submit(&runtime, job([mark("a"), mark("b"), Act::Fail(1), mark("c")])).await);
        ids.push(submit(&runtime, job([Act::For("ana".into()), Act::For("ben".into()), Act::Step])).await);
        ids.push(submit(&runtime, job([Act::Step, Act::GiveUp])).await);
        ids.push(submit(&runtime, job([Act::Fail(u32::MAX)])).await);
    }
    in_time(runtime.idle()).await;
    for _ in 0..3 {
        let id = submit(&runtime, job([Act::Hold])).await;
        world.stage.entered().await;
        runtime.cancel(&id).await.unwrap();
        ids.push(id);
        ids.push(submit(&runtime, job([Act::Hold, Act::Step])).await);
        world.stage.entered().await;
    }
    in_time(async {
        while runtime.jobs(Filter::statuses([Status::Running]), 100).unwrap().len() > 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    (runtime, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_and_indexes_equal_a_recount() {
    let world = World::new();
    let (runtime, _) = all_fates(&world).await;
    let counts: HashMap<_, _> = runtime.counts().unwrap().into_iter().filter(|(_, count)| *count > 0).collect();
    let expected = [(Status::Running, 3), (Status::Completed, 10), (Status::Failed, 10), (Status::Cancelled, 3)];
    assert_eq!(counts, HashMap::from(expected));
    world.assert_sound();
    in_time(runtime.halt()).await;
    drop(runtime);

    let world = world.reopen();
    let runtime = world.start().await;
    for _ in 0..3 {
        world.stage.entered().await;
        world.stage.release();
    }
    in_time(runtime.idle()).await;
    world.assert_sound();
    in_time(runtime.halt()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transitions_form_a_legal_path() {
    let world = World::new();
    let (runtime, ids) = all_fates(&world).await;
    for id in ids {
        let path = runtime.transitions(&id).unwrap();
        assert_eq!((path[0].from_state.as_deref(), path[0].status), (None, Status::Pending));
        for (place, pair) in path.windows(2).enumerate() {
            let [before, after] = pair else { unreachable!("windows of two") };
            assert_eq!(after.seq_no as usize, place + 2, "numbers without a gap");
            assert_eq!(after.from_state.as_ref(), Some(&before.to_state), "each starts where the last one ended");
            assert!(!before.status.is_terminal(), "nothing follows an end");
            assert!(after.epoch >= before.epoch && after.at >= before.at);
            let claimed = before.status == Status::Running;
            assert!(
                claimed || after.status == Status::Running || after.status == Status::Cancelled,
                "{before:?} {after:?}"
            );
        }
        let last = path.last().unwrap();
        let job = runtime.job(&id).unwrap().unwrap();
        assert_eq!((&last.to_state, last.status, last.epoch), (&job.state, job.status, job.epoch));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_the_cursor_records_no_transition() {
    let world = World::new();
    let runtime = world.start().await;
    let users = ["ana", "ben", "cleo"].map(|user| Act::For(user.to_owned()));
    let id = submit(&runtime, NewJob::new("test", scripted(users))).await;
    in_time(runtime.idle()).await;
    let path: Vec<String> = runtime
        .transitions(&id)
        .unwrap()
        .iter()
        .map(|step| format!("{} {} {}", step.from_state.as_deref().unwrap_or("-"), step.to_state, step.status))
        .collect();
    assert_eq!(path, ["- For pending", "For For running", "For S3 completed"]);
    // The newest job's last transition comes first in the listing of all.
    let snapshot = world.engine.snapshot();
    let newest = query::transitions(&snapshot, None).unwrap().next().unwrap().unwrap();
    assert_eq!((newest.job_id, newest.seq_no), (id, 3));
}
