//! `ebbtide jobs`.

use super::kit::{Place, run};
use ebbtide_engine::SystemEnv;
use ebbtide_engine::rocks::Rocks;
use ebbtide_runtime::{BoxFuture, NewJob, Runtime, SPACES, Step, StepError, View, Workflow};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const SCHEMA: &str = "CREATE NAMESPACE chat; CREATE USER TABLE chat.notes (t TEXT) FLUSH INTERVAL 86399s; \
     INSERT INTO chat.notes (_user_id, t) VALUES ('ana', 'a'), ('ben', 'b')";

#[test]
fn a_job_is_seen_from_all_sides() {
    let place = Place::new();
    let server = place.serve(&place.settings(""));
    server.sql(SCHEMA);
    let said = server.run(&["workflows", "run", "flush chat.notes", "--wait"]).succeeded();
    let job = said.split_whitespace().nth(1).unwrap();
    assert!(said.contains("completed in state Done: 2 users, 2 rows"), "{said}");

    let listed = server.run(&["jobs", "list", "--status", "completed", "--table", "chat.notes"]).succeeded();
    assert!(listed.contains(job) && listed.ends_with("(1 row)\n"), "{listed}");
    let listed = server.run(&["jobs", "list", "--status", "failed,parked"]).succeeded();
    assert!(listed.ends_with("(0 rows)\n"), "{listed}");

    let shown = server.run(&["jobs", "show", job]).succeeded();
    for part in ["job_id", "status", "Snapshotting", "Deleting", "completed"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let seen = server.run(&["jobs", "watch", "--plain", "--until-idle"]).succeeded();
    assert_eq!(seen, "", "nothing runs, and what ended before is old news");

    for (verb, said) in
        [("kill", "Cannot cancel job in status completed"), ("retry", "Cannot retry"), ("resume", "Cannot resume")]
    {
        let refused = server.run(&["jobs", verb, job]).failed();
        assert!(refused.contains(said), "{verb}: {refused}");
    }
    let unknown = server.run(&["jobs", "show", &job[..job.len() - 1]]).failed();
    assert!(unknown.contains(&format!("did you mean {job}?")), "{unknown}");
    let listed = server.run(&["workflows", "list"]).succeeded();
    assert!(listed.contains("flush chat.notes") && listed.contains("interval 86399s"), "{listed}");
}

#[test]
fn an_upgrade_is_checked_beside_the_running_server() {
    let place = Place::new();
    let data = place.data();
    let check = || run(&["jobs", "check-upgrade", "--data-dir", data.to_str().unwrap()]);
    let said = check().failed();
    assert!(said.contains("there is no database"), "{said}");
    let server = place.serve(&place.settings(""));
    server.sql(SCHEMA);
    let said = check().succeeded();
    assert!(said.contains("no job that is not over"), "{said}");
}

/// Jobs of a kind that the command does not have, as a newer or older program would leave them.
#[derive(Serialize, Deserialize)]
enum FromAnotherVersion {
    Standing,
}

#[typetag::serde(name = "from_another_version")]
impl Workflow for FromAnotherVersion {
    fn step<'a>(self: Box<Self>, _: &'a mut Step) -> BoxFuture<'a, Result<Box<dyn Workflow>, StepError>> {
        Box::pin(std::future::pending())
    }

    fn view(&self) -> View<'_> {
        View::new("from_another_version", "Standing")
    }
}

#[tokio::test]
async fn jobs_of_another_version_stand_in_the_way_of_an_upgrade() {
    let place = Place::new();
    let engine = place.data().join("engine");
    let engine = Rocks::open(&engine, SPACES, &ebbtide_engine::Options::default(), Arc::new(SystemEnv)).unwrap();
    let runtime = Runtime::builder(engine.clone(), Arc::new(SystemEnv)).start().await.unwrap();
    let job = *runtime.submit(NewJob::new("other", Box::new(FromAnotherVersion::Standing))).await.unwrap().id();

    // Its owner runs, and the job with it.
    let said = run(&["jobs", "check-upgrade", "--data-dir", place.data().to_str().unwrap()]).failed();
    for part in [job.to_string().as_str(), "from_another_version", "Standing", "cannot go on with 1 of 1 jobs"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    runtime.halt().await;
}
