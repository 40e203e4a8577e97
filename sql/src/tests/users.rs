//! Users, and whose segments go where: the table's storage, or the user's own.

use super::looking::plan;
use super::script::{World, check};
use expect_test::expect;

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_altered_listed_and_dropped() {
    check(
        r#"
        admin CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'
        admin CREATE USER Ana
        admin CREATE USER 'Ben' STORAGE_MODE region STORAGE_ID eu
        admin CREATE USER "é😀 /.." STORAGE_MODE = 'table' STORAGE_ID = NULL
        admin CREATE USER IF NOT EXISTS ana STORAGE_MODE region
        admin CREATE USER ana
        admin CREATE USER cem STORAGE_ID uu
        admin SELECT user_id, storage_mode, storage_id, created_at = updated_at FROM system.users
        admin ALTER USER ana SET STORAGE_MODE region, SET STORAGE_ID eu
        admin ALTER USER ben SET STORAGE eu
        admin ALTER USER ana STORAGE_ID ue
        restart
        admin SELECT user_id, storage_mode, storage_id, created_at < updated_at FROM system.users WHERE user_id = 'ana'
        admin SELECT user_id FROM system.users WHERE user_id IN ('Ben', 'ben', '') OR user_id = 'ana'
        admin SELECT count(*) FROM system.users WHERE storage_id = 'eu'
        admin DROP USER 'Ben'
        admin DROP USER 'Ben'
        admin DROP USER IF EXISTS 'Ben'
        admin SELECT user_id FROM system.users
        "#,
        expect![[""]],
    )
    .await;
}

/// Every branch of the look-up, each with a real flush.
#[tokio::test(flavor = "multi_thread")]
async fn each_users_files_go_where_he_belongs() {
    check(
        r"
        admin CREATE STORAGE home TYPE filesystem PATH '{dir}/home'
        admin CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'
        admin CREATE STORAGE us TYPE filesystem PATH '{dir}/us'
        admin CREATE USER europa STORAGE_MODE region STORAGE_ID eu
        admin CREATE USER usain STORAGE_MODE region STORAGE_ID us
        admin CREATE USER tabea STORAGE_MODE table STORAGE_ID us
        admin CREATE USER nora STORAGE_MODE region
        admin CREATE USER lou
        admin CREATE NAMESPACE a
        admin CREATE USER TABLE a.own (id INT) STORAGE home USE_USER_STORAGE SHARDING none FLUSH ROWS 900000
        admin CREATE USER TABLE a.off (id INT) STORAGE home USE_USER_STORAGE FALSE SHARDING none FLUSH ROWS 900000
        admin CREATE USER TABLE a.bare (id INT) USE_USER_STORAGE TRUE SHARDING none FLUSH ROWS 900000
        admin CREATE TABLE a.shared (id INT) STORAGE home USE_USER_STORAGE FLUSH ROWS 900000
        admin INSERT INTO a.own (id, _user_id) VALUES (1, 'europa'), (1, 'usain'), (1, 'tabea'), (1, 'nora'), (1, 'lou'), (1, 'stranger')
        admin INSERT INTO a.off (id, _user_id) VALUES (1, 'europa'), (1, 'tabea')
        admin INSERT INTO a.bare (id, _user_id) VALUES (1, 'europa'), (1, 'tabea')
        flush a.own
        flush a.off
        flush a.bare
        -- on: region goes to the user's, if he has one; table and strangers to the table's
        files home
        files eu
        files us
        -- none: local
        files storage
        admin SELECT table_name, user_id, storage_id FROM system.segments ORDER BY 1, 2
        restart
        admin SELECT _user_id FROM a.own ORDER BY 1
        europa SELECT id FROM a.own
        ",
        expect![[""]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_moves_takes_new_files_along_and_keeps_the_old_ones() {
    check(
        r"
        admin CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'
        admin CREATE STORAGE us TYPE filesystem PATH '{dir}/us'
        admin CREATE NAMESPACE a
        admin CREATE USER TABLE a.t (id INT) USE_USER_STORAGE FLUSH ROWS 900000
        ana INSERT INTO a.t VALUES (1)
        flush a.t
        admin ALTER USER ana SET STORAGE_MODE region, SET STORAGE_ID eu
        ana INSERT INTO a.t VALUES (2)
        flush a.t
        ana INSERT INTO a.t VALUES (3)
        admin ALTER USER ana SET STORAGE us
        flush a.t
        ana INSERT INTO a.t VALUES (4)
        admin ALTER USER ana SET STORAGE_MODE table
        flush a.t
        files storage
        files eu
        files us
        ana SELECT id FROM a.t ORDER BY id
        admin SELECT storage_id, from_seq FROM system.segments ORDER BY from_seq
        restart
        ana SELECT sum(id) FROM a.t
        ",
        expect![[""]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_exists_from_his_first_row_on_and_goes_after_his_last() {
    check(
        r"
        admin CREATE NAMESPACE a
        admin CREATE USER TABLE a.t (id INT) FLUSH ROWS 900000
        admin CREATE USER TABLE a.u (id INT) FLUSH ROWS 900000
        ana INSERT INTO a.t VALUES (1)
        ana INSERT INTO a.u VALUES (1)
        admin SELECT user_id, storage_mode, storage_id FROM system.users
        admin CREATE USER ana
        admin DROP USER ana
        flush a.t
        admin DROP TABLE a.u
        admin DROP USER ana
        ana SELECT id FROM a.t
        admin DROP TABLE a.t
        admin DROP USER ana
        admin SELECT count(*) FROM system.users
        ",
        expect![[""]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_one_read_among_many() {
    const USERS: u64 = 300;
    let mut world = World::new().await;
    for number in 0..USERS {
        world.run("admin", &format!("CREATE USER u{number:04}")).await.unwrap();
    }
    for (sql, rows, reads_max) in [
        ("SELECT * FROM system.users WHERE user_id = 'u0123'", 1, 1),
        ("SELECT * FROM system.users WHERE user_id = 'nobody'", 0, 1),
        ("SELECT storage_mode FROM system.users WHERE user_id IN ('u0007', 'u0123', 'nobody')", 2, 3),
        ("SELECT user_id FROM system.users WHERE user_id = 'u0007' OR user_id = 'u0123'", 2, 2),
        ("SELECT user_id FROM system.users WHERE user_id = 'u0007' AND user_id = 'u0123'", 0, 0),
        ("SELECT user_id FROM system.users LIMIT 5", 5, 6),
        ("SELECT user_id FROM system.users", 300, 301),
    ] {
        assert_eq!(world.run("admin", sql).await.unwrap().len(), rows, "{sql}");
        let (plan, reads) = plan(&mut world, sql).await;
        assert!(reads <= reads_max, "{reads} reads for {sql}\n{plan}");
        assert!(!plan.contains("FilterExec"), "{sql}\n{plan}");
    }
    assert_eq!(world.run("admin", "SHOW USERS").await.unwrap().len(), 300);
    assert_eq!(
        world.one("admin", "SELECT min(user_id), max(user_id), count(*) FROM system.users").await,
        "u0000 | u0299 | 300"
    );
}
