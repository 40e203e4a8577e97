//! Every point that a flush reaches: die there, start again, look.
//!
//! The points are not listed here. A run with tracing tells which are reached and how often; each is then a case, at
//! its first and at a middle reaching, once by kill -9 and once as a power cut. Then the same for the points that
//! recovery reaches.

use std::collections::BTreeMap;

use futures::StreamExt;

use super::scene::{Scene, dead_or_done};
use crate::kit::{Place, Plan};

/// Servers at a time: they mostly wait for the disk and for starting.
const AT_ONCE: usize = 3;

#[derive(Debug, Clone)]
struct Case {
    point: String,
    nth: u32,
    power_cut: bool,
    /// The second death, while the first is being mended.
    then: Option<(String, u32)>,
}

/// How often each point is reached by a flush under load, and by the recovery of one that died half way.
async fn points() -> (BTreeMap<String, u32>, BTreeMap<String, u32>) {
    let scene = Scene::loaded(Place::new()).await;
    let mut server = scene.place.start_with(&Plan::default().trace()).await;
    let writer = scene.writer(&server, 0);
    scene.ask_for_flushes(&server).await;
    assert!(!dead_or_done(&mut server).await, "nothing was planned to happen");
    server.kill().await;
    writer.await.expect("a writer ends with its server");
    let flush = count(server.points());

    let scene = Scene::loaded(Place::new()).await;
    let mut server = scene.place.start_with(&Plan::default().crash_at("flush.writing.uploaded", 2)).await;
    scene.ask_for_flushes(&server).await;
    assert!(dead_or_done(&mut server).await, "the flush reaches its second upload");
    let mut server = scene.place.start_with(&Plan::default().trace()).await;
    assert!(!dead_or_done(&mut server).await, "nothing was planned to happen");
    server.kill().await;
    (flush, count(server.points()))
}

fn count(points: Vec<String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for point in points {
        *counts.entry(point).or_insert(0) += 1;
    }
    counts
}

/// The first and a middle reaching.
fn reachings(count: u32) -> Vec<u32> {
    if count > 2 { vec![1, count.div_ceil(2)] } else { vec![1] }
}

async fn run(case: Case, seed: u64) -> (Case, bool, Vec<String>) {
    let place = if case.power_cut { Place::with_power_cut() } else { Place::new() };
    let scene = Scene::loaded(place).await;
    let mut died = false;
    let plans = std::iter::once((case.point.clone(), case.nth)).chain(case.then.clone());
    for (number, (point, nth)) in plans.enumerate() {
        let mut server = scene.place.spawn(&Plan::default().crash_at(&point, nth));
        if server.wait_until_it_listens().await {
            let writers = [scene.writer(&server, 0), scene.writer(&server, 3)];
            if number == 0 {
                scene.ask_for_flushes(&server).await;
            }
            // A point that this run did not reach that often: then it dies when all is done.
            died |= dead_or_done(&mut server).await;
            server.kill().await;
            for writer in writers {
                writer.await.expect("a writer ends with its server");
            }
        } else {
            died |= server.crashed().await;
        }
        if case.power_cut {
            scene.place.cut_power(server, seed.wrapping_mul(31).wrapping_add(number as u64)).await;
        }
    }
    let complaints = scene.complaints(&format!("{case:?}")).await;
    (case, died, complaints)
}

async fn run_all(cases: Vec<Case>) {
    let total = cases.len();
    let outcomes: Vec<_> = futures::stream::iter(cases.into_iter().enumerate())
        .map(|(seed, case)| run(case, seed as u64))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let complaints: Vec<&String> = outcomes.iter().flat_map(|(_, _, complaints)| complaints).collect();
    assert!(complaints.is_empty(), "{} complaints\n{complaints:#?}", complaints.len());
    // A first reaching is always reached; a middle one may be missed where the writers were slower this time.
    let missed: Vec<_> =
        outcomes.iter().filter(|(case, died, _)| case.nth == 1 && !died).map(|(case, _, _)| case).collect();
    assert!(missed.is_empty(), "these points were not reached: {missed:#?}");
    println!("{total} deaths survived");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_dies_at_every_point_by_kill_and_by_power_cut() {
    let (flush, _) = points().await;
    for expected in [
        "job.queued",
        "job.claimed",
        "object.temp.half",
        "object.durable",
        "flush.writing.uploaded",
        "job.step.before_commit",
        "job.step.after_commit",
        "flush.deleting.page",
        "job.done",
    ] {
        assert!(flush.contains_key(expected), "a flush no longer reaches {expected}; it reaches {flush:?}");
    }
    let cases = flush
        .iter()
        .flat_map(|(point, count)| reachings(*count).into_iter().map(move |nth| (point.clone(), nth)))
        .flat_map(|(point, nth)| {
            [false, true].map(|power_cut| Case { point: point.clone(), nth, power_cut, then: None })
        })
        .collect();
    run_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_dies_at_every_point_too() {
    let (_, recovery) = points().await;
    let cases = recovery
        .keys()
        .enumerate()
        .map(|(number, point)| Case {
            point: "flush.writing.uploaded".to_owned(),
            nth: 2,
            power_cut: number % 2 == 1,
            then: Some((point.clone(), 1)),
        })
        .collect();
    run_all(cases).await;
}
