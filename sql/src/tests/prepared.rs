//! Prepared statements: parameters, and tables that change under them.

use super::script::{World, rows};
use crate::error::{Error, code};
use crate::{Outcome, Prepared};
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

async fn prepare(world: &mut World, who: &str, sql: &str, hints: &[Option<DataType>]) -> Result<Prepared, Error> {
    let session = world.session(who);
    let statement = session.parse(sql)?.remove(0);
    session.prepare(statement, hints).await
}

async fn execute(
    world: &mut World,
    who: &str,
    prepared: &Prepared,
    values: Vec<ScalarValue>,
) -> Result<Vec<String>, Error> {
    let outcome = world.session(who).execute(prepared, values).await?;
    rows(outcome).await
}

async fn world() -> World {
    let mut world = World::new().await;
    world
        .script(
            "admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (id INT, n DECIMAL(10,2), body TEXT, at TIMESTAMPTZ) FLUSH ROWS 900000",
        )
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_the_types_of_their_places() {
    let mut world = world().await;
    let types = |prepared: &Prepared| prepared.parameters().iter().map(ToString::to_string).collect::<Vec<_>>();
    let insert = prepare(&mut world, "admin", "INSERT INTO a.t (id, body, n) VALUES ($1, $2, $3), ($4, 'x', 5)", &[])
        .await
        .unwrap();
    assert_eq!(types(&insert), ["Int32", "Utf8", "Decimal128(10, 2)", "Int32"]);
    assert!(insert.writes() && insert.schema().is_none());
    let cast =
        prepare(&mut world, "admin", "INSERT INTO a.t (id, body) VALUES ($1::BIGINT, $2::VARCHAR)", &[]).await.unwrap();
    assert_eq!(types(&cast), ["Int64", "Utf8"]);
    let computed = prepare(&mut world, "admin", "INSERT INTO a.t (id, body, at) VALUES ($1, upper($2), now())", &[])
        .await
        .unwrap();
    assert_eq!(computed.parameters()[0], DataType::Int32);
    let select = prepare(
        &mut world,
        "admin",
        "SELECT id, $2::TEXT AS said FROM a.t WHERE id = $1 AND body LIKE $3 LIMIT $4",
        &[],
    )
    .await
    .unwrap();
    assert_eq!(types(&select)[..3], ["Int32", "Utf8", "Utf8"]);
    let schema = select.schema().unwrap();
    assert_eq!((schema.field(0).name().as_str(), schema.field(1).data_type()), ("id", &DataType::Utf8));
    let said = prepare(&mut world, "admin", "SELECT $1::INT, $2::TIMESTAMPTZ", &[]).await.unwrap();
    assert_eq!(said.parameters()[0], DataType::Int32);
    let bare = prepare(&mut world, "admin", "SELECT $1", &[]).await.unwrap();
    assert_eq!(types(&bare), ["Utf8"]);
    let hinted = prepare(&mut world, "admin", "SELECT $1 + 1", &[Some(DataType::Int64)]).await.unwrap();
    assert_eq!(hinted.schema().unwrap().field(0).data_type(), &DataType::Int64);
    assert!(!select.writes());

    let values = vec![
        ScalarValue::from(1_i32),
        ScalarValue::from("a"),
        ScalarValue::Decimal128(Some(150), 10, 2),
        ScalarValue::from(2_i32),
    ];
    execute(&mut world, "admin", &insert, values).await.unwrap();
    execute(&mut world, "admin", &cast, vec![ScalarValue::from(3_i64), ScalarValue::Utf8(None)]).await.unwrap();
    execute(&mut world, "admin", &computed, vec![ScalarValue::from(4_i32), ScalarValue::from("up")]).await.unwrap();
    let found = world.run("admin", "SELECT id, n, body, at IS NULL FROM a.t ORDER BY id").await.unwrap();
    assert_eq!(
        found,
        ["1 | 1.50 | a | true", "2 | 5.00 | x | true", "3 | NULL | NULL | true", "4 | NULL | UP | false"]
    );
    let values =
        vec![ScalarValue::from(1_i32), ScalarValue::from("hi"), ScalarValue::from("%"), ScalarValue::from(5_i64)];
    assert_eq!(execute(&mut world, "admin", &select, values).await.unwrap(), ["1 | hi"]);
    let out = execute(&mut world, "admin", &cast, vec![ScalarValue::from(1_i64 << 40), ScalarValue::Utf8(None)]).await;
    assert_eq!(out.unwrap_err().sqlstate, code::NUMERIC_VALUE_OUT_OF_RANGE);
    let few = execute(&mut world, "admin", &cast, Vec::new()).await;
    assert_eq!(few.unwrap_err().sqlstate, code::UNDEFINED_PARAMETER);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_reads_its_own_moment_and_sees_what_changed() {
    let mut world = world().await;
    let count = prepare(&mut world, "admin", "SELECT count(*) FROM a.t", &[]).await.unwrap();
    let insert = prepare(&mut world, "admin", "INSERT INTO a.t (id) VALUES ($1)", &[]).await.unwrap();
    let star = prepare(&mut world, "admin", "SELECT * FROM a.t", &[]).await.unwrap();
    assert_eq!(execute(&mut world, "admin", &count, Vec::new()).await.unwrap(), ["0"]);
    execute(&mut world, "admin", &insert, vec![ScalarValue::from(1_i32)]).await.unwrap();
    assert_eq!(execute(&mut world, "admin", &count, Vec::new()).await.unwrap(), ["1"]);
    world.flush("a", "t").await;
    assert_eq!(execute(&mut world, "admin", &count, Vec::new()).await.unwrap(), ["1"]);

    world.run("admin", "DROP TABLE a.t").await.unwrap();
    let gone = execute(&mut world, "admin", &count, Vec::new()).await.unwrap_err();
    assert_eq!(gone.sqlstate, code::UNDEFINED_TABLE);
    let gone = execute(&mut world, "admin", &insert, vec![ScalarValue::from(2_i32)]).await.unwrap_err();
    assert_eq!(gone.sqlstate, code::UNDEFINED_TABLE);

    world.run("admin", "CREATE TABLE a.t (id INT, other TEXT) FLUSH ROWS 900000").await.unwrap();
    execute(&mut world, "admin", &insert, vec![ScalarValue::from(3_i32)]).await.unwrap();
    assert_eq!(execute(&mut world, "admin", &count, Vec::new()).await.unwrap(), ["1"]);
    assert_eq!(
        execute(&mut world, "admin", &star, Vec::new()).await.unwrap_err().sqlstate,
        code::FEATURE_NOT_SUPPORTED
    );
    assert_eq!(world.one("admin", "SELECT id FROM a.t").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_registered_for_as_long_as_its_rows_flow() {
    let mut world = world().await;
    world.run("admin", "INSERT INTO a.t (id) VALUES (1)").await.unwrap();
    let readers = world.database.store().readers().clone();
    assert!(readers.oldest().is_none());
    let prepared = prepare(&mut world, "admin", "SELECT table_name FROM information_schema.tables", &[]).await.unwrap();
    let counted = prepare(&mut world, "admin", "SELECT * FROM a.t", &[]).await.unwrap();
    assert!(readers.oldest().is_none(), "what is prepared holds no snapshot");
    let outcome = world.session("admin").execute(&counted, Vec::new()).await.unwrap();
    assert!(readers.oldest().is_some());
    let Outcome::Rows { stream, .. } = outcome else { panic!("a query gives rows") };
    drop(stream);
    // The scan's thread lets go a moment after its receiver is gone.
    readers.wait_passed(readers.now()).await;
    assert!(!execute(&mut world, "admin", &prepared, Vec::new()).await.unwrap().is_empty());
}
