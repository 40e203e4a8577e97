//! INSERT, transactions, and what becomes of tables.

use super::script::{World, check};
use crate::error::code;
use expect_test::expect;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn values_are_checked_and_a_bad_one_leaves_nothing() {
    check(
        r#"
        admin CREATE NAMESPACE a
        admin CREATE USER TABLE a.t (id BIGINT NOT NULL, n SMALLINT, body TEXT, at TIMESTAMPTZ, j JSON) FLUSH ROWS 900000
        ana   INSERT INTO a.t VALUES (1, 2, 'b', now(), '{}')
        ana   INSERT INTO a.t (id) VALUES (2), (NULL)
        ana   INSERT INTO a.t (n) VALUES (2)
        ana   INSERT INTO a.t (id, n) VALUES (2, 99999)
        ana   INSERT INTO a.t (id, n) VALUES (2, 'x')
        ana   INSERT INTO a.t (id, n) VALUES (2, true)
        ana   INSERT INTO a.t (id, at) VALUES (2, 'yesterday')
        ana   INSERT INTO a.t (id, j) VALUES (2, '{')
        ana   INSERT INTO a.t VALUES (2, 2, 'b', NULL, NULL, 5)
        ana   INSERT INTO a.t (id, n) VALUES (2)
        ana   INSERT INTO a.t (id, bdy) VALUES (2, 'b')
        ana   INSERT INTO a.t (id, _seq) VALUES (2, 5)
        ana   INSERT INTO a.t (id, _user_id) VALUES (2, 'ben')
        ana   INSERT INTO a.t (id, _user_id) VALUES (3, 'ana')
        ana   INSERT INTO a.tt (id) VALUES (1)
        ana   INSERT INTO t (id) VALUES (1)
        ana   INSERT INTO system.jobs (job_id) VALUES ('x')
        admin INSERT INTO a.t (id) VALUES (4)
        admin INSERT INTO a.t (_user_id, id, n) VALUES ('ben', 4, 2.5), ('cy', -5, -7), ('ben', 6, DEFAULT)
        admin INSERT INTO a.t (_user_id, id) VALUES (NULL, 4)
        admin SELECT _user_id, id, n FROM a.t ORDER BY id
        "#,
        expect![[r#"
            ana! 23502 null value in column "id" of relation "a.t" violates not-null constraint
            ana! 23502 null value in column "id" of relation "a.t" violates not-null constraint
            ana! 22003 value "99999" is out of range for type smallint
            ana! 22P02 invalid input syntax for type smallint: "x"
            ana! 42804 column "n": the column is of type smallint but the value is of type boolean
            ana! 22007 invalid input syntax for type timestamp with time zone: "yesterday"
            ana! 22P02 invalid input syntax for type json: "{" (EOF while parsing an object at line 1 column 1)
            ana! 42601 INSERT has more expressions than target columns
            ana! 42601 INSERT has more target columns than expressions
            ana! 42703 column "bdy" of relation "a.t" does not exist (did you mean body?)
            ana! 428C9 column "_seq" is filled by the database and cannot be written
            ana! 42501 user "ana" may write rows of his own only (leave _user_id out)
            ana! 42P01 relation "a.tt" does not exist (did you mean a.t?)
            ana! 42P01 relation "t" does not exist (name its namespace, as in chat.t, or SET search_path TO the namespace)
            ana! 42501 system.jobs cannot be written to
            admin! 23502 a.t is a USER table: a service role must say whose rows these are (name the column _user_id and give each row its user)
            admin! 23502 null value in column "_user_id" of relation "a.t" violates not-null constraint
            admin| cy | -5 | -7
            admin| ana | 1 | 2
            admin| ana | 3 | NULL
            admin| ben | 4 | 3
            admin| ben | 6 | NULL
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_can_be_inserted() {
    check(
        r#"
        admin CREATE NAMESPACE a
        admin CREATE TABLE a.src (i INT, d DOUBLE, t TEXT) FLUSH ROWS 900000
        admin CREATE TABLE a.dst (s SMALLINT NOT NULL, t TEXT) FLUSH ROWS 900000
        admin INSERT INTO a.src VALUES (1, 1.5, 'x'), (2, 2.5, 'y'), (100000, 3.5, NULL)
        admin INSERT INTO a.dst SELECT d, t FROM a.src
        admin SELECT s, t FROM a.dst ORDER BY s
        admin INSERT INTO a.dst SELECT i, t FROM a.src
        admin INSERT INTO a.dst SELECT NULL, t FROM a.src
        admin INSERT INTO a.dst SELECT 1, 2, 3
        admin INSERT INTO a.dst (t, s) VALUES (upper('z'), 1 + 8), ('q', '7')
        admin SELECT s, t FROM a.dst ORDER BY s
        "#,
        expect![[r#"
            admin| 2 | x
            admin| 2 | y
            admin| 4 | NULL
            admin! 22003 value "100000" is out of range for type smallint
            admin! 23502 null value in column "s" of relation "a.dst" violates not-null constraint
            admin! 42601 INSERT has more expressions than target columns
            admin| 2 | x
            admin| 2 | y
            admin| 4 | NULL
            admin| 7 | q
            admin| 9 | Z
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_whole_or_nothing() {
    check(
        r#"
        admin CREATE NAMESPACE a
        admin CREATE TABLE a.t (i INT) FLUSH ROWS 900000
        admin CREATE TABLE a.u (i INT) FLUSH ROWS 900000
        ana   BEGIN
        ana   INSERT INTO a.t VALUES (1)
        ana   INSERT INTO a.u VALUES (1)
        ben   SELECT count(*) FROM a.t
        ana   ROLLBACK
        ana   SELECT count(*) FROM a.t
        ana   BEGIN
        ana   INSERT INTO a.t VALUES (2)
        ana   INSERT INTO a.t VALUES (3)
        ana   INSERT INTO a.u VALUES (4)
        ana   COMMIT
        ben   SELECT i, _seq FROM a.t UNION ALL SELECT i, _seq FROM a.u ORDER BY 1
        --    what was written is not read
        ana   BEGIN
        ana   INSERT INTO a.t VALUES (5)
        ana   SELECT count(*) FROM a.u
        ana   SELECT count(*) FROM a.t
        ana   SELECT 1
        ana   COMMIT
        ana   SELECT count(*) FROM a.t
        --    an error ends it
        ana   BEGIN
        ana   INSERT INTO a.t VALUES (6)
        ana   INSERT INTO a.t VALUES ('x')
        ana   INSERT INTO a.t VALUES (7)
        ana   ROLLBACK
        ana   SELECT count(*) FROM a.t
        --    what cannot be undone is refused
        admin BEGIN
        admin CREATE TABLE a.v (i INT) FLUSH ROWS 1
        admin ROLLBACK
        admin BEGIN READ ONLY
        admin INSERT INTO a.t VALUES (8)
        admin ROLLBACK
        --    a table that goes meanwhile
        ana   BEGIN
        ana   INSERT INTO a.t VALUES (9)
        ana   INSERT INTO a.u VALUES (9)
        admin DROP TABLE a.u
        ana   COMMIT
        ana   SELECT count(*) FROM a.t
        ana   COMMIT
        ana   ROLLBACK
        "#,
        expect![[r#"
            ben| 0
            ana| 0
            ben| 2 | 1
            ben| 3 | 2
            ben| 4 | 3
            what was written is not read
            ana| 1
            ana! 0A000 a.t cannot be read in the transaction that writes to it (COMMIT first, or read before writing)
            ana! 25P02 current transaction is aborted, commands ignored until end of transaction block (send ROLLBACK, then start over)
            ana| 2
            an error ends it
            ana! 22P02 invalid input syntax for type integer: "x"
            ana! 25P02 current transaction is aborted, commands ignored until end of transaction block (send ROLLBACK, then start over)
            ana| 2
            what cannot be undone is refused
            admin! 0A000 CREATE TABLE cannot run inside a transaction (COMMIT or ROLLBACK first)
            admin! 25006 cannot execute INSERT in a read-only transaction
            a table that goes meanwhile
            ana! 42P01 relation "a.u" does not exist
            ana| 2
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_follow_the_transaction() {
    check(
        r#"
        ana   SET application_name = 'one'
        ana   BEGIN
        ana   SET application_name = 'two'
        ana   ROLLBACK
        ana   SHOW application_name
        ana   BEGIN
        ana   SET application_name = 'three'
        ana   COMMIT
        ana   SHOW application_name
        ana   SHOW server_version
        ana   SET synchronous_commit = off
        ana   SELECT current_user, current_schema(), version() LIKE 'PostgreSQL 16%'
        ana   SELECT pg_catalog.version() IS NOT NULL
        "#,
        expect![[r#"
            ana| one
            ana| three
            ana| 16.0
            ana! 0A000 synchronous_commit cannot be turned off
            ana| ana | NULL | true
            ana| true
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_made_and_dropped() {
    check(
        r#"
        admin CREATE TABLE a.t (i INT) FLUSH ROWS 1000
        admin CREATE NAMESPACE a
        admin CREATE NAMESPACE a
        admin CREATE NAMESPACE IF NOT EXISTS a
        admin CREATE NAMESPACE system
        admin CREATE TABLE a.t (i INT)
        admin CREATE TABLE a.t (i INT) FLUSH ROWS 1000 STORAGE nowhere
        admin CREATE TABLE a.t (i INT) FLUSH ROWS 1000 SHARDING alphabetc
        admin CREATE TABLE a.t (i INT, _seq INT) FLUSH ROWS 1000
        admin CREATE TABLE t (i INT) FLUSH ROWS 1000
        admin CREATE TABLE a.t (i INT) USE_USER_STORAGE FLUSH ROWS 1000
        ana   CREATE TABLE a.t (i INT) FLUSH ROWS 1000
        admin CREATE USER TABLE a.t (i INT) USE_USER_STORAGE FLUSH ROWS 1000
        admin CREATE TABLE a.t (i INT) FLUSH ROWS 1000
        admin CREATE TABLE IF NOT EXISTS a.t (i INT) FLUSH ROWS 1000
        admin DROP NAMESPACE a
        ana   INSERT INTO a.t VALUES (1)
        flush a.t
        ana   INSERT INTO a.t VALUES (2)
        admin DROP SHARED TABLE a.t
        ana   DROP TABLE a.t
        admin DROP TABLE a.t
        admin DROP TABLE a.t
        admin DROP TABLE IF EXISTS a.t
        ana   SELECT * FROM a.t
        --    a new one of the same name begins empty
        admin CREATE USER TABLE a.t (i INT, j INT) FLUSH ROWS 1000
        ana   SELECT * FROM a.t
        ana   INSERT INTO a.t VALUES (3, 4)
        flush a.t
        ana   SELECT * FROM a.t
        ana   SHOW TABLES IN a
        ana   SHOW TABLES IN b
        ana   SET search_path TO nowhere, a
        ana   SELECT * FROM t
        ana   INSERT INTO t VALUES (5, 6)
        ana   SELECT count(*) FROM t
        ana   SHOW NAMESPACES
        "#,
        expect![[r#"
            admin! 3F000 Namespace 'a' does not exist. Create it first with CREATE NAMESPACE a
            admin! 42P06 Namespace 'a' already exists
            admin! 42939 the namespace name 'system' is reserved
            admin! 42P16 table a.t has no flush trigger: its rows would never leave the hot tier (add a clause such as FLUSH INTERVAL 60s ROW_THRESHOLD 1000, or WITH (FLUSH_POLICY = 'rows:1000,interval:60'))
            admin! 42704 Storage 'nowhere' does not exist
            admin! 22023 unknown sharding "alphabetc", did you mean alphabetic?; known are alphabetic, consistent_hash(n), none, numeric
            admin! 42939 the column name "_seq" is reserved for a hidden column
            admin! 42P01 relation "t" does not exist (name its namespace, as in chat.t, or SET search_path TO the namespace)
            admin! 42P16 USE_USER_STORAGE is only supported for USER tables
            ana! 42501 permission denied: CREATE TABLE needs a service role (connect as admin)
            admin! 42P07 Table a.t already exists
            admin! 2BP01 Cannot drop namespace 'a': 1 table(s) still in it: a.t
            admin! 42804 a.t is a USER table (DROP TABLE drops either kind)
            ana! 42501 permission denied: DROP TABLE needs a service role (connect as admin)
            admin! 42P01 Table a.t not found
            ana! 42P01 relation "a.t" does not exist
            a new one of the same name begins empty
            ana| 3 | 4
            ana| a | t | user
            ana! 3F000 Namespace 'b' does not exist. Create it first with CREATE NAMESPACE b
            ana| 3 | 4
            ana| 2
            ana| a
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_and_a_transaction_are_bounded() {
    let mut world = World::with(|options| {
        options.sql.insert_bytes_max = 10_000;
        options.sql.transaction_bytes_max = 10_000;
    })
    .await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (t TEXT) FLUSH ROWS 900000").await;
    let row = format!("INSERT INTO a.t VALUES ('{}')", "x".repeat(4000));
    let many = "INSERT INTO a.t SELECT repeat('x', 4000) FROM generate_series(1, 5)";
    assert_eq!(world.run("admin", many).await.unwrap_err().sqlstate, code::PROGRAM_LIMIT_EXCEEDED);
    world.run("admin", "BEGIN").await.unwrap();
    world.run("admin", &row).await.unwrap();
    world.run("admin", &row).await.unwrap();
    assert_eq!(world.run("admin", &row).await.unwrap_err().sqlstate, code::PROGRAM_LIMIT_EXCEEDED);
    world.run("admin", "COMMIT").await.unwrap();
    assert_eq!(world.one("admin", "SELECT count(*) FROM a.t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_table_leaves_behind_goes() {
    let mut world = World::new().await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (i INT) FLUSH ROWS 900000").await;
    world.run("admin", "INSERT INTO a.t VALUES (1)").await.unwrap();
    world.flush("a", "t").await;
    let store = world.database.store().clone();
    let table = store.catalog().table(&store.snapshot(), "a", "t").unwrap().unwrap();
    let found = ebbtide_store::manifest::segments(store.snapshot(), table.id, None).unwrap();
    let objects = store.objects(&found[0].storage).unwrap();
    let listed = |objects: std::sync::Arc<dyn ebbtide_store::cold::Objects>| async move {
        futures::StreamExt::collect::<Vec<_>>(objects.list("")).await.len()
    };
    // A manifest may lie beside it by now.
    assert!((1..=2).contains(&listed(objects.clone()).await));

    // A statement that began before still reads it.
    let outcome = world.session("admin").run("SELECT i FROM a.t").await.unwrap();
    world.run("admin", "DROP TABLE a.t").await.unwrap();
    assert_eq!(super::script::rows(outcome).await.unwrap(), ["1"]);
    world.database.reclaimed().await;
    assert_eq!(listed(objects).await, 0);
    assert!(store.catalog().dropped(&store.snapshot()).unwrap().is_empty());
    assert!(ebbtide_store::manifest::segments(store.snapshot(), table.id, None).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_dropped_is_cleared_away_though_nobody_waits_for_the_answer() {
    let mut world = World::new().await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE USER TABLE a.t (i INT) FLUSH ROWS 900000").await;
    world.script("ana INSERT INTO a.t VALUES (1)").await;
    world.flush("a", "t").await;
    let database = world.database.clone();
    let (catalog, store) = (database.store().catalog(), database.store());
    {
        let mut dropping = Box::pin(world.session("admin").run("DROP TABLE a.t"));
        // Begun, and never looked at again: the commit is answered to nobody.
        assert!(futures::poll!(&mut dropping).is_pending(), "a commit takes a moment");
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while !catalog.tables(&store.snapshot(), None).unwrap().is_empty() {
            tick.tick().await;
        }
    }
    database.reclaimed().await;
    assert!(catalog.dropped(&store.snapshot()).unwrap().is_empty(), "the table is left until the next start");
}
