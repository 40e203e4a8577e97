//! A stored body of an older version still loads. A file here never changes and never goes; a new form gets a new file.

use crate::script::{Act, job};
use crate::world::{World, in_time, submit, wait};
use ebbtide_engine::{Commit, Write};
use ebbtide_runtime::keys::BODIES;
use ebbtide_runtime::{Options, Status, Workflow};

/// Each stored form with the state and subject that it must still be read as.
const FORMS: [(&str, &str, Option<&str>); 3] = [
    (include_str!("fixtures/scripted-v1-without-scope.json"), "S1", None),
    (include_str!("fixtures/scripted-v1-at-a-user.json"), "For", Some("ana")),
    (include_str!("fixtures/scripted-v1-done.json"), "S2", None),
];

#[test]
fn every_stored_form_loads() {
    for (body, state, subject) in FORMS {
        let workflow: Box<dyn Workflow> = serde_json::from_str(body).unwrap();
        let view = workflow.view();
        assert_eq!((view.kind, view.state, view.subject), ("scripted", state, subject), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_a_body_of_an_older_form_goes_on() {
    for (body, ..) in FORMS {
        let world = World::new();
        let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
        submit(&runtime, job([Act::Hold])).await;
        world.stage.entered().await;
        let id = submit(&runtime, job([Act::Step, Act::Step])).await;
        let key = [id.as_bytes(), &b"b"[..]].concat();
        let commit = Commit { writes: vec![Write::put(BODIES, key, body)], ..Commit::default() };
        world.engine.commit(commit).await.unwrap();
        world.stage.release();
        assert_eq!(wait(&runtime, &id).await.status, Status::Completed);
        in_time(runtime.idle()).await;
    }
}
