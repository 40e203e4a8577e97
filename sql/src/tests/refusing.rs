//! Bad input: an error with a place and a hint, and the session lives on.

use super::script::World;
use crate::error::code;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_queries_say_what_and_where() {
    let mut world = World::new().await;
    world
        .script("admin CREATE NAMESPACE chat\nadmin CREATE TABLE chat.rooms (id INT, name TEXT) FLUSH ROWS 900000")
        .await;
    for (sql, sqlstate, position, words) in [
        ("SELECT nam FROM chat.rooms", code::UNDEFINED_COLUMN, 8, "did you mean name?"),
        ("SELECT * FROM chat.rooom", code::UNDEFINED_TABLE, 15, "did you mean chat.rooms?"),
        ("SELECT * FROM caht.rooms", code::UNDEFINED_TABLE, 15, "did you mean chat.rooms?"),
        ("SELECT * FROM rooms", code::UNDEFINED_TABLE, 15, "SET search_path"),
        ("SELECT * FROM x.y.z", code::FEATURE_NOT_SUPPORTED, 15, "two parts"),
        ("SELECT * FROM system.job", code::UNDEFINED_TABLE, 15, "system.jobs"),
        ("SELECT nope(id) FROM chat.rooms", code::UNDEFINED_FUNCTION, 8, "nope"),
        ("SELECT id FROM chat.rooms a, chat.rooms b", code::AMBIGUOUS_COLUMN, 8, "ambiguous"),
        ("SELECT 1 / 0", code::DIVISION_BY_ZERO, 0, "division by zero"),
        ("SELECT CAST('x' AS INT)", code::INVALID_TEXT_REPRESENTATION, 0, "x"),
        ("SELECT $1 WHERE $0 = 1", code::UNDEFINED_PARAMETER, 0, "$0"),
    ] {
        let error = world.run("ana", sql).await.err().unwrap_or_else(|| panic!("accepted: {sql}"));
        let text = format!("{} {}", error.message, error.hint.clone().unwrap_or_default());
        assert_eq!(error.sqlstate, sqlstate, "{sql}: {error:?}");
        assert_eq!(error.position.unwrap_or(0), position, "{sql}: {error:?}");
        assert!(text.contains(words), "{sql}: {text}");
    }
    assert_eq!(world.one("ana", "SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_when_its_time_is_up() {
    let mut world = World::new().await;
    world.run("ana", "SET statement_timeout = 50").await.unwrap();
    let endless =
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 1000) c";
    let error = world.run("ana", endless).await.unwrap_err();
    assert_eq!(error.sqlstate, code::QUERY_CANCELED);
    world.script("admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (i BIGINT) FLUSH ROWS 900000").await;
    let error = world.run("ana", &format!("INSERT INTO a.t {endless}")).await.unwrap_err();
    assert_eq!(error.sqlstate, code::QUERY_CANCELED);
    world.run("ana", "RESET statement_timeout").await.unwrap();
    assert_eq!(world.one("ana", "SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_bounded_in_memory() {
    let mut world = World::with(|options| {
        options.sql.statement_memory_bytes_max = 1 << 20;
        options.sql.spill_bytes_max = 1 << 20;
    })
    .await;
    let greedy = "SELECT array_agg(repeat(value::text, 20)) FROM generate_series(1, 200000)";
    let error = world.run("ana", greedy).await.unwrap_err();
    assert_eq!(error.sqlstate, code::OUT_OF_MEMORY, "{error:?}");
    assert_eq!(world.one("ana", "SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_any_name_are_apart() {
    let mut world = World::new().await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE USER TABLE a.t (s TEXT) FLUSH ROWS 900000").await;
    let names = ["../../etc", "a", "A", "é", "😀", "x y", "\u{1}", "con", "a.", "%41"];
    for name in names {
        let insert = format!("INSERT INTO a.t VALUES ('{}')", name.escape_debug());
        world.run(name, &insert).await.unwrap();
    }
    world.flush("a", "t").await;
    for name in names {
        world.run(name, "INSERT INTO a.t VALUES ('hot')").await.unwrap();
        let rows = world.run(name, "SELECT s FROM a.t ORDER BY _seq").await.unwrap();
        assert_eq!(rows, [name.escape_debug().to_string(), "hot".to_owned()], "{name:?}");
    }
    assert_eq!(world.one("admin", "SELECT count(*), count(DISTINCT _user_id) FROM a.t").await, "20 | 10");
    world.database.close(Duration::from_secs(5)).await;
    let error = world.run("ana", "INSERT INTO a.t VALUES ('late')").await.unwrap_err();
    assert_eq!(error.sqlstate, code::ADMIN_SHUTDOWN);
}
