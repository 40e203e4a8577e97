//! The data directory is lost. What was in a bucket comes back, each row once, and the database goes on from there.

use std::process::Command;

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::kit::cloud::Cloud;
use crate::kit::ledger::Ledger;
use crate::kit::notes::{self, Note};
use crate::kit::rows::{refused, rows, run, value};
use crate::kit::seaweed::Seaweed;
use crate::kit::{Place, Plan, Server};

fn clauses(cloud: &Cloud) -> String {
    format!("TYPE s3 URI 's3://tides/root' CONFIG '{}' CREDENTIALS '{}'", cloud.config(json!({})), cloud.credentials())
}

async fn create(server: &Server, cloud: &Cloud) {
    let admin = server.connect("admin").await;
    run(&admin, "CREATE NAMESPACE chat").await;
    run(&admin, &format!("CREATE STORAGE tides {}", clauses(cloud))).await;
    run(&admin, "CREATE USER TABLE chat.notes (id BIGINT NOT NULL, body TEXT, writer TEXT) STORAGE tides SHARDING alphabetic FLUSH INTERVAL 86399s").await;
}

async fn write(server: &Server, first: i64, ledger: &Ledger<Note>) {
    for user in notes::USERS {
        assert!(notes::write(&server.connect(user).await, user, first, ledger).await);
    }
}

async fn attached(server: &mut Server, admin: &Client, sql: &str) -> Value {
    let job = rows(admin, sql).await[0][0].clone().expect("an attaching has an id");
    assert_eq!(notes::ended(server, admin, &job).await, "completed");
    let result = value(admin, &format!("SELECT result FROM system.jobs WHERE job_id = '{job}'")).await;
    serde_json::from_str(&result).expect("a result is JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_comes_back_from_its_bucket() {
    let seaweed = Seaweed::start().await;
    seaweed.create_bucket("tides").await;
    let cloud = seaweed.cloud();
    let place = Place::new();
    let ledger = Ledger::new();
    {
        let mut server = place.start_with(&Plan::default().trace()).await;
        create(&server, cloud).await;
        let admin = server.connect("admin").await;
        write(&server, 0, &ledger).await;
        assert_eq!(notes::flush(&mut server, &admin).await, "completed");
        server.reached_more_than("published.round", 0).await;
        // Dies before what it flushed is published, and again with uploads that no commit names.
        write(&server, 3, &ledger).await;
        server.kill().await;
        let mut server = place.start_with(&Plan::default().trace().crash_at("flush.writing.uploaded", 1)).await;
        let admin = server.connect("admin").await;
        let _ = admin.batch_execute("FLUSH TABLE chat.notes").await;
        assert!(server.dies_before("job.done").await);
        server.kill().await;
        let mut server = place.start_with(&Plan::default().trace().crash_at("published.put", 2)).await;
        assert!(server.dies_before("published.round").await, "it is taken up again, and published");
        server.kill().await;
        // Hot when the disk goes: these are lost, and said to be.
        let server = place.start().await;
        write(&server, 900, &Ledger::new()).await;
    }
    // Tries of every file that no commit named: what a crash may leave, and nobody had the time to sweep.
    let files = cloud.list("tides/root/chat").into_keys().filter(|key| key.ends_with(".parquet"));
    for key in files {
        let copy = place.folder().join("copy");
        std::fs::write(&copy, cloud.bytes(&key)).expect("a file of our own");
        cloud.put(&key.replace(".parquet", "-r9.parquet"), &copy);
    }
    std::fs::remove_dir_all(place.data()).expect("the data is lost");
    std::fs::create_dir(place.data()).expect("a new disk");

    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    assert_eq!(value(&admin, "SELECT count(*) FROM system.tables WHERE namespace = 'chat'").await, "0");
    let (_, told) = refused(&admin, &format!("CREATE STORAGE tides {}", clauses(cloud))).await;
    assert!(told.contains("belongs to storage"), "{told}");
    let (_, told) = refused(&admin, &format!("ATTACH STORAGE back {}", clauses(cloud))).await;
    assert!(told.contains("its root belongs to storage 'tides' of database"), "{told}");
    let result = attached(&mut server, &admin, &format!("ATTACH STORAGE back {} TAKE OVER", clauses(cloud))).await;
    assert_eq!(
        (&result["folders"], &result["failed_folders"], &result["missing_files"]),
        (&json!(3), &json!(0), &json!(0)),
        "{result}"
    );
    assert_eq!((&result["segments"], &result["ignored_files"]), (&json!(6), &json!(6)), "{result}");
    notes::check_in_sql(&server, &ledger, "attached").await;
    let table = rows(&admin, "SELECT storage_id, sharding FROM system.tables WHERE table_name = 'notes'").await;
    assert_eq!(table, [[Some("back".to_owned()), Some("alphabetic".to_owned())]]);

    // It goes on: new rows, new files, and after a restart all of it.
    write(&server, 6, &ledger).await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    notes::check_in_sql(&server, &ledger, "after a flush").await;
    server.kill().await;
    let server = place.start().await;
    notes::check_in_sql(&server, &ledger, "after a restart").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_attaches_and_changes_keys() {
    let seaweed = Seaweed::start().await;
    seaweed.create_bucket("tides").await;
    let cloud = seaweed.cloud();
    let ledger = Ledger::new();
    let lost = Place::new();
    {
        let mut server = lost.start_with(&Plan::default().trace()).await;
        create(&server, cloud).await;
        write(&server, 0, &ledger).await;
        let admin = server.connect("admin").await;
        assert_eq!(notes::flush(&mut server, &admin).await, "completed");
        server.kill().await;
    }
    let place = Place::new();
    let keys = place.folder().join("keys");
    let ebbtide = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_victim")).args(arguments).output().expect("it runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    };
    let new_key = || ebbtide(&["secrets", "new-key"]).trim().to_owned();
    let first = new_key();
    std::fs::write(&keys, &first).expect("a file of our own");
    place.settings(&format!("[secrets]\nkey_file = {:?}\n", keys.display().to_string()));
    let mut server = place.start().await;
    let url = format!("postgres://admin@{}/ebbtide", server.address());
    let credentials = place.folder().join("credentials.json");
    std::fs::write(&credentials, cloud.credentials()).expect("a file of our own");
    let said = ebbtide(&[
        "attach",
        "back",
        "--type",
        "s3",
        "--uri",
        "s3://tides/root",
        "--config",
        &cloud.config(json!({})),
        "--credentials-file",
        credentials.to_str().expect("plain names"),
        "--take-over",
        "--url",
        &url,
    ]);
    assert!(said.contains("completed in state Done: 3 users, 9 rows"), "{said}");
    notes::check_in_sql(&server, &ledger, "attached").await;

    // Another key comes first, everything is sealed with it, and the old one goes.
    server.kill().await;
    std::fs::write(&keys, format!("{}\n{first}\n", new_key())).expect("a file of our own");
    let mut server = place.start().await;
    let url = format!("postgres://admin@{}/ebbtide", server.address());
    assert!(ebbtide(&["secrets", "rotate", "--url", &url]).starts_with("1 sealed anew"));
    assert!(ebbtide(&["secrets", "rotate", "--url", &url]).starts_with("0 sealed anew"));
    server.kill().await;
    let both = std::fs::read_to_string(&keys).expect("a file of our own");
    std::fs::write(&keys, both.lines().next().expect("two keys")).expect("a file of our own");
    let server = place.start().await;
    notes::check_in_sql(&server, &ledger, "with the new key alone").await;
}
