//! Storages in real services for S3 and Azure: where rows land, what their moods do to a flush, and what is left of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::kit::azurite::Azurite;
use crate::kit::cloud::Cloud;
use crate::kit::ledger::Ledger;
use crate::kit::notes::{self, Note};
use crate::kit::proxy::{Fault, Proxy, Request};
use crate::kit::rows::{hint, refused, rows, run, value};
use crate::kit::seaweed::Seaweed;
use crate::kit::{Place, Plan, Server};

/// `CREATE STORAGE` for a bucket of a service, with more settings.
fn create(id: &str, cloud: &Cloud, path: &str, more: Value) -> String {
    let kind = if cloud.base_directory("x").starts_with("s3") { "s3" } else { "azure" };
    format!(
        "CREATE STORAGE {id} TYPE {kind} URI '{}' CONFIG '{}' CREDENTIALS '{}'",
        cloud.base_directory(path),
        cloud.config(more),
        cloud.credentials()
    )
}

/// A storage that gives up soon, so that a test of an outage is not a test of patience.
fn impatient() -> Value {
    json!({ "retries_max": 1, "retry_timeout": "2s", "request_timeout": "2s", "connect_timeout": "1s" })
}

/// Objects below a folder of a bucket that hold rows, with their sizes.
fn files(cloud: &Cloud, folder: &str) -> BTreeMap<String, u64> {
    cloud.list(folder).into_iter().filter(|(key, _)| key.ends_with(".parquet")).collect()
}

/// Rows of notes in these objects, as a reader that is not ours sees them.
fn read(cloud: &Cloud, keys: impl IntoIterator<Item = String>) -> Vec<Note> {
    let keys: Vec<String> = keys.into_iter().collect();
    if keys.is_empty() {
        return Vec::new();
    }
    let read = cloud.rows(keys.iter().map(String::as_str));
    let columns: Vec<&str> =
        read["columns"].as_array().expect("a list").iter().filter_map(|column| column[0].as_str()).collect();
    let at = |name: &str| columns.iter().position(|column| *column == name).expect("the column is in the files");
    let (writer, id) = (at("writer"), at("id"));
    let rows = read["rows"].as_array().expect("a list").iter();
    rows.map(|row| {
        (row[writer].as_str().expect("text").to_owned(), row[id].as_str().expect("text").parse().expect("a number"))
    })
    .collect()
}

