//! System tables, jobs, and the information schema.

use super::script::World;
use crate::error::code;
use ebbtide_runtime::Status;

async fn world() -> World {
    let mut world = World::new().await;
    world
        .script(
            r#"
            admin CREATE NAMESPACE a
            admin CREATE USER TABLE a.t (id INT NOT NULL, body TEXT) FLUSH INTERVAL 3600s ROW_THRESHOLD 900000
            admin CREATE TABLE a.s (id INT) FLUSH BYTES 64MB
            ana INSERT INTO a.t VALUES (1, 'x'), (2, 'y')
            ben INSERT INTO a.t VALUES (1, 'z')
            "#,
        )
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_can_be_read() {
    let mut world = world().await;
    assert_eq!(
        world.run("admin", "SELECT namespace, table_name, table_type, sharding, flush_policy, hot_rows FROM system.tables ORDER BY 2").await.unwrap(),
        [
            r#"a | s | shared | none | {"bytes":67108864} | 0"#,
            r#"a | t | user | alphabetic | {"interval_seconds":3600,"rows":900000} | 3"#
        ]
    );
    assert_eq!(world.one("admin", "SELECT namespace, tables FROM system.namespaces").await, "a | 2");
    assert_eq!(
        world.one("admin", "SELECT storage_id, storage_name, storage_type, credentials FROM system.storages").await,
        "local | Local Filesystem | filesystem | NULL"
    );
    let job = world.one("admin", "STORAGE FLUSH TABLE a.t").await;
    let id = job.split(" | ").next().unwrap().to_owned();
    assert!(job.ends_with("| a | t | started"), "{job}");
    let ended = world.database.runtime().wait(&id.parse().unwrap()).await.unwrap();
    assert_eq!(ended.status, Status::Completed);
    assert_eq!(
        world.one("admin", &format!("SELECT job_type, namespace, table_name, status, state, users_done, rows_done, trigger FROM system.jobs WHERE job_id = '{id}'")).await,
        "flush | a | t | completed | Done | 2 | 3 | manual"
    );
    assert!(world.one("admin", "SELECT result FROM system.jobs").await.contains("\"records_flushed\":3"));
    let states = world
        .run("admin", &format!("SELECT to_state FROM system.job_transitions WHERE job_id = '{id}' ORDER BY seq_no"))
        .await
        .unwrap();
    assert_eq!((states.first().unwrap().as_str(), states.last().unwrap().as_str()), ("Queued", "Done"));
    assert_eq!(
        world
            .run("admin", "SELECT user_id, storage_id, rows, from_seq, to_seq FROM system.segments ORDER BY 1")
            .await
            .unwrap(),
        ["ana | local | 2 | 1 | 2", "ben | local | 1 | 3 | 3"]
    );
    assert_eq!(world.one("admin", "SELECT count(*) FROM system.segments WHERE user_id = 'ben'").await, "1");
    assert_eq!(world.one("admin", "SELECT hot_rows FROM system.tables WHERE table_name = 't'").await, "0");
    assert_eq!(world.run("admin", "SHOW JOBS").await.unwrap().len(), 1);
    assert_eq!(world.run("admin", "SHOW STORAGES").await.unwrap().len(), 1);
    let again = world.one("admin", "FLUSH TABLE a.t").await;
    let id: ebbtide_runtime::JobId = again.split(" | ").next().unwrap().parse().unwrap();
    let empty = world.database.runtime().wait(&id).await.unwrap();
    assert_eq!(empty.status, Status::Completed, "an empty table is flushed in no time");
    assert_eq!(world.run("admin", "FLUSH ALL IN a").await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_by_their_indexes_newest_first() {
    let mut world = world().await;
    for _ in 0..3 {
        world.run("ana", "INSERT INTO a.t VALUES (5, 'x')").await.unwrap();
        world.flush("a", "t").await;
    }
    let plan = world
        .run(
            "admin",
            "EXPLAIN SELECT job_id FROM system.jobs WHERE status = 'completed' ORDER BY created_at DESC LIMIT 2",
        )
        .await
        .unwrap()
        .join("\n");
    assert!(!plan.contains("SortExec") && !plan.contains("FilterExec") && plan.contains("fetch=2"), "{plan}");
    let newest =
        world.run("admin", "SELECT created_at FROM system.jobs ORDER BY created_at DESC LIMIT 2").await.unwrap();
    assert!(newest.len() == 2 && newest[0] > newest[1], "{newest:?}");
    assert_eq!(world.one("admin", "SELECT count(*) FROM system.jobs WHERE status = 'failed'").await, "0");
    assert_eq!(world.one("admin", "SELECT count(*) FROM system.jobs WHERE status = 'nonsense'").await, "0");
    assert_eq!(world.one("admin", "SELECT count(*) FROM system.jobs WHERE job_id = 'nonsense'").await, "0");
    assert_eq!(
        world.one("admin", "SELECT count(*) FROM system.jobs WHERE namespace = 'a' AND table_name = 't'").await,
        "3"
    );
    assert_eq!(world.one("admin", "SELECT count(*) FROM system.jobs WHERE users_done > 0").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_may_not_look_behind_the_scenes() {
    let mut world = world().await;
    for sql in ["SELECT * FROM system.jobs", "SHOW JOBS", "FLUSH TABLE a.t", "FLUSH ALL", "KILL JOB 'x'"] {
        assert_eq!(world.run("ana", sql).await.unwrap_err().sqlstate, code::INSUFFICIENT_PRIVILEGE, "{sql}");
    }
    let known = world.run("admin", "KILL JOB '018f5e2a-7b3c-7d41-9a52-3f1c8e6b7a90'").await.unwrap_err();
    assert_eq!(known.sqlstate, code::UNDEFINED_OBJECT);
    world.flush("a", "t").await;
    let id = world.one("admin", "SELECT job_id FROM system.jobs").await;
    let ended = world.run("admin", &format!("KILL JOB '{id}'")).await.unwrap_err();
    assert_eq!(
        (ended.sqlstate, ended.message.as_str()),
        (code::OBJECT_NOT_IN_PREREQUISITE_STATE, "Cannot cancel job in status completed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_information_schema_shows_tables_and_their_own_columns() {
    let mut world = world().await;
    assert_eq!(
        world
            .run(
                "ana",
                "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = 'a' ORDER BY 2"
            )
            .await
            .unwrap(),
        ["a | s", "a | t"]
    );
    assert_eq!(
        world.run("ana", "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position").await.unwrap(),
        ["id | NO", "body | YES"]
    );
    assert!(
        world
            .run("ana", "SELECT 1 FROM information_schema.tables WHERE table_schema = 'system'")
            .await
            .unwrap()
            .is_empty()
    );
}
