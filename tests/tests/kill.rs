//! KILL JOB, from SQL, while a flush is in the middle of a giant user.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::kit::ledger::Ledger;
use crate::kit::notes;
use crate::kit::rows::{refused, rows, run, value};
use crate::kit::{Place, Plan, Server};

/// What B6 promises on a store that does nothing else.
const CANCELLED_WITHIN: Duration = Duration::from_secs(1);

/// Kills a job that runs and waits until it is cancelled; how long that took.
async fn kill(admin: &Client, job: &str) -> Duration {
    let began = Instant::now();
    let told = rows(admin, &format!("KILL JOB '{job}'")).await;
    let told: Vec<_> = told[0].iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
    assert!(told[0] == job && ["cancelling", "cancelled"].contains(&told[1]), "{told:?}");
    while status(admin, job).await != "cancelled" {
        assert!(began.elapsed() < CANCELLED_WITHIN, "{job} is {} still", status(admin, job).await);
    }
    began.elapsed()
}

async fn status(admin: &Client, job: &str) -> String {
    value(admin, &format!("SELECT status FROM system.jobs WHERE job_id = '{job}'")).await
}

/// One giant user and a small one, and a flush that is killed when `point` was reached so often.
async fn killed_inside_a_giant_user(settings: &str, rows_of_ben: i64, point: &str, times: usize) {
    let place = Place::new();
    place.settings(settings);
    let ledger = Arc::new(Ledger::new());
    let mut server = place.start_with(&Plan::default().trace()).await;
    notes::create(&server).await;
    for (user, ids) in [("ana", 0..10), ("Ben", 0..rows_of_ben)] {
        notes::load(&server.connect(user).await, user, ids, &ledger).await;
    }
    let admin = server.connect("admin").await;
    let job = notes::begin_flush(&admin).await;
    server.reached_more_than(point, times).await;
    let took = kill(&admin, &job).await;

    let row = rows(
        &admin,
        &format!(
            "SELECT state, cancelled_at IS NOT NULL AND cancelled_at >= started_at AND cancelled_at <= now(), \
             completed_at IS NULL, users_done, result IS NULL FROM system.jobs WHERE job_id = '{job}'"
        ),
    )
    .await;
    let row: Vec<_> = row[0].iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
    assert_eq!((row[0], row[1], row[2], row[4]), ("Writing", "t", "t", "t"), "after {took:?}: {row:?}");
    let hot = value(&admin, "SELECT hot_rows FROM system.tables WHERE table_name = 'notes'").await;
    assert_ne!(hot, "0", "it was killed in the middle");
    notes::check_in_sql(&server, &ledger, "after the kill").await;

    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    // The step that was refused may have left files that nobody names; they are the orphan sweep's.
    notes::check_but_strays(&place, &server, &ledger, "after the flush that follows").await;
    assert_eq!(status(&admin, &job).await, "cancelled", "whatever the killed one still did, it stays cancelled");
    let path = format!("SELECT to_state, status FROM system.job_transitions WHERE job_id = '{job}' ORDER BY seq_no");
    let path = rows(&admin, &path).await;
    let last = path.last().expect("a job has transitions");
    assert_eq!(last[1].as_deref(), Some("cancelled"), "{path:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_is_killed_between_the_parts_of_a_giant_user() {
    let settings = "[flush]\nsegment_rows_max = 20\nrow_group_rows_max = 10\n";
    killed_inside_a_giant_user(settings, 8_000, "flush.writing.uploaded", 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_is_killed_between_the_row_groups_of_a_giant_user() {
    // One file that streams: nothing is handed over before its end.
    let settings = "[flush]\nrow_group_rows_max = 20\nrow_group_bytes_max = \"64 KiB\"\n";
    killed_inside_a_giant_user(settings, 15_000, "object.temp.half", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_flushes_is_killed_and_the_others_complete() {
    let place = Place::new();
    place.settings("[flush]\nsegment_rows_max = 20\nrow_group_rows_max = 10\n");
    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    run(&admin, "CREATE NAMESPACE chat").await;
    const TABLES: [(&str, i64); 3] = [("a", 600), ("b", 16_000), ("c", 600)];
    for (table, count) in TABLES {
        run(
            &admin,
            &format!(
                "CREATE SHARED TABLE chat.{table} (id BIGINT) FLUSH ROW_THRESHOLD 999999; \
                 INSERT INTO chat.{table} SELECT value FROM generate_series(1, {count})"
            ),
        )
        .await;
    }
    let started = rows(&admin, "FLUSH ALL IN chat").await;
    let job_of = |table: &str| {
        let row = started.iter().find(|row| row[2].as_deref() == Some(table)).expect("every table has a job");
        row[0].clone().expect("a job has an id")
    };
    // All three are at work by then: each has a runner of its own.
    server.reached_more_than("flush.writing.uploaded", 5).await;
    assert_eq!(status(&admin, &job_of("b")).await, "running");
    kill(&admin, &job_of("b")).await;
    for table in ["a", "c"] {
        assert_eq!(notes::ended(&mut server, &admin, &job_of(table)).await, "completed", "{table} was not killed");
    }
    assert_eq!(status(&admin, &job_of("b")).await, "cancelled");
    for (table, count) in TABLES {
        let once = format!("SELECT count(*) = {count} AND count(DISTINCT id) = {count} FROM chat.{table}");
        assert_eq!(value(&admin, &once).await, "t", "{table}: every row is there once");
    }
    let (sqlstate, message) = refused(&admin, &format!("KILL JOB '{}'", job_of("a"))).await;
    assert_eq!((sqlstate.as_str(), message.as_str()), ("55000", "Cannot cancel job in status completed"));
    let (sqlstate, message) = refused(&admin, &format!("KILL JOB '{}'", job_of("b"))).await;
    assert_eq!((sqlstate.as_str(), message.as_str()), ("55000", "Cannot cancel job in status cancelled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_kill_a_job_that_is_not_there_is_a_clear_error() {
    let place = Place::new();
    let server: Server = place.start().await;
    let admin = server.connect("admin").await;
    for id in ["01998f6e-0000-7000-8000-000000000000", "nonsense", "'' OR 1=1", "☃"] {
        let (sqlstate, message) = refused(&admin, &format!("KILL JOB '{id}'")).await;
        let id = id.replace("''", "'");
        assert_eq!((sqlstate.as_str(), message), ("42704", format!("Job {id} not found")));
    }
    for statement in ["KILL JOB", "KILL JOB ''"] {
        let (sqlstate, message) = refused(&admin, statement).await;
        assert_eq!((sqlstate.as_str(), message.as_str()), ("42601", "KILL JOB requires a job_id"));
    }
    let ana = server.connect("ana").await;
    let (sqlstate, _) = refused(&ana, "KILL JOB '01998f6e-0000-7000-8000-000000000000'").await;
    assert_eq!(sqlstate, "42501", "a user may not kill jobs, nor learn which there are");
    assert_eq!(value(&admin, "SELECT count(*) FROM system.jobs").await, "0");
}
