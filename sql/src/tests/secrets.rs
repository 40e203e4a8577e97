//! Credentials are seen nowhere: not in a row, not in an error, not in the print of anything.

use super::script::World;
use crate::parse::Statement;

const SECRET: &str = "hunter2hunter2";

fn clean(what: &str, of: &str) {
    assert!(!what.contains(SECRET), "{of}: {what}");
}

/// Runs a statement, and looks at all that comes of it.
async fn run(world: &mut World, sql: &str) -> bool {
    let sql = sql.replace("{dir}", &world.directory().display().to_string());
    let session = world.session("admin");
    let parsed: Result<Vec<Statement>, _> = session.parse(&sql);
    clean(&format!("{parsed:?}"), &sql);
    let Ok(mut statements) = parsed else { return false };
    let prepared = session.prepare(statements.remove(0), &[]).await;
    clean(&format!("{prepared:?} {session:?}"), &sql);
    let Ok(prepared) = prepared else { return false };
    let outcome = session.execute(&prepared, Vec::new()).await;
    clean(&format!("{outcome:?} {prepared:?} {session:?}"), &sql);
    clean(&outcome.as_ref().err().map_or_else(String::new, ToString::to_string), &sql);
    outcome.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_error_or_print_shows_credentials() {
    let mut world = World::new().await;
    std::fs::write(world.directory().join("file"), b"no folder").unwrap();
    // Nobody listens on a port that was free a moment ago.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let json = format!(r#"{{"secret_access_key": "{SECRET}"}}"#);
    world.run("admin", "CREATE STORAGE eu TYPE filesystem PATH '{dir}/eu'").await.unwrap();
    for (sql, goes) in [
        (format!("CREATE STORAGE x TYPE filesystem PATH '{{dir}}/x' CREDENTIALS '{json}'"), false),
        (format!("CREATE STORAGE IF NOT EXISTS eu TYPE s3 BUCKET 'b' CREDENTIALS '{json}'"), true),
        (format!("CREATE STORAGE eu TYPE s3 BUCKET 'b' CREDENTIALS '{json}'"), false),
        (format!("ALTER STORAGE eu SET CREDENTIALS '{json}'"), false),
        (format!("ALTER STORAGE eu SET CREDENTIALS '{json}', NAME 'Europe'"), false),
        (format!("ALTER STORAGE nowhere SET CREDENTIALS '{json}'"), false),
        (format!("ALTER STORAGE eu SET CREDENTIALS '{json}', USER_TABLES_TEMPLATE 'x'"), false),
        (format!("CREATE STORAGE x TYPE filesystem PATH '{{dir}}/file' CREDENTIALS '{json}'"), false),
        (format!("CREATE STORAGE x TYPE s3 BUCKET 'b' SHARED_TABLES_TEMPLATE 'x' CREDENTIALS '{json}'"), false),
        (format!("CREATE STORAGE x TYPE s3 BUCKET 'Not A Bucket' CREDENTIALS '{json}'"), false),
        (format!("CREATE STORAGE x TYPE s3 PATH '/nowhere' CREDENTIALS '{json}'"), false),
        (format!(r#"CREATE STORAGE x TYPE s3 BUCKET 'b' CONFIG '{{"endpiont": "x"}}' CREDENTIALS '{json}'"#), false),
        (
            format!(
                r#"CREATE STORAGE x TYPE s3 BUCKET 'bucket' CONFIG '{{"endpoint": "http://127.0.0.1:{closed}", "retries_max": 0}}' CREDENTIALS '{{"access_key_id": "{SECRET}", "secret_access_key": "{SECRET}"}}'"#
            ),
            false,
        ),
        (format!("CREATE STORAGE x TYPE s3 BUCKET 'b' CREDENTIALS '{{\"access_key_id\": [\"{SECRET}\"]}}'"), false),
        (format!("CREATE STORAGE x TYPE gcs BUCKET 'b' CREDENTIALS '{json}'"), false),
        (format!("CREATE STORAGE x TYPE azure BUCKET 'b' CREDENTIALS '{json}'"), false),
        (format!("CREATE STORAGE x TYPE s3 BUCKET 'b' CREDENTIALS '{json}' '{json}'"), false),
        (format!("CREATE STORAGE x TYPE s3 BUCKET 'b' CREDENTIALS '{json}"), false),
        (format!("CREATE STORAGE x TYPE s3 BUCKET 'b' CREDENTIALS '{SECRET}'"), false),
        (format!("DROP STORAGE x CREDENTIALS '{json}'"), false),
        (format!("CREATE USER x WITH PASSWORD '{SECRET}'"), false),
    ] {
        assert_eq!(run(&mut world, &sql).await, goes, "{sql}");
    }
    for sql in [
        "SELECT * FROM system.storages",
        "SHOW STORAGES",
        "CHECK STORAGE eu",
        "SELECT * FROM system.settings",
        "SELECT * FROM system.jobs",
        "SELECT * FROM information_schema.columns",
        "EXPLAIN VERBOSE SELECT * FROM system.storages",
    ] {
        clean(&world.run("admin", sql).await.unwrap().join("\n"), sql);
    }
    clean(&format!("{:?}", world.database), "the database");
    // Storages of this kind have none, so that there are any is seen where there is a store that asks for them.
    assert_eq!(
        world.run("admin", "SELECT storage_id, credentials FROM system.storages").await.unwrap(),
        ["local | NULL", "eu | NULL"]
    );
}
