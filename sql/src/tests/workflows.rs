//! Declared workflows: shown, run by hand, read anew; and the system tables beside them.

use super::script::World;
use crate::error::code;
use crate::{Change, Changed};
use ebbtide_config::{Settings, Trigger, Workflow};
use ebbtide_runtime::{JobId, Status};
use serde_json::json;
use std::sync::{Arc, Mutex};

fn cron(expression: &str, time_zone: &str) -> Trigger {
    Trigger::Cron { expression: expression.to_owned(), time_zone: time_zone.to_owned() }
}

fn workflows() -> Vec<Workflow> {
    vec![
        Workflow {
            parameters: json!({ "retention_days": 7 }),
            ..Workflow::new("Nightly cleanup", "job_cleanup", cron("30 2 * * *", "Europe/Berlin"))
        },
        Workflow {
            parameters: json!({ "all": true }),
            enabled: false,
            overlap: ebbtide_config::Overlap::QueueOne,
            missed: ebbtide_config::Missed::Skip,
            ..Workflow::new("check", "verify", Trigger::Interval(std::time::Duration::from_secs(6 * 3600)))
        },
        Workflow { parameters: json!({ "namespace": "a" }), ..Workflow::new("all-of-a", "flush", Trigger::Manual) },
    ]
}

fn settings_with(workflows: Vec<Workflow>) -> Settings {
    let mut settings = Settings::default();
    settings.workflows = workflows;
    settings
}

