//! Looking at jobs touches only what it gives out: the plan says so, and so do the reads that the scan counts.

use super::jobs::Errand;
use super::script::{World, rows};
use datafusion::scalar::ScalarValue;
use ebbtide_runtime::{NewJob, Status};

const JOBS: u64 = 300;

/// A database with so many ended jobs, of two tables and a third kind that has none.
async fn world() -> World {
    let mut world = World::new().await;
    world
        .script("admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (i INT) FLUSH ROWS 900000\nadmin CREATE TABLE a.s (i INT) FLUSH ROWS 900000")
        .await;
    let runtime = world.database.runtime().clone();
    let submitted = (0..JOBS).map(|number| {
        let errand = if number % 100 == 7 { Errand::Failing } else { Errand::Ending };
        runtime.submit(NewJob::new(if number % 10 == 0 { "tenth" } else { "errands" }, Box::new(errand)))
    });
    let submitted = futures::future::try_join_all(submitted).await.unwrap();
    for job in &submitted {
        runtime.wait(job.id()).await.unwrap();
    }
    for table in ["t", "t", "s"] {
        world.flush("a", table).await;
    }
    world
}

/// The plan, and what it read of the engine when it ran.
pub(super) async fn plan(world: &mut World, sql: &str) -> (String, u64) {
    let plan = world.run("admin", &format!("EXPLAIN {sql}")).await.unwrap().join("\n");
    let ran = world.run("admin", &format!("EXPLAIN ANALYZE {sql}")).await.unwrap().join("\n");
    let name = format!("{}=", crate::system::ENGINE_READS);
    let reads = ran.split(&name).skip(1).map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let rest = &rest[digits.len()..];
        assert!(!rest.starts_with(" K") && !rest.starts_with('.'), "shortened: {ran}");
        digits.parse::<u64>().unwrap()
    });
    (plan, reads.sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_in_any_order_behind_a_filter_of_rows_that_are_sorted() {
    let mut world = world().await;
    let all = "SELECT state, status, rows_done, job_type FROM system.jobs";
    for (sql, rows) in [
        ("SELECT status, job_type FROM system.jobs WHERE status LIKE 'fail%' ORDER BY created_at DESC", 3),
        (&format!("{all} WHERE rows_done >= 0 ORDER BY created_at DESC LIMIT 1"), 1),
        (&format!("{all} WHERE status LIKE 'fail%' ORDER BY created_at DESC LIMIT 2"), 2),
        ("SELECT upper(status), job_type FROM system.jobs WHERE status LIKE 'fail%' ORDER BY created_at DESC", 3),
        (
            &format!(
                "SELECT status FROM ({all} WHERE status LIKE 'fail%' ORDER BY created_at DESC) WHERE rows_done = 0"
            ),
            3,
        ),
    ] {
        let found = world.run("admin", sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(found.len(), rows, "{sql}: {found:?}");
    }
    let first = world.one("admin", &format!("{all} WHERE status LIKE 'fail%' ORDER BY created_at DESC LIMIT 1")).await;
    assert_eq!(first.split(" | ").nth(1), Some("failed"), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_read_only_what_they_give_out() {
    let mut world = world().await;
    let id = world.one("admin", "SELECT job_id FROM system.jobs LIMIT 1").await;
    let newest = world.one("admin", "SELECT max(created_at) FROM system.jobs").await;
    // Rows given out, and reads at most: an index key and a row each, the key behind the last one, and the payload.
    for (sql, rows, reads_max) in [
        (format!("SELECT * FROM system.jobs WHERE job_id = '{id}'"), 1, 4),
        (format!("SELECT * FROM system.jobs WHERE job_id IN ('{id}', 'nonsense')"), 1, 4),
        ("SELECT job_id, status FROM system.jobs ORDER BY created_at DESC LIMIT 5".to_owned(), 5, 12),
        ("SELECT * FROM system.jobs ORDER BY created_at DESC LIMIT 5".to_owned(), 5, 22),
        ("SELECT job_id FROM system.jobs ORDER BY created_at DESC, job_id DESC LIMIT 5".to_owned(), 5, 12),
        ("SELECT * FROM system.jobs LIMIT 5".to_owned(), 5, 22),
        ("SELECT job_id FROM system.jobs WHERE status = 'completed' ORDER BY created_at DESC LIMIT 5".to_owned(), 5, 12),
        ("SELECT job_id, created_at FROM system.jobs WHERE status = 'failed'".to_owned(), 3, 8),
        ("SELECT job_id FROM system.jobs WHERE status IN ('failed', 'running') ORDER BY created_at DESC".to_owned(), 3, 9),
        ("SELECT job_id FROM system.jobs WHERE status <> 'completed' ORDER BY created_at DESC LIMIT 9".to_owned(), 3, 16),
        ("SELECT job_id FROM system.jobs WHERE status NOT IN ('completed', 'cancelled', 'skipped', 'paused')".to_owned(), 3, 16),
        ("SELECT job_id FROM system.jobs WHERE status = 'running' OR status = 'parked'".to_owned(), 0, 2),
        ("SELECT job_id FROM system.jobs WHERE namespace = 'a' AND table_name = 't' ORDER BY created_at DESC LIMIT 9".to_owned(), 2, 6),
        ("SELECT job_id FROM system.jobs WHERE namespace = 'a' AND table_name = 't' AND status = 'completed'".to_owned(), 2, 16),
        ("SELECT job_id FROM system.jobs WHERE workflow = 'tenth' ORDER BY created_at DESC LIMIT 5".to_owned(), 5, 12),
        ("SELECT job_id FROM system.jobs WHERE workflow = 'errands' AND status = 'failed'".to_owned(), 3, 24),
        (format!("SELECT job_id FROM system.jobs WHERE created_at >= '{newest}'"), 1, 4),
        (format!("SELECT job_id FROM system.jobs WHERE created_at > TIMESTAMPTZ '{newest}'"), 0, 2),
        ("SELECT job_id FROM system.jobs WHERE created_at > now() + INTERVAL '1 hour' ORDER BY created_at DESC".to_owned(), 0, 2),
        ("SELECT job_id FROM system.jobs WHERE created_at BETWEEN now() + INTERVAL '1 hour' AND now() + INTERVAL '2 hours'".to_owned(), 0, 2),
        ("SELECT job_id FROM system.jobs WHERE status = 'nonsense'".to_owned(), 0, 0),
    ] {
        let given = world.run("admin", &sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let (plan, reads) = plan(&mut world, &sql).await;
        assert_eq!(given.len(), rows, "{sql}: {given:?}\n{plan}");
        assert!(reads <= reads_max, "{sql}: {reads} reads, {reads_max} at most\n{plan}");
        assert!(!plan.contains("SortExec") && !plan.contains("FilterExec"), "{sql}\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_right_whatever_index_they_come_from() {
    let mut world = world().await;
    let sql = "SELECT job_id, CAST(created_at AS BIGINT) AS at FROM system.jobs ORDER BY created_at DESC, job_id DESC";
    let all = world.run("admin", sql).await.unwrap();
    assert_eq!(all.len() as u64, JOBS + 3);
    let mut sorted = all.clone();
    sorted.sort_by_key(|row| {
        let (id, at) = row.split_once(" | ").unwrap();
        std::cmp::Reverse((at.parse::<i64>().unwrap(), id.to_owned()))
    });
    assert_eq!(all, sorted, "newest first");
    // The same rows when the filter is one that no index knows.
    for (by_index, by_reading) in [
        ("status = 'failed'", "concat(status, '') = 'failed'"),
        (
            "status IN ('failed', 'completed') AND workflow = 'tenth'",
            "concat(status, '') <> 'x' AND concat(workflow, '') = 'tenth'",
        ),
        ("namespace = 'a'", "concat(namespace, '') = 'a'"),
        ("table_name IN ('t', 's', 'u', 'v')", "concat(table_name, '') IN ('t', 's')"),
        ("job_type = 'flush'", "concat(job_type, '') = 'flush'"),
        ("status <> 'completed'", "concat(status, '') = 'failed'"),
    ] {
        let select = |filter: &str| {
            format!("SELECT job_id FROM system.jobs WHERE {filter} ORDER BY created_at DESC, job_id DESC")
        };
        let found = world.run("admin", &select(by_index)).await.unwrap();
        assert!(!found.is_empty(), "{by_index}");
        assert_eq!(found, world.run("admin", &select(by_reading)).await.unwrap(), "{by_index}");
    }
    let ids: Vec<String> = all.iter().step_by(70).map(|row| row.split(" | ").next().unwrap().to_owned()).collect();
    let listed = ids.iter().map(|id| format!("'{id}'")).rev().collect::<Vec<_>>().join(", ");
    let found = world
        .run("admin", &format!("SELECT job_id FROM system.jobs WHERE job_id IN ({listed}) ORDER BY created_at DESC"))
        .await
        .unwrap();
    assert_eq!(found, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_come_from_counters() {
    let mut world = world().await;
    for (sql, expected) in [
        ("SELECT count(*) FROM system.jobs", vec!["303"]),
        ("SELECT count(job_id) FROM system.jobs WHERE status = 'failed'", vec!["3"]),
        ("SELECT count(*) FROM system.jobs WHERE status <> 'completed'", vec!["3"]),
        (
            "SELECT count(*) AS n FROM system.jobs WHERE status IN ('failed', 'completed', 'running', 'parked')",
            vec!["303"],
        ),
    ] {
        assert_eq!(world.run("admin", sql).await.unwrap(), expected, "{sql}");
        let (plan, reads) = plan(&mut world, sql).await;
        assert!(!plan.contains("SystemExec") && !plan.contains("AggregateExec") && reads == 0, "{sql}\n{plan}");
    }
    for (sql, expected) in [
        (
            "SELECT status, count(*) FROM system.jobs GROUP BY status ORDER BY status",
            vec!["completed | 300", "failed | 3"],
        ),
        (
            "SELECT count(*) AS jobs, status FROM system.jobs GROUP BY 2 ORDER BY jobs DESC LIMIT 1",
            vec!["300 | completed"],
        ),
        (
            "SELECT s, count(id) FROM (SELECT status AS s, job_id AS id FROM system.jobs) AS j GROUP BY s ORDER BY 1",
            vec!["completed | 300", "failed | 3"],
        ),
        (
            "SELECT status, count(*), count(1) FROM system.jobs WHERE status = 'failed' GROUP BY status",
            vec!["failed | 3 | 3"],
        ),
        ("SELECT status FROM system.jobs GROUP BY status HAVING count(*) > 10", vec!["completed"]),
        ("SELECT DISTINCT status FROM system.jobs ORDER BY 1", vec!["completed", "failed"]),
        ("SELECT status, count(*) FROM system.jobs WHERE status = 'nonsense' GROUP BY status", vec![]),
    ] {
        assert_eq!(world.run("admin", sql).await.unwrap(), expected, "{sql}");
        let (plan, reads) = plan(&mut world, sql).await;
        assert!(!plan.contains("AggregateExec") || plan.contains("EmptyExec"), "{sql}\n{plan}");
        assert!(reads <= Status::ALL.len() as u64, "{sql}: {reads} reads\n{plan}");
    }
    // What only looks at the status is answered from the counters as well, though by way of rows.
    let sql = "SELECT count(*) FILTER (WHERE status = 'failed'), count(DISTINCT status) FROM system.jobs";
    assert_eq!(world.run("admin", sql).await.unwrap(), ["3 | 2"]);
    let (plan, reads) = plan(&mut world, sql).await;
    assert!(reads <= 2 * Status::ALL.len() as u64, "{reads} reads\n{plan}");
    // What looks at something else is counted by reading.
    for (sql, expected) in [
        (
            "SELECT status, count(table_name) FROM system.jobs GROUP BY status ORDER BY 1",
            vec!["completed | 3", "failed | 0"],
        ),
        ("SELECT status, count(*) FROM system.jobs WHERE workflow = 'tenth' GROUP BY status", vec!["completed | 30"]),
        ("SELECT workflow, count(*) FROM system.jobs GROUP BY workflow ORDER BY 2 LIMIT 1", vec!["flush | 3"]),
        (
            "SELECT status, count(DISTINCT job_type) FROM system.jobs GROUP BY status ORDER BY 1",
            vec!["completed | 2", "failed | 1"],
        ),
        ("SELECT count(*) FROM system.jobs WHERE created_at > now() + INTERVAL '1 hour'", vec!["0"]),
        ("SELECT count(*) FROM (SELECT 1 FROM system.jobs LIMIT 7) AS seven", vec!["7"]),
        (
            "SELECT status, count(*) FROM (SELECT status FROM system.jobs ORDER BY created_at DESC LIMIT 3) AS three GROUP BY status",
            vec!["completed | 3"],
        ),
    ] {
        assert_eq!(world.run("admin", sql).await.unwrap(), expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_reach_the_indexes_as_well() {
    let mut world = World::new().await;
    let session = world.session("admin");
    let sql = "EXPLAIN SELECT job_id FROM system.jobs WHERE status = $1 AND created_at >= $2 ORDER BY created_at DESC LIMIT $3";
    let statement = session.parse(sql).unwrap().remove(0);
    let prepared = session.prepare(statement, &[]).await.unwrap();
    let values = vec![
        ScalarValue::from("failed"),
        ScalarValue::TimestampMicrosecond(Some(7), Some("UTC".into())),
        ScalarValue::from(5_i64),
    ];
    let plan = rows(session.execute(&prepared, values).await.unwrap()).await.unwrap().join("\n");
    assert!(plan.contains("status=[failed], from=7, fetch=5"), "{plan}");
    assert!(!plan.contains("SortExec") && !plan.contains("FilterExec"), "{plan}");
}
