//! Reads while flushes run: no number drops, doubles or disagrees with itself.
//!
//! Rows are only added, so every count may only grow; and what one statement sees twice, it sees alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::Client;

use crate::kit::ledger::Ledger;
use crate::kit::notes::{self, Writers};
use crate::kit::rows::{rows, run, value};
use crate::kit::{Place, Plan};

const FLUSHES: usize = 12;

/// Asks the same thing until told to stop; each answer must be at least the one before. How often it asked.
async fn only_grows(client: Client, sql: &'static str, stop: Arc<AtomicBool>) -> usize {
    let (mut before, mut asked) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let now: i64 = value(&client, sql).await.parse().expect("a count");
        assert!(now >= before, "{sql}: {now} after {before}");
        (before, asked) = (now, asked + 1);
    }
    asked
}

/// Asks for numbers that are equal in any one instant.
async fn agrees(client: Client, sql: &'static str, stop: Arc<AtomicBool>) -> usize {
    let mut asked = 0;
    while !stop.load(Ordering::Relaxed) {
        let found = rows(&client, sql).await;
        let first = &found[0][0];
        assert!(found[0].iter().all(|number| number == first), "{sql}: {found:?}");
        asked += 1;
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_drops_doubles_or_disagrees_with_itself_while_flushes_run() {
    let place = Place::new();
    place.settings("[flush]\nsegment_rows_max = 40\nrow_group_rows_max = 16\n");
    let ledger = Arc::new(Ledger::new());
    let mut server = place.start_with(&Plan::default().trace()).await;
    notes::create(&server).await;
    let writers = Writers::start(&server, &ledger, 0);
    let stop = Arc::new(AtomicBool::new(false));
    let readers = [
        tokio::spawn(only_grows(server.connect("admin").await, "SELECT count(*) FROM chat.notes", stop.clone())),
        tokio::spawn(only_grows(
            server.connect(notes::USERS[0]).await,
            "SELECT count(id) FROM chat.notes",
            stop.clone(),
        )),
        tokio::spawn(agrees(
            server.connect(notes::USERS[0]).await,
            "SELECT count(*) AS pairs, count(DISTINCT x.id) AS ids, (SELECT count(*) FROM chat.notes) AS all_of_them \
             FROM chat.notes x JOIN chat.notes y ON x.id = y.id",
            stop.clone(),
        )),
    ];
    let admin = server.connect("admin").await;
    for _ in 0..FLUSHES {
        assert_eq!(notes::flush_once(&mut server, &admin).await, "completed");
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        let asked = reader.await.expect("no number was wrong");
        assert!(asked > 0, "it was asked while flushes ran");
    }
    writers.stop().await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    notes::check(&place, &server, &ledger, "after all flushes").await;
    run(&admin, "DROP TABLE chat.notes").await;
}