async fn flush(server: &mut Server, admin: &Client, table: &str) -> Value {
    let job = rows(admin, &format!("FLUSH TABLE {table}")).await[0][0].clone().expect("a flush has an id");
    let status = notes::ended(server, admin, &job).await;
    let result = value(admin, &format!("SELECT result FROM system.jobs WHERE job_id = '{job}'")).await;
    let error = value(admin, &format!("SELECT error FROM system.jobs WHERE job_id = '{job}'")).await;
    let mut result: Value = serde_json::from_str(&result).unwrap_or(Value::Null);
    if result.is_null() {
        result = json!({});
    }
    result["status"] = json!(status);
    result["error"] = json!(error);
    result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_tables_land_on_three_storages_and_come_back_row_by_row() {
    let (seaweed, azurite) = (Seaweed::start().await, Azurite::start().await);
    seaweed.create_bucket("tides").await;
    azurite.create_container("ebb").await;
    let place = Place::new();
    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    run(&admin, "CREATE NAMESPACE chat").await;
    run(&admin, &create("bucket", seaweed.cloud(), "tides/deep/down", json!({}))).await;
    run(&admin, &create("container", azurite.cloud(), "ebb", json!({}))).await;
    for storage in ["bucket", "container", "local"] {
        let probe = rows(&admin, &format!("CHECK STORAGE {storage}")).await;
        assert!(probe.iter().all(|row| row[4].is_none()), "{storage}: {probe:?}");
        run(
            &admin,
            &format!(
                "CREATE USER TABLE chat.{storage} (id BIGINT, writer TEXT) STORAGE {storage} FLUSH INTERVAL 86399s"
            ),
        )
        .await;
        for user in notes::USERS {
            let client = server.connect(user).await;
            run(&client, &format!("INSERT INTO chat.{storage} VALUES (1, '{user}'), (2, '{user}')")).await;
        }
        let result = flush(&mut server, &admin, &format!("chat.{storage}")).await;
        assert_eq!((&result["status"], &result["records_flushed"]), (&json!("completed"), &json!(6)), "{result}");
    }
    for (storage, cloud, folder) in
        [("bucket", seaweed.cloud(), "tides/deep/down/chat"), ("container", azurite.cloud(), "ebb/chat")]
    {
        let found = files(cloud, folder);
        assert_eq!(found.len(), notes::USERS.len(), "one file per user: {found:?}");
        let mut in_files = read(cloud, found.into_keys());
        in_files.sort();
        let expected: BTreeSet<Note> =
            notes::USERS.iter().flat_map(|user| [1, 2].map(|id| ((*user).to_owned(), id))).collect();
        assert_eq!(in_files, expected.into_iter().collect::<Vec<_>>(), "{storage}");
        assert_eq!(value(&admin, &format!("SELECT count(*) FROM chat.{storage}")).await, "6");
        let named =
            value(&admin, &format!("SELECT count(*) FROM system.segments WHERE storage_id = '{storage}'")).await;
        assert_eq!(named, "3");
        let (state, told) = refused(&admin, &format!("DROP STORAGE {storage}")).await;
        assert_eq!((state.as_str(), told.contains(&format!("chat.{storage}"))), ("2BP01", true), "{told}");
    }
    // Over a restart the storages are there again, with their credentials.
    server.kill().await;
    let server = place.start().await;
    let admin = server.connect("admin").await;
    assert_eq!(value(&admin, "SELECT count(*) FROM chat.bucket").await, "6");
    assert_eq!(value(&admin, "SELECT count(*) FROM chat.container").await, "6");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_user_goes_to_his_region_and_one_region_that_is_down_is_its_users_alone() {
    let (near, far) = (Seaweed::start().await, Seaweed::start().await);
    near.create_bucket("near").await;
    far.create_bucket("far").await;
    let mut proxy = Proxy::before(far.cloud().address).await;
    let place = Place::new();
    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    run(&admin, "CREATE NAMESPACE chat").await;
    run(&admin, &create("near", near.cloud(), "near", json!({}))).await;
    run(&admin, &create("far", &far.cloud().through(&proxy), "far", impatient())).await;
    run(&admin, "CREATE USER TABLE chat.notes (id BIGINT NOT NULL, body TEXT, writer TEXT) USE_USER_STORAGE FLUSH INTERVAL 86399s").await;
    let users: Vec<String> = (0..12).map(|n| format!("user-{n}")).collect();
    let storage_of = |n: usize| ["local", "near", "far"][n % 3];
    let ledger = Ledger::new();
    for (n, user) in users.iter().enumerate() {
        if storage_of(n) != "local" {
            run(&admin, &format!("CREATE USER '{user}' STORAGE_MODE region STORAGE_ID {}", storage_of(n))).await;
        }
        assert!(notes::write(&server.connect(user).await, user, 0, &ledger).await);
    }

    proxy.refuse().await;
    let result = flush(&mut server, &admin, "chat.notes").await;
    assert_eq!(result["status"], "completed", "{result}");
    assert_eq!((&result["users"], &result["failed_users"]), (&json!(8), &json!(4)), "{result}");
    let failed: BTreeSet<&str> =
        result["failures"].as_array().expect("a list").iter().filter_map(|failure| failure["user"].as_str()).collect();
    let expected: BTreeSet<&str> =
        users.iter().enumerate().filter(|(n, _)| storage_of(*n) == "far").map(|(_, user)| user.as_str()).collect();
    assert_eq!(failed, expected, "they are named");
    let reasons = result["failures"].to_string();
    assert!(reasons.contains("cannot be reached") && reasons.contains("check the endpoint"), "{reasons}");
    assert_eq!(value(&admin, "SELECT count(*) FROM chat.notes").await, "36", "their rows are hot, and there");
    assert_eq!(files(near.cloud(), "near").len(), 4);

    proxy.accept().await;
    let result = flush(&mut server, &admin, "chat.notes").await;
    assert_eq!(
        (&result["status"], &result["users"], &result["failed_users"]),
        (&json!("completed"), &json!(4), &json!(0)),
        "{result}"
    );
    assert_eq!(files(far.cloud(), "far").len(), 4);
    let everywhere = [
        read(near.cloud(), files(near.cloud(), "near").into_keys()),
        read(far.cloud(), files(far.cloud(), "far").into_keys()),
    ]
    .concat();
    for (n, user) in users.iter().enumerate().filter(|(n, _)| storage_of(*n) != "local") {
        let his = everywhere.iter().filter(|note| note.0 == *user).count();
        assert_eq!(his, 3, "{user} on {}", storage_of(n));
    }
    assert_eq!(value(&admin, "SELECT count(*) FROM chat.notes").await, "36");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_hangs_does_not_hold_up_the_users_of_others() {
    let (well, hung) = (Seaweed::start().await, Seaweed::start().await);
    well.create_bucket("well").await;
    hung.create_bucket("hung").await;
    let place = Place::new();
    place.settings("[flush]\nencoders = 1\n");
    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    run(&admin, "CREATE NAMESPACE chat").await;
    run(&admin, &create("well", well.cloud(), "well", json!({}))).await;
    let slow = json!({ "retries_max": 0, "retry_timeout": "20s", "request_timeout": "20s" });
    run(&admin, &create("hung", hung.cloud(), "hung", slow)).await;
    run(&admin, "CREATE USER TABLE chat.notes (id BIGINT NOT NULL, body TEXT, writer TEXT) USE_USER_STORAGE STORAGE well FLUSH INTERVAL 86399s").await;
    // Those of the hanging storage come first in the order of users, and are more than a lane holds.
    let insert = async |prefix: &str, count: usize| {
        for first in (0..count).step_by(100) {
            let values: Vec<String> =
                (first..count.min(first + 100)).map(|n| format!("('{prefix}{n:04}', 1, '{prefix}{n:04}')")).collect();
            run(&admin, &format!("INSERT INTO chat.notes (_user_id, id, writer) VALUES {}", values.join(", "))).await;
        }
    };
    insert("a", 300).await;
    insert("b", 300).await;
    for n in 0..300 {
        run(&admin, &format!("ALTER USER 'a{n:04}' SET STORAGE_MODE region, SET STORAGE hung")).await;
    }
    hung.stop();
    let job = rows(&admin, "FLUSH TABLE chat.notes").await[0][0].clone().expect("a flush has an id");
    // Long before the first request of the hanging one is given up.
    let start = std::time::Instant::now();
    let handed_over = "SELECT count(*) FROM system.segments WHERE storage_id = 'well'";
    while value(&admin, handed_over).await != "300" {
        assert!(start.elapsed().as_secs() < 15, "the others wait: {} of 300", value(&admin, handed_over).await);
        server
            .reached_more_than(
                "engine.commit.after_write",
                server.points().iter().filter(|point| *point == "engine.commit.after_write").count(),
            )
            .await;
    }
    hung.resume();
    let status = notes::ended(&mut server, &admin, &job).await;
    assert_eq!(status, "completed");
    assert_eq!(value(&admin, "SELECT count(*) FROM chat.notes").await, "600");
}

/// Whether a request puts an object that holds rows.
fn puts_rows(request: &Request) -> bool {
    request.method == "PUT" && request.target.contains(".parquet")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moods_of_a_store_cost_time_and_no_row() {
    let seaweed = Seaweed::start().await;
    seaweed.create_bucket("tides").await;
    let proxy = Proxy::before(seaweed.cloud().address).await;
    let place = Place::new();
    place.settings(SWEEP);
    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    run(&admin, "CREATE NAMESPACE chat").await;
    run(&admin, &create("tides", &seaweed.cloud().through(&proxy), "tides", json!({ "retries_max": 3 }))).await;
    run(
        &admin,
        "CREATE USER TABLE chat.notes (id BIGINT NOT NULL, body TEXT, writer TEXT) STORAGE tides FLUSH INTERVAL 86399s",
    )
    .await;
    let ledger = Ledger::new();
    let mut first = 0;
    for (what, fault, times) in [
        ("it asks for fewer requests", Fault::SLOW_DOWN, 3),
        ("an answer is lost, so nobody knows whether the object is there", Fault::LoseAnswer, 1),
        ("every answer is lost, until another name is taken", Fault::LoseAnswer, 5),
        ("an answer is cut", Fault::CutAnswer, 2),
    ] {
        for user in notes::USERS {
            assert!(notes::write(&server.connect(user).await, user, first, &ledger).await);
        }
        first += 3;
        proxy.next(times, fault, puts_rows);
        for _ in 0..3 {
            let result = flush(&mut server, &admin, "chat.notes").await;
            if result["status"] == "completed" && result["failed_users"] == 0 {
                break;
            }
        }
        assert_eq!(proxy.planned(), 0, "{what}: it came");
        assert_eq!(value(&admin, "SELECT hot_rows FROM system.tables WHERE table_name = 'notes'").await, "0", "{what}");
        notes::check_in_sql(&server, &ledger, what).await;
    }
    let left = sweep(&mut server, &admin).await;
    assert!(left["quarantined"].as_u64().expect("a number") > 0, "uploads in doubt were written again: {left}");
    sweep(&mut server, &admin).await;
    assert_clean(&admin, seaweed.cloud(), "tides", "tides").await;
}

/// A sweep that waits for nothing.
const SWEEP: &str = "[[workflow]]\nname = \"sweep\"\nkind = \"orphan_sweep\"\ntrigger = \"manual\"\n\
    parameters = { grace = \"0s\", quarantine = \"0s\" }\n";

async fn sweep(server: &mut Server, admin: &Client) -> Value {
    let job = rows(admin, "RUN WORKFLOW sweep").await[0][0].clone().expect("a run has an id");
    assert_eq!(notes::ended(server, admin, &job).await, "completed");
    let result = value(admin, &format!("SELECT result FROM system.jobs WHERE job_id = '{job}'")).await;
    serde_json::from_str(&result).expect("a result is JSON")
}

/// Asserts that the bucket holds the objects that the manifest names, as it names them, and no other that holds rows.
async fn assert_clean(admin: &Client, cloud: &Cloud, storage: &str, root: &str) {
    let segments =
        rows(admin, &format!("SELECT path, bytes FROM system.segments WHERE storage_id = '{storage}'")).await;
    let named: BTreeMap<String, u64> = segments
        .iter()
        .map(|row| {
            let (path, bytes) = (row[0].as_deref().expect("a path"), row[1].as_deref().expect("a size"));
            (format!("{root}/{path}"), bytes.parse().expect("a number"))
        })
        .collect();
    assert_eq!(files(cloud, root), named);
}

const ROWS_GIANT: i64 = 2_400;

/// Texts that no compression makes small, so that a user's file takes several parts of five MiB.
fn noise(id: i64) -> String {
    let mut state = id.unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::with_capacity(12_000);
    while text.len() < 12_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    text
}

/// Small users, and one whose file is a multipart upload of more than three parts.
async fn fill(server: &Server, cloud: &Cloud, path: &str, ledger: &Ledger<Note>) {
    let admin = server.connect("admin").await;
    run(&admin, "CREATE NAMESPACE chat").await;
    run(
        &admin,
        &create("tides", cloud, path, json!({ "part_bytes": "5 MiB", "retries_max": 2, "retry_timeout": "20s" })),
    )
    .await;
    run(
        &admin,
        "CREATE USER TABLE chat.notes (id BIGINT NOT NULL, body TEXT, writer TEXT) STORAGE tides FLUSH INTERVAL 86399s",
    )
    .await;
    for user in notes::USERS {
        assert!(notes::write(&server.connect(user).await, user, 0, ledger).await);
    }
    let giant = server.connect("giant").await;
    for first in (0..ROWS_GIANT).step_by(100) {
        let values: Vec<_> = (first..first + 100).map(|id| format!("({id}, '{}', 'giant')", noise(id))).collect();
        run(&giant, &format!("INSERT INTO chat.notes VALUES {}", values.join(", "))).await;
        ledger.acknowledged((first..first + 100).map(|id| ("giant".to_owned(), id)));
    }
}

async fn check(admin: &Client, ledger: &Ledger<Note>, what: &str) {
    let all = rows(admin, "SELECT writer, id FROM chat.notes").await;
    let note = |row: &Vec<Option<String>>| {
        (row[0].clone().expect("a writer"), row[1].as_deref().and_then(|id| id.parse().ok()).expect("a number"))
    };
    ledger.check(all.iter().map(note), what);
}

/// Multipart uploads that a bucket holds open.
async fn open_uploads(seaweed: &Seaweed, bucket: &str) -> usize {
    let (status, answer) = seaweed.ask("GET", &format!("/{bucket}"), "uploads=", b"").await.expect("it answers");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).matches("<UploadId>").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_point_of_a_flush_to_s3_loses_and_doubles_nothing() {
    let seaweed = Seaweed::start().await;
    // The points come from a run that nothing happens to.
    seaweed.create_bucket("whole").await;
    let cases: BTreeMap<String, u32> = {
        let place = Place::new();
        place.settings(SWEEP);
        let ledger = Ledger::new();
        let mut server = place.start_with(&Plan::default().trace()).await;
        fill(&server, seaweed.cloud(), "whole/root", &ledger).await;
        let before = counts(&server);
        let admin = server.connect("admin").await;
        let result = flush(&mut server, &admin, "chat.notes").await;
        assert_eq!((&result["status"], &result["files"]), (&json!("completed"), &json!(4)), "{result}");
        let largest = files(seaweed.cloud(), "whole").into_values().max().expect("a file");
        assert!(largest > 10 << 20, "the giant's file takes three parts at least: {largest}");
        check(&admin, &ledger, "without a death").await;
        assert_clean(&admin, seaweed.cloud(), "tides", "whole/root").await;
        let after = counts(&server);
        after
            .into_iter()
            .map(|(point, times)| (point.clone(), times - before.get(&point).copied().unwrap_or(0)))
            .filter(|(_, times)| *times > 0)
            .collect()
    };
    assert!(cases.contains_key("cloud.write.answered") && cases.contains_key("flush.writing.uploaded"), "{cases:?}");

    let mut visited = BTreeSet::new();
    let mut number = 0;
    for (point, times) in &cases {
        // Requests are many; somewhere in the middle of them lie the parts.
        let nths: BTreeSet<u32> =
            if point.starts_with("cloud.") { (1..=5).map(|n| (times * n).div_ceil(5)).collect() } else { [1].into() };
        for nth in nths {
            number += 1;
            let bucket = format!("death-{number}");
            seaweed.create_bucket(&bucket).await;
            let what = format!("{point} for the {nth}. time");
            let (place, ledger) = (Place::new(), Ledger::new());
            place.settings(SWEEP);
            let mut server = place.start().await;
            fill(&server, seaweed.cloud(), &format!("{bucket}/root"), &ledger).await;
            server.kill().await;
            let mut server = place.spawn(&Plan::default().crash_at(point, nth).trace());
            let mut died = !server.wait_until_it_listens().await;
            if !died {
                if let Ok(admin) = server.try_connect("admin").await {
                    let _ = admin.batch_execute("FLUSH TABLE chat.notes").await;
                }
                let end = if point.starts_with("published.") { "published.round" } else { "job.done" };
                died = server.dies_before(end).await;
            }
            server.kill().await;
            if died {
                visited.insert(point.clone());
            }
            let mut server = place.start_with(&Plan::default().trace()).await;
            let admin = server.connect("admin").await;
            let status = notes::flush(&mut server, &admin).await;
            assert_eq!(status, "completed", "{what}");
            check(&admin, &ledger, &what).await;
            sweep(&mut server, &admin).await;
            sweep(&mut server, &admin).await;
            assert_clean(&admin, seaweed.cloud(), "tides", &format!("{bucket}/root")).await;
            assert_eq!(open_uploads(&seaweed, &bucket).await, 0, "{what}: an upload was left open");
        }
    }
    let missed: Vec<_> = cases.keys().filter(|point| !visited.contains(*point)).collect();
    assert!(missed.is_empty(), "no server died at {missed:?}");
}

fn counts(server: &Server) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for point in server.points() {
        *counts.entry(point).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_killed_in_the_middle_of_an_upload_loses_nothing() {
    let mut seaweed = Seaweed::start().await;
    seaweed.create_bucket("tides").await;
    let proxy = Proxy::before(seaweed.cloud().address).await;
    let place = Place::new();
    place.settings(SWEEP);
    let ledger = Ledger::new();
    let mut server = place.start_with(&Plan::default().trace()).await;
    fill(&server, &seaweed.cloud().through(&proxy), "tides/root", &ledger).await;
    let admin = server.connect("admin").await;
    let job = notes::begin_flush(&admin).await;
    proxy.sent_more_than(1, |request| request.method == "PUT" && request.target.contains("partNumber=")).await;
    seaweed.kill();
    seaweed.restart().await;
    notes::ended(&mut server, &admin, &job).await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    check(&admin, &ledger, "after the store was killed").await;
    sweep(&mut server, &admin).await;
    sweep(&mut server, &admin).await;
    assert_clean(&admin, seaweed.cloud(), "tides", "tides/root").await;
    let mut in_files = read(seaweed.cloud(), files(seaweed.cloud(), "tides").into_keys());
    in_files.sort();
    in_files.dedup();
    assert_eq!(in_files.len(), ledger.acknowledged_count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_storage_is_told_when_it_is_made() {
    let seaweed = Seaweed::start().await;
    seaweed.create_bucket("tides").await;
    let place = Place::new();
    place.settings("[flush]\nupload_attempts_max = 1\n");
    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    let cloud = seaweed.cloud();
    let wrong = |key: &str| Cloud { key: key.to_owned(), ..cloud.clone() };
    let quick = || json!({ "retries_max": 0 });
    for (what, sql, words) in [
        ("no such bucket", create("s", cloud, "no-such-bucket", quick()), "NoSuchBucket"),
        ("another secret", create("s", &wrong("0123456789abcdef"), "tides", quick()), "SignatureDoesNotMatch"),
        (
            "another key",
            create("s", &Cloud { account: "somebody".to_owned(), ..cloud.clone() }, "tides", quick()),
            "InvalidAccessKeyId",
        ),
        ("a bucket that is only read", create("s", &seaweed.reader(), "tides", quick()), "AccessDenied"),
        ("no address", create("s", cloud, "tides", quick()).replace("s3://tides", "tides"), "no scheme"),
        (
            "a template that could collide",
            format!("{} USER_TABLES_TEMPLATE '{{namespace}}/{{userId}}'", create("s", cloud, "tides", quick())),
            "{tableName} is required",
        ),
        ("a key that nobody knows", create("s", cloud, "tides", json!({ "regoin": "x" })), "regoin"),
    ] {
        let (_, told) = refused(&admin, &sql).await;
        assert!(told.contains(words), "{what}: {told}");
        assert!(!told.contains(&cloud.key) && !told.contains("0123456789abcdef"), "{what}: {told}");
        assert_eq!(value(&admin, "SELECT count(*) FROM system.storages").await, "1", "{what}");
    }
    // What no server here can be brought to say: it is said before it, as S3 says it.
    let proxy = Proxy::before(cloud.address).await;
    let moods = [
        (400, "AuthorizationHeaderMalformed", "another region"),
        (403, "RequestTimeTooSkewed", "the clock of this machine is off"),
        (400, "ExpiredToken", "the session token has run out"),
        (403, "AllAccessDisabled", "may not do this"),
    ];
    for (status, code, to_do) in moods {
        let sql = create("s", &cloud.through(&proxy), "tides", quick());
        proxy.next(2, Fault::Refuse(status, code), |request| request.method == "PUT");
        let ((_, told), hint) = (refused(&admin, &sql).await, hint(&admin, &sql).await);
        assert!(told.contains(code) && hint.contains(to_do), "{code}: {told}; {hint}");
        assert_eq!(proxy.planned(), 0, "{code}: it came");
        assert_eq!(value(&admin, "SELECT count(*) FROM system.storages").await, "1", "{code}");
    }
    // What was tried left nothing behind: the root is free.
    run(&admin, &create("s", cloud, "tides", quick())).await;
    let (_, told) = refused(&admin, &create("t", cloud, "tides", quick())).await;
    assert!(told.contains("belongs to storage \"s\""), "{told}");
    let (_, told) = refused(&admin, &create("t", cloud, "tides/inside", quick())).await;
    assert!(told.contains("lies inside"), "{told}");
    let (_, told) = refused(
        &admin,
        "ALTER STORAGE s SET CREDENTIALS '{\"access_key_id\":\"nobody\",\"secret_access_key\":\"hunter2hunter2\"}'",
    )
    .await;
    assert!(told.contains("InvalidAccessKeyId") && !told.contains("hunter2"), "{told}");
    assert!(rows(&admin, "CHECK STORAGE s").await.iter().all(|row| row[4].is_none()), "it is as it was");
    run(&admin, "DROP STORAGE s").await;
    assert!(seaweed.cloud().list("tides").is_empty(), "nothing of it is left");

    // The same words stand in the job when it happens later.
    run(&admin, &create("s", &cloud.through(&proxy), "tides", quick())).await;
    run(&admin, "CREATE NAMESPACE chat").await;
    run(&admin, "CREATE USER TABLE chat.notes (id BIGINT) STORAGE s FLUSH INTERVAL 86399s").await;
    run(&server.connect("ana").await, "INSERT INTO chat.notes VALUES (1)").await;
    for (status, code, to_do) in moods {
        proxy.next(1, Fault::Refuse(status, code), puts_rows);
        let result = flush(&mut server, &admin, "chat.notes").await;
        let error = result["error"].as_str().expect("nobody's rows could be moved");
        assert!(error.contains(code) && error.contains(to_do), "{error}");
    }
    let result = flush(&mut server, &admin, "chat.notes").await;
    assert_eq!((&result["records_flushed"], &result["failed_users"]), (&json!(1), &json!(0)), "{result}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_nowhere_to_be_read() {
    let seaweed = Seaweed::start().await;
    seaweed.create_bucket("tides").await;
    let place = Place::new();
    let keys = place.folder().join("keys");
    std::fs::write(&keys, format!("{}\n", "5a".repeat(32))).expect("a file of our own");
    place.settings(&format!("[secrets]\nkey_file = {:?}\n", keys.display().to_string()));
    let ledger = Arc::new(Ledger::new());
    let mut server = place.start_with(&Plan::default().trace().log("trace")).await;
    let admin = server.connect("admin").await;
    let cloud = seaweed.cloud();
    run(&admin, "CREATE NAMESPACE chat").await;
    run(&admin, &create("tides", cloud, "tides", json!({}))).await;
    run(
        &admin,
        "CREATE USER TABLE chat.notes (id BIGINT NOT NULL, body TEXT, writer TEXT) STORAGE tides FLUSH INTERVAL 86399s",
    )
    .await;
    assert!(notes::write(&server.connect("ana").await, "ana", 0, &ledger).await);
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    for sql in [
        "SHOW STORAGES",
        "SELECT * FROM system.storages",
        "SELECT * FROM system.settings",
        "SELECT * FROM system.jobs",
        "CHECK STORAGE tides",
        "EXPLAIN SELECT * FROM chat.notes",
    ] {
        let shown = format!("{:?}", rows(&admin, sql).await);
        assert!(!shown.contains(&cloud.key), "{sql}");
        assert!(!sql.contains("storages") || shown.contains("***"), "{sql}: {shown}");
    }
    // Statements that fail in every place where the literal may come up.
    let literal = cloud.credentials();
    for sql in [
        format!("CREATE STORAGE x TYPE s3 URI 's3://tides' CREDENTIALS '{literal}' OOPS"),
        format!("CREATE STORAGE x TYPE s3 URI 's3://tides' CREDENTIALS '{literal}"),
        format!("CREATE STORAGE x TYPE s3 URI 's3://tides' CREDENTIALS '[{literal}'"),
        format!("CREATE STORAGE x CREDENTIALS '{literal}'"),
        format!("SELECT '{literal}' FROM nowhere"),
    ] {
        let (_, told) = refused(&admin, &sql).await;
        assert!(!told.contains(&cloud.key), "{told}");
    }
    server.terminate();
    assert!(server.ended().await.success());
    let said = server.output.lines().join("\n");
    assert!(said.contains("listening on"), "the log is there");
    let line = said.lines().find(|line| line.contains(&cloud.key));
    assert!(line.is_none(), "the log says it: {line:?}");
    let mut files = vec![place.data()];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path)
                    .expect("a folder of ours")
                    .map(|entry| entry.expect("it can be listed").path()),
            );
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file of ours");
        seen += bytes.len();
        let found = bytes.windows(cloud.key.len()).any(|window| window == cloud.key.as_bytes());
        assert!(!found, "{} holds the secret", path.display());
    }
    assert!(seen > 1000, "the files were read");
    // With another key the server starts; the storage says what it lacks, and nothing else fails.
    std::fs::write(&keys, format!("{}\n", "6b".repeat(32))).expect("a file of our own");
    let server = place.start().await;
    let admin = server.connect("admin").await;
    let (_, told) = refused(&admin, "SELECT * FROM chat.notes").await;
    assert!(told.contains("is not configured"), "{told}");
}
