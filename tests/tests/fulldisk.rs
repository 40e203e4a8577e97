//! No room: on the disk of the hot tier, and on that of a storage.

use std::sync::Arc;

use serde_json::Value;

use crate::kit::fulldisk::FullDisk;
use crate::kit::ledger::Ledger;
use crate::kit::notes;
use crate::kit::raw::Raw;
use crate::kit::rows::{run, value};
use crate::kit::{Place, Plan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_makes_the_server_read_only_until_a_restart_and_loses_nothing() {
    let place = Place::new();
    let disk = FullDisk::of(&place.data());
    let ledger = Arc::new(Ledger::new());
    let plan = Plan::default().trace().on(&disk);
    let mut server = place.start_with(&plan).await;
    notes::create(&server).await;
    let clients = [server.connect(notes::USERS[0]).await, server.connect(notes::USERS[1]).await];
    for first in (0..30).step_by(3) {
        for (client, user) in clients.iter().zip(notes::USERS) {
            assert!(notes::write(client, user, first, &ledger).await, "there is room");
        }
    }
    let admin = server.connect("admin").await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    assert!(notes::write(&clients[0], notes::USERS[0], 100, &ledger).await, "there is room");

    // Room for a part of the next record: the log is torn.
    let log = place.files("log").into_iter().filter_map(|path| std::fs::metadata(path).ok()).map(|about| about.len());
    disk.fill(log.max().expect("the hot tier has a log") + 40);
    let mut ana = Raw::connect(server.address(), b"ana").await.expect("a connection needs no room");
    for statement in [
        "INSERT INTO chat.notes VALUES (200, 'a', 'ana'), (201, 'b', 'ana')",
        "INSERT INTO chat.notes VALUES (202, 'a', 'ana')",
        "BEGIN; INSERT INTO chat.notes VALUES (203, 'a', 'ana'); COMMIT",
    ] {
        let told = ana.query(statement).await.refused(statement);
        assert_eq!(told.sqlstate, "53100", "{statement}: {told}");
        assert!(told.hint.contains("restart the server"), "{statement}: {told}");
    }
    ana.query("ROLLBACK").await;
    let told = ana.copy("COPY chat.notes FROM STDIN", b"204\ta\tana\n").await.refused("COPY");
    assert_eq!(told.sqlstate, "53100", "{told}");
    let mut service = Raw::connect(server.address(), b"admin").await.expect("a connection needs no room");
    for statement in [
        "CREATE TABLE chat.more (id INT) FLUSH INTERVAL 60s",
        "CREATE NAMESPACE more",
        "DROP TABLE chat.notes",
        "FLUSH TABLE chat.notes",
        "KILL JOB '01998f6e-0000-7000-8000-000000000000'",
    ] {
        let told = service.query(statement).await.refused(statement);
        // To look for a job needs no room.
        let expected = if statement.starts_with("KILL") { "42704" } else { "53100" };
        assert_eq!(told.sqlstate, expected, "{statement}: {told}");
    }
    notes::check_in_sql(&server, &ledger, "while the disk is full").await;

    server.terminate();
    assert!(server.ended().await.success(), "an orderly end needs no room; it said:\n{}", server.output.tail());
    let mut starved = place.spawn(&plan);
    assert!(!starved.wait_until_it_listens().await, "a start without room ends");
    assert!(!starved.ended().await.success());
    let said = starved.output.tail();
    assert!(said.contains("No space left on device") && !said.contains("panicked"), "{said}");

    disk.make_room();
    let mut server = place.start_with(&plan).await;
    notes::check_in_sql(&server, &ledger, "after a restart with room").await;
    let client = server.connect(notes::USERS[0]).await;
    assert!(notes::write(&client, notes::USERS[0], 300, &ledger).await, "there is room again");
    let admin = server.connect("admin").await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    notes::check(&place, &server, &ledger, "after a restart with room, and a flush").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_in_the_middle_of_a_flush_only_makes_it_late() {
    let place = Place::new();
    place.settings("[flush]\nsegment_rows_max = 20\nrow_group_rows_max = 10\n");
    let disk = FullDisk::of(&place.data());
    let ledger = Arc::new(Ledger::new());
    let plan = Plan::default().trace().on(&disk);
    let mut server = place.start_with(&plan).await;
    notes::create(&server).await;
    notes::load(&server.connect("ana").await, "ana", 0..6_000, &ledger).await;
    let admin = server.connect("admin").await;
    let job = notes::begin_flush(&admin).await;
    server.reached_more_than("flush.writing.uploaded", 5).await;
    disk.fill(0);
    server.says("the job stands still at its last checkpoint").await;
    notes::check_in_sql(&server, &ledger, "while the disk is full").await;
    server.terminate();
    assert!(server.ended().await.success(), "an orderly end needs no room; it said:\n{}", server.output.tail());

    disk.make_room();
    let mut server = place.start_with(&plan).await;
    let admin = server.connect("admin").await;
    assert_eq!(notes::ended(&mut server, &admin, &job).await, "completed", "it goes on by itself");
    notes::check(&place, &server, &ledger, "after a restart with room").await;
}

/// The log has room and sorted files have none: what fails is not the commit itself but the work behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sorted_files_without_room_end_in_an_error_not_in_waiting() {
    let place = Place::new();
    place.settings("[engine]\nwrite_buffer_bytes_max = \"1 MiB\"\n");
    let disk = FullDisk::of(&place.data()).only(".sst");
    let ledger = Arc::new(Ledger::new());
    let plan = Plan::default().trace().on(&disk);
    let mut server = place.start_with(&plan).await;
    notes::create(&server).await;
    let ana = server.connect("ana").await;
    notes::load(&ana, "ana", 0..1_000, &ledger).await;
    disk.fill(0);
    let mut raw = Raw::connect(server.address(), b"ana").await.expect("a connection needs no room");
    let mut refused = None;
    for _ in 0..1_000 {
        let big = "y".repeat(100_000);
        refused = raw.query(format!("INSERT INTO chat.notes VALUES (0, '{big}', 'nobody')")).await.error;
        if refused.is_some() {
            break;
        }
    }
    let told = refused.expect("100 MB do not fit into a MiB of memory");
    assert_eq!(told.sqlstate, "53100", "{told}");
    assert_eq!(value(&ana, "SELECT count(DISTINCT id) FROM chat.notes WHERE writer = 'ana'").await, "1000");
    server.terminate();
    assert!(server.ended().await.success(), "an orderly end needs no room; it said:\n{}", server.output.tail());
    disk.make_room();
    let server = place.start_with(&plan).await;
    let ana = server.connect("ana").await;
    assert_eq!(value(&ana, "SELECT count(DISTINCT id) FROM chat.notes WHERE writer = 'ana'").await, "1000");
    run(&ana, "INSERT INTO chat.notes VALUES (1, 'there is room', 'nobody')").await;
}

/// Bytes that a file of ten rows needs, and one of thousands does not get by with.
const SMALL_FILE_BYTES: u64 = 12_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_storage_fails_its_users_by_name_and_their_rows_stay_hot() {
    let place = Place::new();
    // The hot tier lies beside it and has room.
    std::fs::create_dir(place.local_storage()).expect("a folder of our own");
    let storage = FullDisk::of(&place.local_storage());
    let ledger = Arc::new(Ledger::new());
    let mut server = place.start_with(&Plan::default().trace().on(&storage)).await;
    notes::create(&server).await;
    for (user, rows) in [("ana", 10), ("Ben", 8_000)] {
        notes::load(&server.connect(user).await, user, 0..rows, &ledger).await;
    }
    let admin = server.connect("admin").await;
    let hot = async || value(&admin, "SELECT hot_rows FROM system.tables WHERE table_name = 'notes'").await;

    storage.fill(SMALL_FILE_BYTES);
    let job = notes::begin_flush(&admin).await;
    assert_eq!(notes::ended(&mut server, &admin, &job).await, "completed", "one user of two has moved");
    let result = value(&admin, &format!("SELECT result FROM system.jobs WHERE job_id = '{job}'")).await;
    let result: Value = serde_json::from_str(&result).expect("a result is JSON");
    assert_eq!((&result["users"], &result["failed_users"]), (&1.into(), &1.into()), "{result}");
    assert_eq!(result["failures"][0]["user"], "Ben", "{result}");
    let reason = result["failures"][0]["reason"].as_str().expect("a reason is text");
    assert!(reason.contains("No space left on device"), "{reason}");
    assert_eq!(hot().await, "8000", "his rows stay hot, all of them, and ana's have gone");
    notes::check(&place, &server, &ledger, "with room for ana only").await;

    storage.fill(0);
    notes::load(&server.connect("ana").await, "ana", 10..20, &ledger).await;
    let job = notes::begin_flush(&admin).await;
    assert_eq!(notes::ended(&mut server, &admin, &job).await, "failed", "nobody has moved");
    let error = value(&admin, &format!("SELECT error FROM system.jobs WHERE job_id = '{job}'")).await;
    assert!(error.contains("all 2 users failed") && error.contains("No space left on device"), "{error}");
    assert_eq!(hot().await, "8010");
    notes::check(&place, &server, &ledger, "with no room at all").await;
    assert_eq!(place.files("tmp"), Vec::<std::path::PathBuf>::new(), "what was begun is gone");

    storage.make_room();
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    assert_eq!(hot().await, "0");
    notes::check(&place, &server, &ledger, "with room again").await;
}
