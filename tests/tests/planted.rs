//! Known bugs, planted: each must be caught by the checks that the crash tests use, and by the right one.
//!
//! Each scenario is also run without its bug and must pass, so that it is the bug that is caught.
//! (A stale claim that commits needs two runners of one job, which one server never has; `runtime/` tests it.)

use std::sync::Arc;

use crate::kit::ledger::Ledger;
use crate::kit::notes;
use crate::kit::rows::run;
use crate::kit::{Place, Plan, Server};

/// Runs a scenario without the bug, then with it, when it must fail with a complaint that begins so.
async fn caught<S: Future<Output = ()> + Send + 'static>(
    defect: &'static str,
    complaint: &str,
    scenario: fn(Plan) -> S,
) {
    scenario(Plan::default()).await;
    let panicked = tokio::spawn(scenario(Plan::default().plant(defect))).await;
    let panic = panicked.expect_err("the planted bug was not caught").into_panic();
    let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(said.contains(complaint), "{defect} was caught by another check: {said}");
}

async fn filled(place: &Place, plan: &Plan, ledger: &Ledger<notes::Note>) -> Server {
    let server = place.start_with(plan).await;
    notes::create(&server).await;
    write(&server, 0, ledger).await;
    server
}

async fn write(server: &Server, first: i64, ledger: &Ledger<notes::Note>) {
    for user in notes::USERS {
        let client = server.connect(user).await;
        assert!(notes::write(&client, user, first, ledger).await, "nothing is wrong with writing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_fsync_that_is_forgotten() {
    caught("fsync-forgotten", "the manifest names", |plan| async move {
        let (place, ledger) = (Place::with_power_cut(), Arc::new(Ledger::new()));
        // The storage is made without the bug: one that lost its owner's mark is refused, before anything is looked at.
        place.start().await.kill().await;
        let mut server = filled(&place, &plan.trace(), &ledger).await;
        let admin = server.connect("admin").await;
        assert_eq!(notes::flush(&mut server, &admin).await, "completed");
        let lost = place.cut_power(server, 1).await;
        // Looked at before anybody reads the rows: an error about a file that is gone would hide which it is.
        let server = place.start().await;
        let admin = server.connect("admin").await;
        notes::files_hold_what_the_manifest_says(&place, &admin, &lost.to_string()).await;
        notes::check(&place, &server, &ledger, &lost.to_string()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watermark_that_is_skipped() {
    caught("watermark-skipped", "doubled: ", |plan| async move {
        let (place, ledger) = (Place::new(), Arc::new(Ledger::new()));
        let mut server = filled(&place, &plan.trace(), &ledger).await;
        let admin = server.connect("admin").await;
        notes::flush(&mut server, &admin).await;
        notes::check(&place, &server, &ledger, "after a flush").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seq_that_starts_from_the_hot_rows() {
    caught("seq-from-hot-rows", "lost: ", |plan| async move {
        let (place, ledger) = (Place::new(), Arc::new(Ledger::new()));
        let mut server = filled(&place, &Plan::default().trace(), &ledger).await;
        let admin = server.connect("admin").await;
        assert_eq!(notes::flush(&mut server, &admin).await, "completed");
        server.kill().await;
        let server = place.start_with(&plan).await;
        write(&server, 30, &ledger).await;
        notes::check(&place, &server, &ledger, "after a restart").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_deleted_before_the_commit() {
    caught("delete-before-commit", "lost: ", |plan| async move {
        let (place, ledger) = (Place::new(), Arc::new(Ledger::new()));
        let plan = plan.trace().crash_at("flush.planted.deleted", 1);
        let mut server = filled(&place, &plan, &ledger).await;
        let admin = server.connect("admin").await;
        run(&admin, "FLUSH TABLE chat.notes").await;
        // With the bug it dies between delete and commit; without, there is nothing between them.
        server.dies_before("job.done").await;
        server.kill().await;
        let mut server = place.start_with(&Plan::default().trace()).await;
        let admin = server.connect("admin").await;
        // Once: rows that are lost are counted as hot for ever.
        notes::flush_once(&mut server, &admin).await;
        notes::check(&place, &server, &ledger, "after a restart").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_used_again() {
    caught("name-reused", "after DROP and CREATE", |plan| async move {
        let place = Place::new();
        // What is dropped is not cleared away before the name is used again.
        let plan = plan.trace().hold_at("reclaim.begin");
        let mut server = filled(&place, &plan, &Ledger::new()).await;
        let admin = server.connect("admin").await;
        assert_eq!(notes::flush(&mut server, &admin).await, "completed");
        run(&admin, "DROP TABLE chat.notes; DROP NAMESPACE chat").await;
        assert!(!place.files("parquet").is_empty(), "they are still to be cleared away");
        notes::create(&server).await;
        // Of another table by the same name nothing is to be seen.
        let ledger = Ledger::new();
        write(&server, 30, &ledger).await;
        notes::check_in_sql(&server, &ledger, "after DROP and CREATE").await;
    })
    .await;
}