async fn world() -> World {
    let mut world = World::with(|options| options.settings.workflows = workflows()).await;
    world
        .script(
            "admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (i INT) FLUSH INTERVAL 3600s ROW_THRESHOLD 5000 BYTES 1MB",
        )
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_by_itself_is_shown() {
    let mut world = world().await;
    assert_eq!(
        world
            .run(
                "admin",
                "SELECT name, kind, trigger, time_zone, parameters, overlap, missed, enabled, source \
                 FROM system.workflows ORDER BY source, name"
            )
            .await
            .unwrap(),
        [
            r#"Nightly cleanup | job_cleanup | cron 30 2 * * * | Europe/Berlin | {"retention_days":7} | skip | run_once | true | config"#,
            r#"all-of-a | flush | manual | NULL | {"namespace":"a"} | skip | run_once | true | config"#,
            r#"check | verify | interval 6h | NULL | {"all":true} | queue_one | skip | false | config"#,
            r#"flush a.t | flush | interval 1h, rows 5000, bytes 1 MiB | NULL | {"table":"a.t"} | queue_one | run_once | true | table"#,
        ]
    );
    assert_eq!(
        world
            .one("admin", "SELECT count(*) FROM system.workflows WHERE next_run > now() AND name = 'Nightly cleanup'")
            .await,
        "1"
    );
    assert_eq!(
        world.one("admin", "SELECT last_run, next_run, why_not FROM system.workflows WHERE source = 'table'").await,
        "NULL | NULL | no rows wait to be flushed"
    );
    world.run("ana", "INSERT INTO a.t VALUES (1)").await.unwrap();
    assert_eq!(
        world
            .one(
                "admin",
                "SELECT last_run IS NULL, next_run > now(), why_not FROM system.workflows WHERE source = 'table'"
            )
            .await,
        "true | true | NULL"
    );
    world.flush("a", "t").await;
    assert_eq!(
        world.one("admin", "SELECT w.last_status, w.last_job_id = j.job_id, w.last_run = j.created_at FROM system.workflows w, system.jobs j WHERE w.source = 'table'").await,
        "completed | true | true"
    );
    assert_eq!(world.run("admin", "SHOW WORKFLOWS").await.unwrap().len(), 4);
    assert_eq!(world.run("ana", "SHOW WORKFLOWS").await.unwrap_err().sqlstate, code::INSUFFICIENT_PRIVILEGE);

    // Where none is declared, jobs are cleaned up all the same.
    let mut bare = World::new().await;
    assert_eq!(
        bare.one("admin", "SELECT kind, trigger, time_zone, source FROM system.workflows").await,
        "job_cleanup | cron 0 0 * * * | UTC | built-in"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_run_by_hand() {
    let mut world = world().await;
    world.run("ana", "INSERT INTO a.t VALUES (1)").await.unwrap();
    for (sql, name) in [
        ("RUN WORKFLOW 'flush a.t'", "flush"),
        ("RUN WORKFLOW 'Nightly cleanup'", "Nightly cleanup"),
        ("RUN WORKFLOW ALL-OF-A", "all-of-a"),
        ("RUN WORKFLOW check", "check"),
    ] {
        let row = world.one("admin", sql).await;
        let columns: Vec<&str> = row.split(" | ").collect();
        assert_eq!(columns[2], "started", "{sql}: {row}");
        let id: JobId = columns[0].parse().unwrap();
        let job = world.database.runtime().wait(&id).await.unwrap();
        assert_eq!((job.status, job.workflow.as_str()), (Status::Completed, name), "{sql}: {:?}", job.error);
    }
    assert_eq!(world.one("admin", "SELECT hot_rows FROM system.tables").await, "0");
    assert_eq!(
        world.one("admin", "SELECT last_status, last_run IS NOT NULL FROM system.workflows WHERE name = 'check'").await,
        "completed | true"
    );
    let error = world.run("admin", "RUN WORKFLOW nightly_cleanup").await.unwrap_err();
    assert_eq!(
        (error.sqlstate, error.position, error.hint.as_deref()),
        (code::UNDEFINED_OBJECT, Some(14), Some("did you mean 'Nightly cleanup'?"))
    );
    let error = world.run("admin", "RUN WORKFLOW 'flush a.s'").await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean 'flush a.t'?"));
    assert_eq!(world.run("ana", "RUN WORKFLOW check").await.unwrap_err().sqlstate, code::INSUFFICIENT_PRIVILEGE);
    world.run("admin", "BEGIN").await.unwrap();
    assert_eq!(world.run("admin", "RUN WORKFLOW check").await.unwrap_err().sqlstate, code::FEATURE_NOT_SUPPORTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_read_anew_whole_or_not_at_all() {
    let mut world = world().await;
    let names = "SELECT name FROM system.workflows WHERE source <> 'table' ORDER BY name";
    let error = world.run("admin", "RELOAD WORKFLOWS").await.unwrap_err();
    assert_eq!(error.sqlstate, code::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert!(error.hint.unwrap().contains("--config"));

    let settings = Arc::new(Mutex::new(settings_with(workflows())));
    let file = settings.clone();
    world.database.reload_from(move || Ok(file.lock().unwrap().clone()));
    assert!(world.run("admin", "RELOAD WORKFLOWS").await.unwrap().is_empty(), "nothing changed");

    {
        let mut settings = settings.lock().unwrap();
        settings.workflows.remove(0);
        settings.workflows[0].enabled = true;
        settings.workflows.push(Workflow::new("sweep", "orphan_sweep", Trigger::Manual));
    }
    assert_eq!(
        world.run("admin", "RELOAD WORKFLOWS").await.unwrap(),
        ["Nightly cleanup | removed", "check | changed", "job_cleanup | added", "sweep | added"]
    );
    assert_eq!(world.run("admin", names).await.unwrap(), ["all-of-a", "check", "job_cleanup", "sweep"]);
    assert_eq!(world.one("admin", "SELECT enabled FROM system.workflows WHERE name = 'check'").await, "true");

    settings.lock().unwrap().workflows.remove(0);
    settings.lock().unwrap().workflows.push(Workflow::new("broken", "verfy", Trigger::Manual));
    let error = world.run("admin", "RELOAD WORKFLOWS").await.unwrap_err();
    assert!(error.message.contains("did you mean \"verify\"?"), "{error:?}");
    assert_eq!(world.run("admin", names).await.unwrap(), ["all-of-a", "check", "job_cleanup", "sweep"]);

    settings.lock().unwrap().workflows.pop();
    assert_eq!(
        world.database.reload_workflows().await.unwrap(),
        [Changed { workflow: "check".to_owned(), what: Change::Removed }]
    );
    world.database.reload_from(|| Err("no such file".into()));
    assert!(world.run("admin", "RELOAD WORKFLOWS").await.unwrap_err().message.contains("no such file"));
    assert_eq!(world.run("ana", "RELOAD WORKFLOWS").await.unwrap_err().sqlstate, code::INSUFFICIENT_PRIVILEGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_does_not_open_with_workflows_that_are_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = crate::DatabaseOptions::at(directory.path().join("data"));
    options.settings.workflows = vec![Workflow::new("broken", "verfy", Trigger::Manual)];
    let error = crate::Database::open(options, Arc::new(ebbtide_engine::env::SystemEnv)).await.unwrap_err();
    assert!(error.message.contains("unknown kind \"verfy\", did you mean \"verify\"?"), "{error:?}");
    assert!(!directory.path().join("data").exists(), "nothing is made on disk before they are read");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_nodes_settings_quarantine_and_findings_can_be_read() {
    let mut world = world().await;
    assert_eq!(
        world.one("admin", "SELECT node_id, version, stopped_at, jobs_resumed FROM system.nodes").await,
        format!("local | {} | NULL | 0", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        world
            .one(
                "admin",
                "SELECT value, default_value, kind, source FROM system.settings WHERE name = 'flush.memory_bytes_max'"
            )
            .await,
        "64 MiB | 64 MiB | bytes | default"
    );
    assert_eq!(world.one("admin", "SELECT count(*) FROM system.settings WHERE description = ''").await, "0");
    assert_eq!(
        world.one("admin", "SELECT value FROM system.settings WHERE name = 'flush.default_interval'").await,
        "NULL"
    );
    for empty in [
        "SELECT * FROM system.schedule_slots",
        "SELECT * FROM system.schedule_slots WHERE workflow = 'check' AND status = 'fired'",
        "SELECT * FROM system.quarantine",
        "SELECT * FROM system.quarantine WHERE storage_id = 'local'",
        "SELECT * FROM system.verify_findings ORDER BY found_at DESC LIMIT 5",
        "SELECT * FROM system.verify_findings WHERE problem = 'missing' AND found_at > now() - INTERVAL '1 day'",
    ] {
        assert!(world.run("admin", empty).await.unwrap().is_empty(), "{empty}");
        assert_eq!(world.run("ana", empty).await.unwrap_err().sqlstate, code::INSUFFICIENT_PRIVILEGE, "{empty}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_gone_is_found_and_an_object_that_nothing_names_is_held_back() {
    let mut world = world().await;
    world.run("ana", "INSERT INTO a.t VALUES (1)").await.unwrap();
    world.flush("a", "t").await;
    let path = world.one("admin", "SELECT path FROM system.segments").await;
    let root = world.one("admin", "SELECT uri FROM system.storages").await;
    let root = std::path::PathBuf::from(root.strip_prefix("file://").unwrap_or(&root));
    let object = root.join(&path);
    std::fs::rename(&object, object.with_file_name("2001-01-01T00-00-00.parquet")).unwrap();

    let job = world.one("admin", "RUN WORKFLOW check").await;
    let id: JobId = job.split(" | ").next().unwrap().parse().unwrap();
    world.database.runtime().wait(&id).await.unwrap();
    assert_eq!(
        world.run("admin", "SELECT namespace, table_name, user_id, storage_id, problem FROM system.verify_findings ORDER BY found_at DESC LIMIT 5").await.unwrap(),
        ["a | t | NULL | local | missing"]
    );
    assert_eq!(
        world.one("admin", &format!("SELECT path FROM system.verify_findings WHERE job_id = '{id}'")).await,
        path
    );
    let none = "SELECT path FROM system.verify_findings WHERE found_at > now() + INTERVAL '1 hour'";
    assert!(world.run("admin", none).await.unwrap().is_empty());

    let parameters = json!({ "grace": "1ms" });
    let sweep = Workflow { parameters, ..Workflow::new("sweep", "orphan_sweep", Trigger::Manual) };
    world.database.reload_from(move || Ok(settings_with(vec![sweep.clone()])));
    world.database.reload_workflows().await.unwrap();
    let job = world.one("admin", "RUN WORKFLOW sweep").await;
    let id: JobId = job.split(" | ").next().unwrap().parse().unwrap();
    world.database.runtime().wait(&id).await.unwrap();
    let held =
        world.one("admin", &format!("SELECT path, bytes > 0 FROM system.quarantine WHERE job_id = '{id}'")).await;
    assert!(held.ends_with("2001-01-01T00-00-00.parquet | true"), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_listed_newest_first_without_sorting() {
    let tick = Workflow {
        parameters: json!({ "all": true }),
        ..Workflow::new("tick", "verify", Trigger::Interval(std::time::Duration::from_millis(20)))
    };
    let mut world = World::with(|options| options.settings.workflows = vec![tick]).await;
    let newest = "SELECT s.workflow, s.status, j.trigger FROM system.schedule_slots s JOIN system.jobs j USING (job_id) \
                  WHERE s.status = 'fired' ORDER BY s.nominal_time DESC LIMIT 1";
    // The clock is the real one; whoever asks often enough sees the first slot as soon as it is there.
    let row = loop {
        if let Some(row) = world.run("admin", newest).await.unwrap().pop() {
            break row;
        }
    };
    assert_eq!(row, "tick | fired | interval");
    let listed = "SELECT CAST(nominal_time AS BIGINT) AS due FROM system.schedule_slots \
                  WHERE workflow = 'tick' AND nominal_time > now() - INTERVAL '1 hour' ORDER BY nominal_time DESC LIMIT 3";
    let plan = world.run("admin", &format!("EXPLAIN {listed}")).await.unwrap().join("\n");
    assert!(!plan.contains("SortExec") && !plan.contains("FilterExec") && plan.contains("fetch=3"), "{plan}");
    let listed = world.run("admin", listed).await.unwrap();
    let listed: Vec<i64> = listed.iter().map(|due| due.parse().unwrap()).collect();
    assert!(!listed.is_empty() && listed.is_sorted_by(|one, other| one > other), "{listed:?}");
    assert_eq!(
        world
            .one("admin", "SELECT last_run IS NOT NULL, next_run IS NOT NULL FROM system.workflows WHERE name = 'tick'")
            .await,
        "true | true"
    );
    world.database.close(std::time::Duration::from_secs(10)).await;
}
