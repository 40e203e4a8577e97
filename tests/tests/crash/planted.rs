//! Known bugs, planted one at a time: the scene must see each, or it proves nothing when it sees none.
//!
//! That a stale claim's commit is refused is seen where two runners share one engine, in `runtime/`.

use super::scene::{LOG, NOTES, Scene, dead_or_done, jobs_end};
use crate::kit::{Place, Plan, rows};

/// Plants a bug, flushes, dies at `point` (or when all is done), and says what the scene sees.
async fn seen(place: Place, defect: &'static str, point: Option<&str>) -> Vec<String> {
    let power_cut = place.has_power_cut();
    let scene = Scene::loaded(place).await;
    let mut plan = Plan::default().plant(defect);
    if let Some(point) = point {
        plan = plan.crash_at(point, 1);
    }
    let mut server = scene.place.start_with(&plan).await;
    scene.ask_for_flushes(&server).await;
    let died = dead_or_done(&mut server).await;
    assert_eq!(died, point.is_some(), "{defect}: the plan came about");
    server.kill().await;
    if power_cut {
        scene.place.cut_power(server, 7).await;
    }
    scene.complaints(defect).await
}

#[track_caller]
fn assert_seen(complaints: &[String], kind: &str) {
    assert!(complaints.iter().any(|complaint| complaint.contains(kind)), "not seen: {kind}; only {complaints:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_deleted_before_the_commit_are_missed() {
    let complaints = seen(Place::new(), "delete-before-commit", Some("flush.planted.deleted")).await;
    assert_seen(&complaints, "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_watermark_is_seen() {
    let complaints = seen(Place::new(), "watermark-skipped", None).await;
    assert_seen(&complaints, "doubled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_fsync_is_seen_when_the_power_goes() {
    let complaints = seen(Place::with_power_cut(), "fsync-forgotten", Some("job.done")).await;
    assert!(!complaints.is_empty(), "not seen: a file that was never synced");
}

#[tokio::test(flavor = "multi_thread")]
async fn seqs_that_start_again_below_a_watermark_are_seen() {
    let scene = Scene::loaded(Place::new()).await;
    let mut server = scene.place.start().await;
    scene.ask_for_flushes(&server).await;
    assert!(!dead_or_done(&mut server).await);
    server.kill().await;
    let mut server = scene.place.start_with(&Plan::default().plant("seq-from-hot-rows")).await;
    let admin = server.connect("admin").await;
    for (table, user) in [(NOTES, "ana"), (LOG, "")] {
        scene.load(&admin, table, user, 3).await;
    }
    server.kill().await;
    assert_seen(&scene.complaints("seq-from-hot-rows").await, "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_made_again_does_not_bring_back_rows() {
    for (defect, expected) in [(None, "0"), (Some("name-reused"), "3")] {
        let scene = Scene::empty(Place::new()).await;
        let plan = defect.map_or_else(Plan::default, |defect| Plan::default().plant(defect));
        let server = scene.place.start_with(&plan).await;
        let admin = server.connect("admin").await;
        scene.load(&admin, LOG, "", 3).await;
        rows::run(&admin, "FLUSH TABLE life.log").await;
        jobs_end(&admin).await;
        rows::run(&admin, "DROP TABLE life.log").await;
        rows::run(&admin, "CREATE SHARED TABLE life.log (id BIGINT NOT NULL, body TEXT) FLUSH ROW_THRESHOLD 900000")
            .await;
        let found = rows::value(&admin, "SELECT count(*) FROM life.log").await;
        assert_eq!(found, expected, "planted: {defect:?}");
    }
}
