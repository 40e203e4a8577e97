//! Live numbers while a job runs; CPU and memory that were really used.

use crate::script::{Act, job};
use crate::world::{World, in_time, stored, submit, wait};
use ebbtide_runtime::{Filter, Status, query};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_shows_how_far_it_is_and_what_it_uses() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Work, Act::Hold])).await;
    world.stage.entered().await;
    for shown in [stored(&runtime, &id), runtime.jobs(Filter::default(), 1).unwrap().remove(0)] {
        assert_eq!(shown.status, Status::Running);
        assert_eq!((shown.users_done, shown.users_total, shown.rows_done, shown.bytes_done), (4, 10, 100, 5000));
        assert_eq!(shown.current_user_id.as_deref(), Some("ana"));
        assert_eq!(shown.memory_used, 1 << 20, "the peak, not the last");
        assert!(shown.cpu_used >= 20_000, "the blocking section at least: {}", shown.cpu_used);
    }
    let kept = query::job(&*world.engine.snapshot(), &id).unwrap().unwrap();
    assert_eq!((kept.rows_done, kept.memory_used), (0, 0), "the checkpoint is as it was");

    // Its checkpoint keeps what was used: polls and the blocking section, 20 ms each.
    world.stage.release();
    world.stage.entered().await;
    let kept = query::job(&*world.engine.snapshot(), &id).unwrap().unwrap();
    assert_eq!(kept.memory_used, 1 << 20);
    assert_eq!(stored(&runtime, &id).current_user_id, None, "the next state works on nobody");
    assert!((40_000..10_000_000).contains(&kept.cpu_used), "{} µs", kept.cpu_used);
    world.stage.release();
    let done = wait(&runtime, &id).await;
    assert!(done.cpu_used >= kept.cpu_used);
    in_time(runtime.idle()).await;
    assert!(runtime.live(&id).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_costs_no_cpu_time_and_a_further_claim_adds_to_the_sum() {
    let world = World::new();
    let runtime = world.start().await;
    let id = submit(&runtime, job([Act::Work, Act::Hold])).await;
    world.stage.entered().await;
    world.stage.release();
    world.stage.entered().await;
    let first = query::job(&*world.engine.snapshot(), &id).unwrap().unwrap().cpu_used;
    drop(runtime);
    let runtime = world.start().await;
    world.stage.entered().await;
    world.stage.release();
    let total = wait(&runtime, &id).await.cpu_used;
    assert!(total >= first && total < first + 1_000_000, "{first} then {total} µs");
}
