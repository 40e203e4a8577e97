//! KILL, RETRY, PAUSE, RESUME and EXPLAIN JOB.

use super::script::World;
use crate::error::{Error, code};
use ebbtide_runtime::{BoxFuture, JobId, NewJob, Status, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};

/// A job that does nothing but stand where a test wants it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Errand {
    /// Runs until it is told to stop.
    Waiting,
    /// Fails at once and for good.
    Failing,
    /// Comes to its end at once.
    Ending,
    /// The end.
    Ended,
}

#[typetag::serde(name = "errand")]
impl Workflow for Errand {
    fn step<'a>(self: Box<Self>, cx: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(async move {
            match *self {
                Self::Waiting => Err(StepError::Stopped(cx.signal().stopped().await)),
                Self::Failing => Err(StepError::fail("there is no road")),
                Self::Ending | Self::Ended => Ok(Box::new(Self::Ended) as Box<dyn Workflow>),
            }
        })
    }

    fn view(&self) -> View<'_> {
        match self {
            Self::Waiting => View::new("errand", "Waiting"),
            Self::Failing => View::new("errand", "Failing"),
            Self::Ending => View::new("errand", "Ending"),
            Self::Ended => View::new("errand", "Ended").done(),
        }
    }
}

/// One job at a time, so that a second one waits.
async fn world() -> World {
    World::with(|options| options.runtime.concurrency_max = 1).await
}

async fn send(world: &World, errand: Errand) -> JobId {
    *world.database.runtime().submit(NewJob::new("errands", Box::new(errand))).await.unwrap().id()
}

/// Waits until the job has this status; the runner signals nothing that could be waited for.
async fn until(world: &World, id: JobId, status: Status) {
    while world.database.runtime().job(&id).unwrap().unwrap().status != status {
        tokio::task::yield_now().await;
    }
}

