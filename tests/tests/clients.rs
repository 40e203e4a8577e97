//! Clients that people use, each against the real server: sqlx and psycopg. (Every other test uses tokio-postgres.)

use serde_json::json;
use sqlx::{Connection, PgConnection, Row};

use crate::kit::rows::run;
use crate::kit::{Place, python};

const CREATE: &str = "CREATE NAMESPACE life; \
    CREATE USER TABLE life.events (id BIGINT NOT NULL, kind TEXT, score DOUBLE, good BOOLEAN, raw BYTEA) \
    FLUSH ROW_THRESHOLD 999999";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlx_prepares_binds_and_reads_in_binary() {
    let place = Place::new();
    let server = place.start().await;
    let admin = server.connect("admin").await;
    run(&admin, CREATE).await;

    let url = format!("postgres://ana@{}/ebbtide?sslmode=disable", server.address());
    let mut ana = PgConnection::connect(&url).await.expect("sqlx connects");
    for id in 0..50i64 {
        sqlx::query("INSERT INTO life.events (id, kind, score, good, raw) VALUES ($1, $2, $3, $4, $5)")
            .bind(id)
            .bind((id % 5 != 0).then(|| format!("kind {id}")))
            .bind(id as f64 / 4.0)
            .bind(id % 2 == 0)
            .bind(vec![0u8, 255, id as u8])
            .execute(&mut ana)
            .await
            .expect("a row goes in");
    }
    // Half of the answer from files.
    run(&admin, "FLUSH TABLE life.events").await;
    let found = sqlx::query("SELECT id, kind, score, good, raw FROM life.events WHERE id >= $1 ORDER BY id")
        .bind(10i64)
        .fetch_all(&mut ana)
        .await
        .expect("an answer");
    assert_eq!(found.len(), 40);
    for (row, id) in found.iter().zip(10i64..) {
        assert_eq!(row.get::<i64, _>("id"), id);
        assert_eq!(row.get::<Option<String>, _>("kind"), (id % 5 != 0).then(|| format!("kind {id}")));
        assert_eq!(row.get::<f64, _>("score"), id as f64 / 4.0);
        assert_eq!(row.get::<bool, _>("good"), id % 2 == 0);
        assert_eq!(row.get::<Vec<u8>, _>("raw"), vec![0, 255, id as u8]);
    }

    let mut transaction = ana.begin().await.expect("BEGIN");
    sqlx::query("INSERT INTO life.events (id) VALUES ($1)")
        .bind(99i64)
        .execute(&mut *transaction)
        .await
        .expect("a row");
    transaction.rollback().await.expect("ROLLBACK");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM life.events").fetch_one(&mut ana).await.expect("a count");
    assert_eq!(left, 50, "what was rolled back is not there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn psycopg_binds_copies_and_rolls_back() {
    let place = Place::new();
    let server = place.start().await;
    run(&server.connect("admin").await, CREATE).await;
    let port = server.address().port().to_string();
    let told =
        tokio::task::spawn_blocking(move || python::read("psycopg_client.py", [port])).await.expect("the script ends");
    assert_eq!(
        told,
        json!({
            "copied": 1000,
            "own_rows": 3,
            "first": [1, "one", 1.5, true, "00ff"],
            "after_rollback": 3,
            "refused": "0A000",
            "lives_on": 1,
        })
    );
}
