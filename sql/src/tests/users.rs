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
        expect![[r#"
            admin! 42710 User 'ana' already exists
            admin! 42704 Storage 'uu' does not exist (did you mean eu?)
            admin| Ben | region | eu | true
            admin| ana | table | NULL | true
            admin| é😀 /.. | table | NULL | true
            admin! 42704 User 'ben' does not exist
            admin! 42704 Storage 'ue' does not exist (did you mean eu?)
            admin| ana | region | eu | true
            admin| Ben
            admin| ana
            admin| 2
            admin! 42704 User 'Ben' does not exist
            admin| ana
            admin| é😀 /..
        "#]],
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
        expect![[r#"
            admin! 42P16 USE_USER_STORAGE is only supported for USER tables
            on: region goes to the user's, if he has one; table and strangers to the table's
            home: a/users/off/europa 1
            home: a/users/off/tabea 1
            home: a/users/own/lou 1
            home: a/users/own/nora 1
            home: a/users/own/stranger 1
            home: a/users/own/tabea 1
            eu: a/users/bare/europa 1
            eu: a/users/own/europa 1
            us: a/users/own/usain 1
            none: local
            storage: a/users/bare/tabea 1
            admin| bare | europa | eu
            admin| bare | tabea | local
            admin| off | europa | home
            admin| off | tabea | home
            admin| own | europa | eu
            admin| own | lou | home
            admin| own | nora | home
            admin| own | stranger | home
            admin| own | tabea | home
            admin| own | usain | us
            admin| europa
            admin| lou
            admin| nora
            admin| stranger
            admin| tabea
            admin| usain
            europa| 1
        "#]],
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
        expect![[r#"
            storage: a/users/t/a/ana 2
            eu: a/users/t/a/ana 1
            us: a/users/t/a/ana 1
            ana| 1
            ana| 2
            ana| 3
            ana| 4
            admin| local | 1
            admin| eu | 2
            admin| us | 3
            admin| local | 4
            ana| 10
        "#]],
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
        expect![[r#"
            admin| ana | table | NULL
            admin! 42710 User 'ana' already exists
            admin! 2BP01 Cannot drop user 'ana': he still has rows in 2 table(s): a.t, a.u (ERASE USER removes them, and what holds them)
            admin! 2BP01 Cannot drop user 'ana': he still has rows in 1 table(s): a.t (ERASE USER removes them, and what holds them)
            ana| 1
            admin| 0
        "#]],
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
