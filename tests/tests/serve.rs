//! The server as a person meets it: rows in, files out, killed in between.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::kit::ledger::Ledger;
use crate::kit::notes::{self, Writers};
use crate::kit::rows::{assert_same, refused, rows, run, value};
use crate::kit::{Place, Plan, python};

/// Kills come while rows go in and flushes run, and while the flush of the life before is taken up again. The moment is
/// counted in acknowledged rows, so that a slow machine dies under load too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_rows_survive_fifty_kills_at_random_moments() {
    const KILLS: i64 = 50;
    let place = Place::new();
    place.settings("[flush]\nsegment_rows_max = 100\nrow_group_rows_max = 32\n");
    let ledger = Arc::new(Ledger::new());
    let mut server = place.start().await;
    notes::create(&server).await;
    let mut moments = StdRng::seed_from_u64(20_261_122);
    for round in 0..KILLS {
        let writers = Writers::start(&server, &ledger, round * 1_000_000);
        let admin = server.connect("admin").await;
        let goal = ledger.acknowledged_count() + moments.random_range(1..150);
        while ledger.acknowledged_count() < goal {
            run(&admin, "FLUSH TABLE chat.notes").await;
        }
        server.kill().await;
        writers.stop().await;
        server = place.start_with(&Plan::default().trace()).await;
        if round % 10 == 9 {
            let admin = server.connect("admin").await;
            assert_eq!(notes::flush(&mut server, &admin).await, "completed");
            notes::check(&place, &server, &ledger, &format!("after kill {round}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_rows_survive_power_cuts_under_load() {
    const CUTS: u64 = 4;
    let place = Place::with_power_cut();
    let ledger = Arc::new(Ledger::new());
    let server = place.start().await;
    notes::create(&server).await;
    let mut server = server;
    for seed in 0..CUTS {
        let first = i64::try_from(seed).expect("few cuts") * 1_000_000;
        let writers = Writers::start(&server, &ledger, first);
        let admin = server.connect("admin").await;
        let goal = ledger.acknowledged_count() + 150;
        while ledger.acknowledged_count() < goal {
            run(&admin, "SELECT count(*) FROM chat.notes").await;
        }
        run(&admin, "FLUSH TABLE chat.notes").await;
        let lost = place.cut_power(server, seed).await;
        writers.stop().await;
        server = place.start_with(&Plan::default().trace()).await;
        let admin = server.connect("admin").await;
        assert_eq!(notes::flush(&mut server, &admin).await, "completed", "{lost}");
        notes::check(&place, &server, &ledger, &format!("after power cut {seed}: {lost}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_are_not_ours_read_what_sql_says() {
    let place = Place::new();
    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    run(
        &admin,
        "CREATE NAMESPACE chat; \
         CREATE USER TABLE chat.notes ( \
             b BOOLEAN, s SMALLINT, i INT, l BIGINT, r REAL, d DOUBLE, m DECIMAL(12, 2), t TEXT, y BYTEA, \
             day DATE, at TIME, ts TIMESTAMP, tz TIMESTAMPTZ \
         ) FLUSH INTERVAL 86399s",
    )
    .await;
    let ana = server.connect("ana").await;
    run(
        &ana,
        "INSERT INTO chat.notes VALUES \
         (true, -5, 1073741824, -4611686018427387904, 0.5, 1e300, -1234.50, 'tide ☃', '\\x00ff', \
          '1969-12-31', '23:59:59.999999', '2026-11-22 10:00:00.000001', '2026-11-22 10:00:00+00'), \
         (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    .await;
    let columns = "b, s, i, l, r, d, m, t, y, day, at, ts, tz";
    let hot = rows(&ana, &format!("SELECT {columns} FROM chat.notes ORDER BY _seq")).await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    let cold = rows(&ana, &format!("SELECT {columns} FROM chat.notes ORDER BY _seq")).await;
    assert_same(hot, cold, "a flush changes no answer");

    let files = place.files("parquet");
    assert_eq!(files.len(), 1, "one file for one user: {files:?}");
    let read = |reader: &str| python::read("read_parquet.py", [reader.as_ref(), files[0].as_os_str()]);
    let (duckdb, pyarrow) = (read("duckdb"), read("pyarrow"));
    assert_eq!(duckdb["rows"], pyarrow["rows"], "two readers, one answer");
    let first = &duckdb["rows"][0];
    let seen: Vec<_> = (0..13).map(|column| first[column].as_str().unwrap_or("NULL")).collect();
    assert_eq!(
        seen,
        [
            "true",
            "-5",
            "1073741824",
            "-4611686018427387904",
            "0.5",
            "1e+300",
            "-1234.50",
            "tide ☃",
            "\\x00ff",
            "1969-12-31",
            "23:59:59.999999",
            "2026-11-22 10:00:00.000001",
            "2026-11-22 10:00:00.000000+00:00"
        ]
    );
    assert!((0..13).all(|column| duckdb["rows"][1][column].is_null()), "NULLs stay NULLs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_keeps_everything_and_a_restart_goes_on() {
    let place = Place::new();
    let mut server = place.start().await;
    notes::create(&server).await;
    let ana = server.connect("ana").await;
    run(&ana, "INSERT INTO chat.notes (id, body) VALUES (1, 'a'), (2, 'b')").await;
    server.terminate();
    let status = server.ended().await;
    assert!(status.success(), "{status}; the server said:\n{}", server.output.tail());
    let server = place.start().await;
    assert_eq!(value(&server.connect("ana").await, "SELECT count(*) FROM chat.notes").await, "2");
    assert_eq!(value(&server.connect("ben").await, "SELECT count(*) FROM chat.notes").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_leaves_nothing_behind_and_the_connection_lives_on() {
    let place = Place::new();
    let server = place.start().await;
    notes::create(&server).await;
    let admin = server.connect("admin").await;
    for (sql, sqlstate) in [
        ("CREATE TABLE chat.keyed (id BIGINT PRIMARY KEY) FLUSH INTERVAL 60s", "0A000"),
        ("CREATE TABLE chat.unflushed (id BIGINT)", "42P16"),
        ("CREATE TABLE chat.odd (id COLOUR) FLUSH INTERVAL 60s", "42704"),
        ("SELECT * FROM chat.nothing", "42P01"),
        ("SELEC 1", "42601"),
    ] {
        let (told, message) = refused(&admin, sql).await;
        assert_eq!(told, sqlstate, "{sql}: {message}");
    }
    let tables = rows(&admin, "SELECT table_name FROM system.tables").await;
    assert_eq!(tables, [[Some("notes".to_owned())]], "no refused table was made");
    let ana = server.connect("ana").await;
    run(&ana, "BEGIN; INSERT INTO chat.notes (id, body) VALUES (1, 'a'); ROLLBACK").await;
    assert_eq!(value(&ana, "SELECT count(*) FROM chat.notes").await, "0");
}
