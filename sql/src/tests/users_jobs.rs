//! ERASE USER, EXPORT USER and MOVE, asked for and looked at with SQL alone.

use super::script::World;
use ebbtide_runtime::{Job, JobId, Status};
use ebbtide_store::{NewStorage, StorageId, StorageType};
use expect_test::expect;

async fn world() -> (World, tempfile::TempDir) {
    let mut world = World::new().await;
    world
        .script(
            "
            admin CREATE NAMESPACE a
            admin CREATE USER TABLE a.t (i INT) FLUSH INTERVAL 3600s
            ana   INSERT INTO a.t VALUES (1), (2), (3)
            ben   INSERT INTO a.t VALUES (4)
            flush a.t
            ana   INSERT INTO a.t VALUES (5)
            ",
        )
        .await;
    let archive = tempfile::tempdir().unwrap();
    let new = NewStorage {
        id: StorageId::new("archive").unwrap(),
        name: None,
        description: None,
        storage_type: StorageType::Filesystem,
        base_directory: archive.path().join("root").to_str().unwrap().to_owned(),
        shared_tables_template: None,
        user_tables_template: None,
        credentials: None,
        config_json: None,
    };
    world.database.store().create_storage(new).await.unwrap();
    (world, archive)
}

/// Runs the statement and waits for its job.
async fn job(world: &mut World, sql: &str) -> Job {
    let said = world.one("admin", sql).await;
    let (id, status) = said.split_once(" | ").unwrap();
    assert_eq!(status, "started", "{sql}");
    let id: JobId = id.parse().unwrap();
    let job = world.database.runtime().wait(&id).await.unwrap();
    assert_eq!(job.status, Status::Completed, "{sql}: {:?}", job.error);
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn files_move_and_are_read_where_they_are() {
    let (mut world, _archive) = world().await;
    let moved = job(&mut world, "MOVE USER 'ana' IN a TO STORAGE archive").await;
    assert_eq!(moved.result.unwrap()["segments_moved"], 1);
    world
        .script("admin SELECT user_id, storage_id FROM system.segments ORDER BY 1\nana SELECT i FROM a.t ORDER BY 1")
        .await
        .expect(expect![[r#"
            admin| ana | archive
            admin| ben | local
            ana| 1
            ana| 2
            ana| 3
            ana| 5
        "#]]);
    let moved = job(&mut world, "MOVE TABLE a.t TO archive").await.result.unwrap();
    assert_eq!((&moved["segments_moved"], &moved["segments_there_before"]), (&1.into(), &1.into()));
    assert_eq!(world.one("ben", "SELECT i FROM a.t").await, "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_exported_and_erased() {
    let (mut world, _archive) = world().await;
    let exported = job(&mut world, "EXPORT USER 'ana' TO archive").await.result.unwrap();
    assert_eq!((&exported["rows"], &exported["files"]), (&4.into(), &2.into()), "{exported}");
    let description = std::path::Path::new(exported["location"].as_str().unwrap()).join("_export.json");
    assert!(description.exists(), "{}", description.display());

    let receipt = job(&mut world, "ERASE USER 'ana'").await.result.unwrap();
    assert_eq!((&receipt["rows_hot"], &receipt["rows_cold"]), (&1.into(), &3.into()), "{receipt}");
    world
        .script(
            "
            ana   SELECT i FROM a.t
            ben   SELECT i FROM a.t
            admin SELECT user_id FROM system.segments
            ana   INSERT INTO a.t VALUES (6)
            restart
            ana   SELECT i FROM a.t
            flush a.t
            ana   SELECT i FROM a.t
            ",
        )
        .await
        .expect(expect![[r#"
            ben| 4
            admin| ben
            ana| 6
            ana| 6
        "#]]);
    assert!(description.exists(), "an export is nobody's but his who asked for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_while_one_is_held_up_is_told_what_becomes_of_it() {
    let (mut world, archive) = world().await;
    let root = archive.path().join("root");
    // A storage that is away.
    std::fs::rename(&root, archive.path().join("away")).unwrap();
    std::fs::write(&root, "a file where the folder was").unwrap();
    for (asked, again, other) in [
        ("MOVE TABLE a.t TO archive", "already running", Some("MOVE TABLE a.t TO local")),
        ("ERASE USER 'ana'", "begins after this job", None),
    ] {
        let said = world.one("admin", asked).await;
        let (id, status) = said.split_once(" | ").unwrap();
        assert_eq!(status, "started");
        assert_eq!(world.one("admin", asked).await, format!("{id} | {again}"));
        if let Some(other) = other {
            let refused = world.run("admin", other).await.unwrap_err();
            let expected = format!("job {id} is moving these files to storage 'archive' at this moment");
            assert_eq!((refused.sqlstate, refused.message), ("55000", expected));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_at_once() {
    let (mut world, _archive) = world().await;
    world
        .script(
            "
            admin MOVE TABLE a.x TO archive
            admin MOVE TABLE a.t TO nowhere
            admin MOVE USER 'ana' IN b TO archive
            admin EXPORT USER 'ana' TO 'nowhere'
            admin ERASE USER 'ana' IN b
            admin MOVE NEXT FROM c
            ana   ERASE USER 'ana'
            ana   EXPORT USER 'ana' TO archive
            ana   MOVE TABLE a.t TO archive
            admin BEGIN
            admin ERASE USER 'ana'
            admin ROLLBACK
            ",
        )
        .await
        .expect(expect![[r#"
            admin! 42P01 relation "a.x" does not exist (did you mean a.t?)
            admin! 42704 Storage 'nowhere' does not exist
            admin! 3F000 Namespace 'b' does not exist. Create it first with CREATE NAMESPACE b
            admin! 42704 Storage 'nowhere' does not exist
            admin! 3F000 Namespace 'b' does not exist. Create it first with CREATE NAMESPACE b
            admin! 0A000 cursors are not supported (write MOVE TABLE ns.t TO STORAGE s, or MOVE USER 'u' TO STORAGE s)
            ana! 42501 permission denied: ERASE USER needs a service role (connect as admin)
            ana! 42501 permission denied: EXPORT USER needs a service role (connect as admin)
            ana! 42501 permission denied: MOVE TABLE needs a service role (connect as admin)
            admin! 0A000 ERASE USER cannot run inside a transaction (COMMIT or ROLLBACK first)
        "#]]);
}
