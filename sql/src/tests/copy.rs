//! COPY: chunks, errors that say what stayed, and transactions.

use super::script::World;
use crate::error::{Error, code};
use crate::{Outcome, TransactionStatus};

async fn copy(world: &mut World, who: &str, sql: &str, pieces: &[&str]) -> Result<u64, Error> {
    let Outcome::CopyIn(mut sink) = world.session(who).run(sql).await? else { panic!("{sql} takes data") };
    for piece in pieces {
        sink.push(piece.as_bytes().to_vec()).await?;
    }
    sink.finish().await
}

async fn world() -> World {
    let mut world = World::with(|options| options.sql.copy_chunk_rows_max = 100).await;
    world
        .script("admin CREATE NAMESPACE a\nadmin CREATE USER TABLE a.t (id INT NOT NULL, body TEXT) FLUSH ROWS 900000")
        .await;
    world
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("{number}\tline {number}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_csv_are_loaded_in_pieces_of_any_size() {
    let mut world = world().await;
    let data = lines(0..1000);
    let pieces: Vec<&str> = data.as_bytes().chunks(777).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
    assert_eq!(copy(&mut world, "ana", "COPY a.t FROM STDIN", &pieces).await.unwrap(), 1000);
    assert_eq!(
        world.one("ana", "SELECT count(*), sum(id), min(_seq), max(_seq) FROM a.t").await,
        "1000 | 499500 | 1 | 1000"
    );
    assert_eq!(world.one("ana", "SELECT count(*) FROM a.t WHERE id = _seq - 1").await, "1000", "in their order");

    let csv = "id,body,_user_id\n1,\"a \"\"b\"\", c\",ben\n2,,cy\n3,\"\",ben\n";
    let sql = "COPY a.t (id, body, _user_id) FROM STDIN WITH (FORMAT csv, HEADER)";
    assert_eq!(copy(&mut world, "admin", sql, &[csv]).await.unwrap(), 3);
    let rows =
        world.run("admin", "SELECT _user_id, id, body FROM a.t WHERE _user_id <> 'ana' ORDER BY 2").await.unwrap();
    assert_eq!(rows, ["ben | 1 | a \"b\", c", "cy | 2 | NULL", "ben | 3 | "]);
    assert_eq!(copy(&mut world, "ana", "COPY a.t FROM STDIN", &[]).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_named_and_the_chunks_before_it_stay() {
    let mut world = world().await;
    for (bad, sqlstate, context) in [
        ("x\tb\n", code::INVALID_TEXT_REPRESENTATION, "COPY a.t, line 251, column id"),
        ("\\N\tb\n", code::NOT_NULL_VIOLATION, "COPY a.t, line 251, column id"),
        ("1\n", code::BAD_COPY_FILE_FORMAT, "COPY a.t, line 251"),
        ("1\tb\tc\n", code::BAD_COPY_FILE_FORMAT, "COPY a.t, line 251"),
        ("99999999999\tb\n", code::NUMERIC_VALUE_OUT_OF_RANGE, "COPY a.t, line 251, column id"),
    ] {
        let before: u64 = world.one("ana", "SELECT count(*) FROM a.t").await.parse().unwrap();
        let data = [lines(0..250), bad.to_owned(), lines(251..900)].concat();
        let error = copy(&mut world, "ana", "COPY a.t FROM STDIN", &[&data]).await.unwrap_err();
        assert_eq!((error.sqlstate, error.context.as_deref()), (sqlstate, Some(context)), "{bad}: {error:?}");
        let after: u64 = world.one("ana", "SELECT count(*) FROM a.t").await.parse().unwrap();
        assert_eq!(after - before, 200, "two chunks of a hundred came before the one with {bad}");
        assert!(error.detail.as_ref().unwrap().starts_with("200 rows"), "{error:?}");
    }
    let Outcome::CopyIn(mut sink) = world.session("ana").run("COPY a.t FROM STDIN").await.unwrap() else { panic!() };
    sink.push(b"1\t\xff\n".to_vec()).await.unwrap();
    assert_eq!(sink.finish().await.unwrap_err().sqlstate, code::CHARACTER_NOT_IN_REPERTOIRE);
    let error = copy(&mut world, "ana", "COPY a.t (id, nope) FROM STDIN", &[]).await.unwrap_err();
    assert_eq!((error.sqlstate, error.position), (code::UNDEFINED_COLUMN, Some(15)));
    let error = copy(&mut world, "admin", "COPY a.t FROM STDIN", &[]).await.unwrap_err();
    assert_eq!(error.sqlstate, code::NOT_NULL_VIOLATION, "a service says whose rows they are");
    let foreign = copy(&mut world, "ana", "COPY a.t (id, _user_id) FROM STDIN", &["1\tben\n"]).await.unwrap_err();
    assert_eq!(foreign.sqlstate, code::INSUFFICIENT_PRIVILEGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_a_transaction_the_rows_wait_for_its_end() {
    let mut world = world().await;
    let data = lines(0..250);
    world.run("ana", "BEGIN").await.unwrap();
    assert_eq!(copy(&mut world, "ana", "COPY a.t FROM STDIN", &[&data]).await.unwrap(), 250);
    assert_eq!(world.one("admin", "SELECT count(*) FROM a.t").await, "0");
    world.run("ana", "ROLLBACK").await.unwrap();
    assert_eq!(world.one("ana", "SELECT count(*) FROM a.t").await, "0");

    world.run("ana", "BEGIN").await.unwrap();
    copy(&mut world, "ana", "COPY a.t FROM STDIN", &[&data]).await.unwrap();
    world.run("ana", "COMMIT").await.unwrap();
    assert_eq!(world.one("ana", "SELECT count(*), max(id) FROM a.t").await, "250 | 249");

    world.run("ana", "BEGIN").await.unwrap();
    let error = copy(&mut world, "ana", "COPY a.t FROM STDIN", &[&data, "x\ty\n"]).await.unwrap_err();
    assert!(error.detail.unwrap().starts_with("No row is kept"));
    assert_eq!(world.session("ana").transaction_status(), TransactionStatus::Failed);
    world.run("ana", "ROLLBACK").await.unwrap();
    assert_eq!(world.one("ana", "SELECT count(*) FROM a.t").await, "250");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_given_up_keeps_its_whole_chunks() {
    let mut world = world().await;
    let Outcome::CopyIn(mut sink) = world.session("ana").run("COPY a.t FROM STDIN").await.unwrap() else { panic!() };
    assert_eq!(sink.columns(), 2);
    sink.push(lines(0..250)).await.unwrap();
    assert!(sink.abort().await.starts_with("200 rows"));
    assert_eq!(world.one("ana", "SELECT count(*) FROM a.t").await, "200");
}
