//! Hot and cold as one table, and whose rows one sees.

use super::script::{World, check};
use expect_test::expect;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_his_rows_wherever_they_lie_and_nobody_elses() {
    check(
        r#"
        admin CREATE NAMESPACE chat
        admin CREATE USER TABLE chat.m (id BIGINT NOT NULL, body TEXT) FLUSH ROWS 900000
        ana   INSERT INTO chat.m VALUES (1, 'a'), (2, 'b')
        ben   INSERT INTO chat.m VALUES (1, 'x')
        flush chat.m
        ana   INSERT INTO chat.m (body, id) VALUES ('c', 3)
        --    all of ana's, cold and hot
        ana   SELECT * FROM chat.m ORDER BY id
        ben   SELECT id, body FROM chat.m
        ana   SELECT count(*) FROM chat.m
        ana   SELECT count(*) FROM chat.m WHERE _user_id = 'ben'
        ana   SELECT * FROM chat.m WHERE _user_id IN ('ana', 'ben') ORDER BY id
        ana   SELECT a.body, b.body FROM chat.m a JOIN chat.m b ON a.id = b.id + 1 ORDER BY 1
        --    the service sees everybody's
        admin SELECT _user_id, id, body FROM chat.m ORDER BY _user_id, id
        admin SELECT _user_id, count(*) FROM chat.m GROUP BY _user_id ORDER BY 1
        admin SELECT count(*) FROM chat.m
        admin SELECT count(*) FROM chat.m WHERE _user_id = 'ana'
        restart
        admin SELECT count(*), min(id), max(body) FROM chat.m
        "#,
        expect![[r#"
            all of ana's, cold and hot
            ana| 1 | a
            ana| 2 | b
            ana| 3 | c
            ben| 1 | x
            ana| 3
            ana| 0
            ana| 1 | a
            ana| 2 | b
            ana| 3 | c
            ana| b | a
            ana| c | b
            the service sees everybody's
            admin| ana | 1 | a
            admin| ana | 2 | b
            admin| ana | 3 | c
            admin| ben | 1 | x
            admin| ana | 3
            admin| ben | 1
            admin| 4
            admin| 3
            admin| 4 | 1 | x
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_columns_are_there_when_named_and_never_in_a_star() {
    check(
        r#"
        admin CREATE NAMESPACE a
        admin CREATE SHARED TABLE a.t (id INT) FLUSH ROWS 900000
        admin CREATE USER TABLE a.u (id INT) FLUSH ROWS 900000
        ana   INSERT INTO a.t VALUES (10), (20), (30)
        ana   INSERT INTO a.u VALUES (1)
        flush a.t
        ana   INSERT INTO a.t VALUES (40)
        ana   SELECT * FROM a.t ORDER BY id
        ana   SELECT * FROM a.t WHERE _seq > 2 ORDER BY _seq
        ana   SELECT *, _seq FROM a.t WHERE _seq <= 2 ORDER BY id
        ana   SELECT x.* FROM a.t AS x ORDER BY x._seq DESC LIMIT 1
        ana   SELECT * FROM a.t JOIN a.u ON true WHERE u._user_id = 'ana' AND t._seq = 1
        ana   SELECT * FROM (SELECT *, _seq AS s FROM a.t) q WHERE s = 3
        ana   SELECT * FROM a.t NATURAL JOIN a.u WHERE t._seq = 1
        ana   SELECT count(_committed_at) FROM a.t
        ana   SELECT _user_id FROM a.t
        ana   DESCRIBE a.u
        "#,
        expect![[r#"
            ana| 10
            ana| 20
            ana| 30
            ana| 40
            ana| 30
            ana| 40
            ana| 10 | 1
            ana| 20 | 2
            ana| 40
            ana| 10 | 1
            ana| 30 | 3
            ana! 0A000 NATURAL JOIN in a statement that names a hidden column is not supported (name the columns with USING or ON)
            ana| 4
            ana! 42703 column "_user_id" does not exist
            ana| id | INT | true | false
            ana| _user_id | TEXT | false | true
            ana| _seq | BIGINT | false | true
            ana| _committed_at | TIMESTAMPTZ | false | true
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_reads_back_the_same_hot_and_cold() {
    let mut world = World::new().await;
    world
        .script(
            r#"
            admin CREATE NAMESPACE a
            admin CREATE TABLE a.t (b BOOLEAN, s SMALLINT, i INT, l BIGINT, r REAL, d DOUBLE, n DECIMAL(10,2), t TEXT, y BYTEA, da DATE, ti TIME, ts TIMESTAMP, tz TIMESTAMPTZ, j JSON) FLUSH ROWS 900000
            admin INSERT INTO a.t VALUES (true, -1, 2, -3, 1.5, -2.5, 12.345, 'é''', '\x00ff', '2026-11-22', '10:30:00.5', '2026-11-22 10:30:00.25', '2026-11-22 12:30:00+02', '{"a": [1]}')
            admin INSERT INTO a.t VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
            "#,
        )
        .await;
    let hot = world.run("admin", "SELECT * FROM a.t ORDER BY i").await.unwrap();
    world.flush("a", "t").await;
    let cold = world.run("admin", "SELECT * FROM a.t ORDER BY i").await.unwrap();
    assert_eq!(hot, cold);
    expect![[r#"
        true | -1 | 2 | -3 | 1.5 | -2.5 | 12.35 | é' | 00ff | 2026-11-22 | 10:30:00.500 | 2026-11-22T10:30:00.250 | 2026-11-22T10:30:00Z | {"a": [1]}
        NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL"#]]
    .assert_eq(&cold.join("\n"));
    let filtered = [
        "b",
        "s = -1",
        "i = 2",
        "l = -3",
        "r = 1.5",
        "d = -2.5",
        "n = 12.35",
        "t = 'é'''",
        "da = '2026-11-22'",
        "ti > '10:00:00'",
        "ts < '2026-11-23'",
        "tz >= '2026-11-22 10:30:00Z'",
        "i IS NOT NULL",
        "i IN (2, 5)",
    ];
    for filter in filtered {
        let count = world.one("admin", &format!("SELECT count(*) FROM a.t WHERE {filter}")).await;
        assert_eq!(count, "1", "{filter}");
        let none = world.one("admin", &format!("SELECT count(*) FROM a.t WHERE NOT ({filter})")).await;
        let expected = if filter.ends_with("NULL") { "1" } else { "0" };
        assert_eq!(none, expected, "NOT {filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_reads_one_moment() {
    let mut world = World::new().await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (i INT) FLUSH ROWS 900000").await;
    world.run("admin", "INSERT INTO a.t SELECT value FROM generate_series(1, 50000)").await.unwrap();
    let query = "SELECT (SELECT count(*) FROM a.t) AS again, count(*), sum(i) FROM a.t";
    let outcome = world.session("admin").run(query).await.unwrap();
    // Planned, not read yet: what happens now is not in it.
    world.run("admin", "INSERT INTO a.t VALUES (1)").await.unwrap();
    world.flush("a", "t").await;
    assert_eq!(super::script::rows(outcome).await.unwrap(), ["50000 | 50000 | 1250025000"]);
    assert_eq!(world.one("admin", query).await, "50001 | 50001 | 1250025001");
    assert_eq!(world.one("admin", "SELECT count(*) FROM (SELECT i FROM a.t LIMIT 7)").await, "7");
    let plan = world.run("admin", "EXPLAIN SELECT count(*) FROM a.t").await.unwrap().join("\n");
    assert!(plan.contains("HotExec") && !plan.contains("DataSourceExec"), "segments are counted, not read: {plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_cannot_match_are_not_opened() {
    let mut world = World::new().await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE USER TABLE a.t (i INT, s TEXT) FLUSH ROWS 900000").await;
    for (user, from) in [("ana", 0), ("ben", 100), ("cy", 200)] {
        let insert = format!("INSERT INTO a.t SELECT value, 'x' FROM generate_series({from}, {})", from + 99);
        world.run(user, &insert).await.unwrap();
        world.flush("a", "t").await;
    }
    async fn files(world: &mut World, filter: &str) -> usize {
        let plan = world.run("admin", &format!("EXPLAIN SELECT s FROM a.t WHERE {filter}")).await.unwrap().join("\n");
        plan.matches(".parquet").count()
    }
    assert_eq!(files(&mut world, "true").await, 3);
    assert_eq!(files(&mut world, "i = 150").await, 1);
    assert_eq!(files(&mut world, "i BETWEEN 90 AND 110").await, 2);
    assert_eq!(files(&mut world, "_user_id = 'cy'").await, 1);
    assert_eq!(files(&mut world, "_user_id > 'ana'").await, 2);
    assert_eq!(files(&mut world, "_seq <= 100").await, 1);
    assert_eq!(files(&mut world, "s IS NULL").await, 0);
    assert_eq!(
        world.one("admin", "SELECT count(*), min(i), max(i) FROM a.t WHERE i BETWEEN 90 AND 110").await,
        "21 | 90 | 110"
    );
}
