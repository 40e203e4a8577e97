//! Storages in folders: made, altered, dropped, and where the files of their tables really are.

use super::script::{World, check, rows};
use crate::error::code;
use expect_test::expect;

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_database_has_storage_local_and_no_other() {
    check(
        r"
        admin SELECT storage_id, storage_name, description, storage_type, base_directory, uri, credentials, config_json FROM system.storages
        admin SELECT shared_tables_template, user_tables_template FROM system.storages
        admin SELECT created_at = updated_at FROM system.storages
        admin SELECT * FROM system.storage_locations
        ",
        expect![[r#"
            admin| local | Local Filesystem | Default local filesystem storage | filesystem |  | {dir}/storage | NULL | NULL
            admin| {namespace}/shared/{tableName} | {namespace}/users/{tableName}/{shard}/{userId}
            admin| true
            admin! 42P01 relation "system.storage_locations" does not exist (system tables are job_transitions, jobs, namespaces, nodes, quarantine, schedule_slots, segments, settings, storages, tables, users, verify_findings, workflows)
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storages_are_made_and_listed_local_first_then_by_name() {
    check(
        r"
        admin CREATE STORAGE zeta TYPE filesystem PATH '{dir}/z'
        admin CREATE STORAGE beta TYPE filesystem NAME 'Omega' BASE_DIRECTORY '{dir}/b'
        admin CREATE STORAGE omega URI '{dir}/o' TYPE 'filesystem' NAME = 'Alpha' DESCRIPTION 'the first' CONFIG '{}'
        admin CREATE STORAGE my-4 TYPE filesystem PATH '{dir}/m'
        -- by name: Alpha, Omega, my-4, zeta
        admin SELECT storage_id, storage_name, description, base_directory, config_json FROM system.storages
        admin CREATE STORAGE zeta TYPE filesystem PATH '{dir}/z2'
        admin CREATE STORAGE IF NOT EXISTS zeta TYPE filesystem PATH '{dir}/z2'
        admin CREATE STORAGE local TYPE filesystem PATH '{dir}/z2'
        restart
        admin SELECT storage_id, uri FROM system.storages WHERE storage_id IN ('zeta', 'my-4')
        ",
        expect![[r#"
            by name: Alpha, Omega, my-4, zeta
            admin| local | Local Filesystem | Default local filesystem storage |  | NULL
            admin| omega | Alpha | the first | {dir}/o | {}
            admin| beta | Omega | NULL | {dir}/b | NULL
            admin| my-4 | my-4 | NULL | {dir}/m | NULL
            admin| zeta | zeta | NULL | {dir}/z | NULL
            admin! 42710 Storage 'zeta' already exists
            admin! 42710 Storage 'local' already exists
            admin| my-4 | {dir}/m
            admin| zeta | {dir}/z
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_may_see_which_storages_there_are_but_not_how_they_are_set() {
    let mut world = World::new().await;
    world.run("admin", "CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu' CONFIG '{}'").await.unwrap();
    let outcome = world.session("ana").run("SHOW STORAGES").await.unwrap();
    let crate::Outcome::Rows { schema, .. } = &outcome else { panic!("{outcome:?}") };
    let shown: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let all = crate::system::columns("storages").unwrap().iter().map(|column| column.name);
    assert_eq!(shown, all.filter(|name| *name != "config_json").collect::<Vec<_>>());
    let rows = rows(outcome).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].starts_with("local | ") && rows[1].starts_with("eu | eu | NULL | filesystem | "), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_table_goes_to_its_storage() {
    check(
        r"
        admin CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'
        admin CREATE STORAGE us TYPE filesystem PATH '{dir}/us' SHARED_TABLES_TEMPLATE 'all/{namespace}/{tableName}' USER_TABLES_TEMPLATE 'each/{namespace}/{tableName}/{shard}/{userId}/data'
        admin CREATE NAMESPACE chat
        admin CREATE USER TABLE chat.here (id INT) FLUSH ROWS 900000
        admin CREATE USER TABLE chat.over (id INT) STORAGE eu FLUSH ROWS 900000
        admin CREATE USER TABLE chat.far (id INT) STORAGE 'us' FLUSH ROWS 900000
        admin CREATE TABLE chat.rooms (id INT) WITH (STORAGE_ID = 'us', FLUSH_ROWS = 900000)
        admin CREATE TABLE chat.lost (id INT) STORAGE uz FLUSH ROWS 900000
        admin CREATE TABLE chat.lost (id INT) STORAGE 'a b' FLUSH ROWS 900000
        admin SELECT table_name, storage_id, use_user_storage FROM system.tables ORDER BY 1
        ana INSERT INTO chat.here VALUES (1)
        ana INSERT INTO chat.over VALUES (2)
        ana INSERT INTO chat.far VALUES (3)
        ben INSERT INTO chat.far VALUES (4)
        ana INSERT INTO chat.rooms VALUES (5)
        flush chat.here
        flush chat.over
        flush chat.far
        flush chat.rooms
        files storage
        files eu
        files us
        restart
        admin SELECT table_name, storage_id, count(*) FROM system.segments GROUP BY 1, 2 ORDER BY 1
        ana SELECT (SELECT sum(id) FROM chat.here), (SELECT sum(id) FROM chat.over), (SELECT sum(id) FROM chat.far), (SELECT sum(id) FROM chat.rooms)
        ",
        expect![[r#"
            admin! 42704 Storage 'uz' does not exist (did you mean us?)
            admin! 42602 the storage id "a b" holds ' '; it may hold letters, digits, '_' and '-'
            admin| far | us | false
            admin| here | local | false
            admin| over | eu | false
            admin| rooms | us | false
            storage: chat/users/here/a/ana 1
            eu: chat/users/over/a/ana 1
            us: all/chat/rooms 1
            us: each/chat/far/a/ana/data 1
            us: each/chat/far/b/ben/data 1
            admin| far | us | 2
            admin| here | local | 1
            admin| over | eu | 1
            admin| rooms | us | 1
            ana| 1 | 2 | 3 | 5
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_that_cannot_be_are_refused_before_anything_is_made() {
    let mut world = World::new().await;
    for (clauses, words) in [
        ("SHARED_TABLES_TEMPLATE '{tableName}/{namespace}'", "{namespace} must appear before {tableName}"),
        ("SHARED_TABLES_TEMPLATE '{namespace}'", "{tableName}"),
        ("USER_TABLES_TEMPLATE '{namespace}/{tableName}'", "{userId} is required"),
        ("USER_TABLES_TEMPLATE '{namespace}/{tableName}/{userId}/{shard}'", "{shard} must appear before {userId}"),
        ("USER_TABLES_TEMPLATE '{namespace}/{userId}/{tableName}'", "{tableName} must appear before {userId}"),
        ("USER_TABLES_TEMPLATE '{namespace}/{tableName}/{user}'", "user"),
        ("USER_TABLES_TEMPLATE '../{namespace}/{tableName}/{userId}'", ".."),
        (
            "SHARED_TABLES_TEMPLATE '{namespace}/shared/{tableName}' USER_TABLES_TEMPLATE '{namespace}/{tableName}/{userId}'",
            "in one folder",
        ),
    ] {
        let sql = format!("CREATE STORAGE bad TYPE filesystem PATH '{{dir}}/bad' {clauses}");
        let error = world.run("admin", &sql).await.err().unwrap_or_else(|| panic!("accepted: {clauses}"));
        assert_eq!(error.sqlstate, code::INVALID_PARAMETER_VALUE, "{clauses}: {error:?}");
        assert!(error.message.contains(words), "{clauses}: {error:?}");
        let error =
            world.run("admin", &format!("ALTER STORAGE local SET {}", clauses.replace(" USER_", ", USER_"))).await;
        let error = error.err().unwrap_or_else(|| panic!("accepted: {clauses}"));
        assert_eq!(error.sqlstate, code::INVALID_PARAMETER_VALUE, "{clauses}: {error:?}");
        assert!(error.message.contains(words), "{clauses}: {error:?}");
    }
    assert!(!world.directory().join("bad").exists());
    assert_eq!(
        world.one("admin", "SELECT storage_id, user_tables_template FROM system.storages").await,
        "local | {namespace}/users/{tableName}/{shard}/{userId}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_goes_when_nothing_refers_to_it_and_local_never() {
    check(
        r"
        admin CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'
        admin CREATE STORAGE us TYPE filesystem PATH '{dir}/us'
        admin CREATE STORAGE spare TYPE filesystem PATH '{dir}/spare'
        admin CREATE NAMESPACE a
        admin CREATE USER TABLE a.t (id INT) STORAGE eu FLUSH ROWS 900000
        admin CREATE TABLE a.s (id INT) STORAGE eu FLUSH ROWS 900000
        admin CREATE USER ana STORAGE_MODE region STORAGE_ID us
        admin CREATE STORAGE odd TYPE filesystem PATH '{dir}/odd' CREDENTIALS '{}'
        -- tables
        admin DROP STORAGE eu
        admin DELETE FROM system.storages WHERE storage_id = 'eu'
        -- users
        admin DROP STORAGE us
        admin ALTER USER ana SET STORAGE NULL, SET STORAGE_MODE table
        admin DROP STORAGE us
        -- segments, when no table refers to it any more
        ana INSERT INTO a.t VALUES (1)
        flush a.t
        admin ALTER TABLE a.t SET STORAGE local
        admin ALTER TABLE a.s SET STORAGE local
        admin DROP STORAGE eu
        ana SELECT * FROM a.t
        -- local, and those that are not there
        admin DROP STORAGE local
        admin DELETE FROM system.storages WHERE storage_id = 'local'
        admin DROP STORAGE sparre
        admin DROP STORAGE IF EXISTS sparre
        admin DELETE FROM system.storages WHERE storage_id = 'nowhere'
        admin DELETE FROM system.storages WHERE storage_id = 'Spare'
        admin DELETE FROM system.storages WHERE storage_id = 'spare'
        admin SELECT storage_id FROM system.storages
        -- its place is free again
        admin CREATE STORAGE again TYPE filesystem PATH '{dir}/us'
        restart
        admin SELECT storage_id FROM system.storages
        ",
        expect![[r#"
            admin! 22023 a storage of type filesystem takes no CREDENTIALS
            tables
            admin! 2BP01 Cannot delete storage 'eu': 2 table(s) still reference it: a.s, a.t
            admin! 2BP01 Cannot delete storage 'eu': 2 table(s) still reference it: a.s, a.t
            users
            admin! 2BP01 Cannot delete storage 'us': 1 user(s) still reference it: ana
            segments, when no table refers to it any more
            admin! 2BP01 Cannot delete storage 'eu': segments still lie in it; MOVE them to another storage, or drop their tables
            ana| 1
            local, and those that are not there
            admin! 2BP01 Cannot delete 'local' storage (protected)
            admin! 2BP01 Cannot delete 'local' storage (protected)
            admin! 42704 Storage 'sparre' does not exist (did you mean spare?)
            admin| local
            admin| eu
            its place is free again
            admin| local
            admin| again
            admin| eu
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_names_ten_tables_at_most() {
    let mut world = World::new().await;
    world.script("admin CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'\nadmin CREATE NAMESPACE a").await;
    for number in 10..22 {
        world.run("admin", &format!("CREATE TABLE a.t{number} (i INT) STORAGE eu FLUSH ROWS 9")).await.unwrap();
    }
    let error = world.run("admin", "DROP STORAGE eu").await.unwrap_err();
    assert_eq!((error.sqlstate, error.position), (code::DEPENDENT_OBJECTS_STILL_EXIST, Some(14)));
    assert!(
        error.message.starts_with("Cannot delete storage 'eu': 12 table(s) still reference it: a.t10, "),
        "{error}"
    );
    assert!(error.message.contains("a.t19") && !error.message.contains("a.t20"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_are_counted() {
    let mut world = World::new().await;
    world.run("admin", "CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'").await.unwrap();
    for expected in [1, 0] {
        let sql = "DELETE FROM system.storages WHERE storage_id = 'eu'";
        let outcome = world.session("admin").run(sql).await.unwrap();
        let crate::Outcome::Affected { tag: "DELETE", rows } = outcome else { panic!("{outcome:?}") };
        assert_eq!(rows, Some(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_templates_are_for_new_files_and_old_rows_stay() {
    check(
        r"
        admin CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'
        admin CREATE NAMESPACE chat
        admin CREATE USER TABLE chat.notes (id INT) STORAGE eu FLUSH ROWS 900000
        admin CREATE TABLE chat.rooms (id INT) STORAGE eu FLUSH ROWS 900000
        ana INSERT INTO chat.notes VALUES (1)
        ana INSERT INTO chat.rooms VALUES (1)
        flush chat.notes
        flush chat.rooms
        -- under the old template all/shared/x was the table all.x, under this one it would be shared.x
        admin ALTER STORAGE eu SET SHARED_TABLES_TEMPLATE 'all/{namespace}/{tableName}', SET USER_TABLES_TEMPLATE 'by-user/{namespace}/{tableName}/{userId}'
        admin ALTER STORAGE eu SET NAME = 'Europe', SET DESCRIPTION 'near', USER_TABLES_TEMPLATE 'by-user/{namespace}/{tableName}/{userId}' SHARED_TABLES_TEMPLATE 'for-all/{namespace}/{tableName}'
        ana INSERT INTO chat.notes VALUES (2)
        ana INSERT INTO chat.rooms VALUES (2)
        flush chat.notes
        flush chat.rooms
        files eu
        ana SELECT id FROM chat.notes ORDER BY id
        ana SELECT id FROM chat.rooms ORDER BY id
        admin SELECT storage_name, description, user_tables_template, updated_at > created_at FROM system.storages WHERE storage_id = 'eu'
        restart
        ana SELECT count(*) FROM chat.notes
        admin ALTER STORAGE eu DESCRIPTION NULL
        admin SELECT description, shared_tables_template FROM system.storages WHERE storage_id = 'eu'
        admin ALTER STORAGE ue SET NAME 'x'
        admin ALTER STORAGE eu SET PATH '/elsewhere'
        admin ALTER STORAGE local SET NAME 'Here'
        admin SELECT storage_name FROM system.storages
        ",
        expect![[r#"
            under the old template all/shared/x was the table all.x, under this one it would be shared.x
            admin! 22023 under the template all/{namespace}/{tableName} a table of storage 'eu' could come to lie in a folder where another one's files may be since the template was {namespace}/shared/{tableName} (let them differ in a folder that no name can be, as in the defaults {namespace}/shared/{tableName} and {namespace}/users/{tableName}/{shard}/{userId})
            eu: by-user/chat/notes/ana 1
            eu: chat/shared/rooms 1
            eu: chat/users/notes/a/ana 1
            eu: for-all/chat/rooms 1
            ana| 1
            ana| 2
            ana| 1
            ana| 2
            admin| Europe | near | by-user/{namespace}/{tableName}/{userId} | true
            ana| 2
            admin| NULL | for-all/{namespace}/{tableName}
            admin! 42704 Storage 'ue' does not exist (did you mean eu?)
            admin! 0A000 the place of a storage does not change, since its segments stay where they were written (make another storage there, then ALTER TABLE … SET STORAGE: what is written from then on goes to it)
            admin| Here
            admin| Europe
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_table_goes_elsewhere_from_its_next_flush_on() {
    check(
        r"
        admin CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'
        admin CREATE NAMESPACE chat
        admin CREATE USER TABLE chat.notes (id INT) FLUSH ROWS 900000
        admin CREATE TABLE chat.rooms (id INT) FLUSH ROWS 900000
        ana INSERT INTO chat.notes VALUES (1)
        flush chat.notes
        ana INSERT INTO chat.notes VALUES (2)
        admin ALTER TABLE chat.notes SET STORAGE eu, SET SHARDING consistent_hash(4)
        flush chat.notes
        files storage
        files eu
        ana SELECT id FROM chat.notes ORDER BY id
        admin SELECT storage_id, sharding, use_user_storage, flush_policy FROM system.tables WHERE table_name = 'notes'
        admin ALTER TABLE chat.notes SET USE_USER_STORAGE, FLUSH INTERVAL 60s BYTES 64MB
        admin SELECT storage_id, use_user_storage, flush_policy FROM system.tables WHERE table_name = 'notes'
        restart
        admin SELECT storage_id, use_user_storage, flush_policy FROM system.tables WHERE table_name = 'notes'
        -- and what cannot be changes nothing
        admin ALTER TABLE chat.notes SET STORAGE ue
        admin ALTER TABLE chat.notes SET SHARDING alphabetik
        admin ALTER TABLE chat.rooms SET USE_USER_STORAGE
        admin ALTER TABLE chat.notse SET STORAGE eu
        admin ALTER TABLE IF EXISTS chat.notse SET STORAGE eu
        admin ALTER TABLE system.jobs SET STORAGE eu
        admin ALTER TABLE chat.notes ADD COLUMN body TEXT
        admin SELECT table_name, storage_id, sharding, use_user_storage FROM system.tables ORDER BY 1
        ",
        expect![[r#"
            storage: chat/users/notes/a/ana 1
            eu: chat/users/notes/shard-0000/ana 1
            ana| 1
            ana| 2
            admin| eu | consistent_hash(4) | false | {"rows":900000}
            admin| eu | true | {"bytes":67108864,"interval_seconds":60}
            admin| eu | true | {"bytes":67108864,"interval_seconds":60}
            and what cannot be changes nothing
            admin! 42704 Storage 'ue' does not exist (did you mean eu?)
            admin! 22023 unknown sharding "alphabetik", did you mean alphabetic?; known are alphabetic, consistent_hash(n), none, numeric
            admin! 42P16 USE_USER_STORAGE is only supported for USER tables
            admin! 42P01 relation "chat.notse" does not exist (did you mean chat.notes?)
            admin! 42501 system.jobs cannot be written to
            admin! 0A000 ALTER TABLE … ADD is not supported (STORAGE, USE_USER_STORAGE, SHARDING and FLUSH can be SET)
            admin| notes | eu | consistent_hash(4) | true
            admin| rooms | local | none | false
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_trigger_counts_at_once() {
    let mut world = World::new().await;
    world
        .script(
            r"
            admin CREATE NAMESPACE a
            admin CREATE TABLE a.t (id INT) FLUSH ROWS 900000
            admin INSERT INTO a.t VALUES (1), (2), (3)
            admin ALTER TABLE a.t SET FLUSH ROWS 3
            ",
        )
        .await;
    while world.one("admin", "SELECT count(*) FROM system.segments").await == "0" {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.one("admin", "SELECT trigger FROM system.jobs").await, "rows");
    assert_eq!(world.one("admin", "SELECT count(*) FROM a.t").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_is_checked_step_by_step() {
    let mut world = World::new().await;
    world.run("admin", "CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'").await.unwrap();
    for sql in ["CHECK STORAGE eu", "STORAGE CHECK 'eu' EXTENDED", "CHECK STORAGE local"] {
        let rows = world.run("admin", sql).await.unwrap();
        let steps: Vec<Vec<&str>> = rows.iter().map(|row| row.split(" | ").collect()).collect();
        let said: Vec<_> = steps.iter().map(|step| (step[1], step[2], step[4])).collect();
        assert_eq!(said, ["write", "read", "list", "delete"].map(|step| (step, "ok", "NULL")), "{sql}");
        assert!(steps.iter().all(|step| step[3].parse::<f64>().is_ok_and(|latency| latency >= 0.0)), "{rows:?}");
    }
    let error = world.run("admin", "CHECK STORAGE ue").await.unwrap_err();
    assert_eq!((error.sqlstate, error.position), (code::UNDEFINED_OBJECT, Some(15)));
    assert_eq!(error.hint.as_deref(), Some("did you mean eu?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_used_is_said_and_not_registered() {
    let mut world = World::new().await;
    std::fs::write(world.directory().join("file"), b"no folder").unwrap();
    for path in ["{dir}/file", "{dir}/file/below", "{dir}/storage", "{dir}/storage/below"] {
        let sql = format!("CREATE STORAGE eu TYPE filesystem PATH '{path}'");
        let error = world.run("admin", &sql).await.err().unwrap_or_else(|| panic!("accepted: {path}"));
        assert_eq!(error.sqlstate, code::IO_ERROR, "{path}: {error:?}");
        assert!(error.message.contains("eu") || error.message.contains("file"), "{path}: {error:?}");
    }
    let sql = "CREATE STORAGE eu TYPE filesystem PATH ''";
    assert_eq!(world.run("admin", sql).await.unwrap_err().sqlstate, code::INVALID_PARAMETER_VALUE);
    assert_eq!(world.one("admin", "SELECT count(*) FROM system.storages").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn storages_and_users_are_for_a_service_role_outside_of_transactions() {
    const STATEMENTS: [&str; 10] = [
        "CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'",
        "ALTER STORAGE local SET NAME 'x'",
        "DROP STORAGE IF EXISTS eu",
        "DELETE FROM system.storages WHERE storage_id = 'eu'",
        "CHECK STORAGE local",
        "STORAGE CHECK local",
        "CREATE USER ben",
        "ALTER USER ben SET STORAGE local",
        "DROP USER IF EXISTS ben",
        "ALTER TABLE a.t SET STORAGE local",
    ];
    let mut world = World::new().await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (i INT) FLUSH ROWS 9").await;
    for sql in STATEMENTS {
        let error = world.run("ana", sql).await.unwrap_err();
        assert_eq!(error.sqlstate, code::INSUFFICIENT_PRIVILEGE, "{sql}: {error:?}");
        world.run("admin", "BEGIN").await.unwrap();
        let error = world.run("admin", sql).await.unwrap_err();
        assert_eq!(error.sqlstate, code::FEATURE_NOT_SUPPORTED, "{sql}: {error:?}");
        assert!(error.message.contains("cannot run inside a transaction"), "{sql}: {error:?}");
        world.run("admin", "ROLLBACK").await.unwrap();
    }
    for sql in ["SHOW USERS", "SELECT * FROM system.users", "SELECT * FROM system.storages"] {
        assert_eq!(world.run("ana", sql).await.unwrap_err().sqlstate, code::INSUFFICIENT_PRIVILEGE, "{sql}");
    }
    assert_eq!(world.run("ana", "SHOW STORAGES").await.unwrap().len(), 1);
    assert_eq!(world.one("admin", "SELECT storage_name FROM system.storages").await, "Local Filesystem");
    for sql in STATEMENTS {
        world.run("admin", sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_tier_that_is_full_refuses_rows_until_there_is_room() {
    let mut world = World::with(|options| options.sql.hot_bytes_max = 4096).await;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("s");
    let create = format!("CREATE STORAGE s TYPE filesystem PATH '{}'", folder.display());
    for sql in ["CREATE NAMESPACE a", &create, "CREATE TABLE a.t (body TEXT) STORAGE s FLUSH INTERVAL 86399s"] {
        world.run("admin", sql).await.unwrap();
    }
    // The storage is down: a file lies where its folder was.
    let aside = root.path().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "").unwrap();
    let insert = format!("INSERT INTO a.t VALUES ('{}')", "x".repeat(1000));
    let mut written = 0;
    let refused = loop {
        match world.run("admin", &insert).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100_000, "nobody looks");
    };
    assert!(written >= 4, "there was room for {written}");
    assert_eq!(refused.sqlstate, crate::error::code::CONFIGURATION_LIMIT_EXCEEDED, "{refused:?}");
    assert!(refused.message.contains("may hold 4096"), "{refused:?}");
    assert!(refused.hint.unwrap().contains("hot_bytes_max"));

    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    world.flush("a", "t").await;
    world.run("admin", &insert).await.unwrap();
    assert_eq!(world.one("admin", "SELECT count(*) FROM a.t").await, (written + 1).to_string());
}