async fn command(world: &mut World, verb: &str, id: JobId) -> Result<String, Error> {
    let rows = world.run("admin", &format!("{verb} JOB '{id}'")).await?;
    assert_eq!(rows.len(), 1);
    Ok(rows[0].strip_prefix(&format!("{id} | ")).unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paused_resumed_killed_and_run_again() {
    let mut world = world().await;
    let runs = send(&world, Errand::Waiting).await;
    until(&world, runs, Status::Running).await;
    let waits = send(&world, Errand::Ending).await;

    assert_eq!(command(&mut world, "PAUSE", waits).await.unwrap(), "paused");
    assert_eq!(command(&mut world, "PAUSE", waits).await.unwrap(), "paused", "twice is no error");
    assert_eq!(command(&mut world, "RESUME", waits).await.unwrap(), "pending");
    let error = command(&mut world, "RESUME", waits).await.unwrap_err();
    assert_eq!(
        (error.sqlstate, error.message.as_str(), error.position),
        (code::OBJECT_NOT_IN_PREREQUISITE_STATE, "Cannot resume job in status pending", Some(12))
    );
    let error = command(&mut world, "RETRY", waits).await.unwrap_err();
    assert_eq!(error.message, "Cannot retry job in status pending");
    assert_eq!(command(&mut world, "KILL", waits).await.unwrap(), "cancelled");
    assert_eq!(command(&mut world, "RETRY", waits).await.unwrap(), "pending");

    assert_eq!(command(&mut world, "PAUSE", runs).await.unwrap(), "pausing");
    until(&world, runs, Status::Paused).await;
    assert_eq!(world.database.runtime().wait(&waits).await.unwrap().status, Status::Completed);
    let error = command(&mut world, "RETRY", waits).await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("a completed job has nothing left to do"));
    let error = command(&mut world, "PAUSE", waits).await.unwrap_err();
    assert_eq!(error.message, "Cannot pause job in status completed");
    assert_eq!(command(&mut world, "RESUME", runs).await.unwrap(), "pending");
    until(&world, runs, Status::Running).await;
    assert_eq!(command(&mut world, "KILL", runs).await.unwrap(), "cancelling");
    assert_eq!(world.database.runtime().wait(&runs).await.unwrap().status, Status::Cancelled);

    let failed = send(&world, Errand::Failing).await;
    assert_eq!(world.database.runtime().wait(&failed).await.unwrap().status, Status::Failed);
    assert_eq!(
        world.one("admin", &format!("SELECT status, error FROM system.jobs WHERE job_id = '{failed}'")).await,
        "failed | there is no road"
    );
    let error = command(&mut world, "RESUME", failed).await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("RETRY JOB runs it on from the state it stands in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_explains_itself_with_what_the_store_knows() {
    let mut world = world().await;
    world.script("admin CREATE NAMESPACE a\nadmin CREATE TABLE a.t (i INT) FLUSH ROWS 900000").await;
    world.run("ana", "INSERT INTO a.t VALUES (1), (2)").await.unwrap();
    let runs = send(&world, Errand::Waiting).await;
    until(&world, runs, Status::Running).await;
    let flush = world.one("admin", "FLUSH TABLE a.t").await;
    let flush: JobId = flush.split(" | ").next().unwrap().parse().unwrap();

    let lines = world.run("admin", &format!("EXPLAIN JOB '{flush}'")).await.unwrap();
    let line = |topic: &str| lines.iter().find_map(|line| line.strip_prefix(&format!("{topic} | ")));
    let said = line("table").unwrap_or_else(|| panic!("{lines:?}"));
    assert!(said.starts_with("a.t: 2 rows of it, ") && said.ends_with(" bytes, wait to be flushed"), "{lines:?}");
    assert!(line("storage").is_some_and(|text| text.starts_with("local at ")), "{lines:?}");
    assert!(lines.len() > 2, "the runtime says why it waits: {lines:?}");

    // A look changes nothing, so it is allowed inside a transaction; what changes something is not.
    world.run("admin", "BEGIN").await.unwrap();
    assert!(!world.run("admin", &format!("EXPLAIN JOB '{runs}'")).await.unwrap().is_empty());
    let error = command(&mut world, "PAUSE", runs).await.unwrap_err();
    assert_eq!(error.sqlstate, code::FEATURE_NOT_SUPPORTED);
    world.run("admin", "ROLLBACK").await.unwrap();

    world.run("admin", &format!("KILL JOB '{flush}'")).await.unwrap();
    world.run("admin", "DROP TABLE a.t").await.unwrap();
    let lines = world.run("admin", &format!("EXPLAIN JOB '{flush}'")).await.unwrap();
    assert!(lines.contains(&"table | a.t does not exist any more".to_owned()), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_does_not_exist_is_answered_with_the_one_that_was_meant() {
    let mut world = world().await;
    let id = send(&world, Errand::Ending).await;
    world.database.runtime().wait(&id).await.unwrap();
    let hint = |error: Error| {
        assert_eq!(error.sqlstate, code::UNDEFINED_OBJECT, "{error:?}");
        assert!(error.position.is_some(), "{error:?}");
        error.hint.unwrap_or_default().into_string()
    };
    let text = id.to_string();
    // The start of it, a character that is not one, two that are swapped.
    let mut swapped = text.clone();
    let tail = swapped.split_off(34);
    swapped.extend(tail.chars().rev());
    for near in [text[..12].to_owned(), text.replacen('-', "_", 2), swapped] {
        if near == text {
            continue;
        }
        let error = world.run("admin", &format!("EXPLAIN JOB '{near}'")).await.unwrap_err();
        assert_eq!(hint(error), format!("did you mean {id}?"), "{near}");
    }
    for verb in ["KILL", "RETRY", "PAUSE", "RESUME", "EXPLAIN"] {
        let error = world.run("admin", &format!("{verb} JOB 'nonsense'")).await.unwrap_err();
        assert_eq!(error.message, "Job nonsense not found");
        assert!(hint(error).contains("ids are in system.jobs"));
        let error =
            world.run("admin", &format!("{verb} JOB '00000000-0000-0000-0000-000000000000'")).await.unwrap_err();
        assert!(error.detail.is_some() && hint(error).contains("system.jobs"));
        let error = world.run("ana", &format!("{verb} JOB '{id}'")).await.unwrap_err();
        assert_eq!(error.sqlstate, code::INSUFFICIENT_PRIVILEGE, "{verb}");
    }
}
