//! A stored body of an older version still loads. A file of `tests/bodies` never changes and never goes; a new form gets a
//! new file, named `kind-vN-what.json`.

use crate::script::{Act, job};
use crate::world::{World, in_time, submit, wait};
use ebbtide_engine::{Commit, Write};
use ebbtide_runtime::keys::BODIES;
use ebbtide_runtime::{Options, Status, Workflow, kinds, query};
use std::fs;
use std::path::Path;

/// Every stored form: kind, version, file name, body.
fn bodies() -> Vec<(String, u32, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bodies");
    let mut bodies = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut parts = name.splitn(3, '-');
        let kind = parts.next().unwrap().to_owned();
        let version = parts.next().and_then(|part| part.strip_prefix('v')).unwrap().parse().unwrap();
        bodies.push((kind, version, name, fs::read_to_string(&path).unwrap()));
    }
    bodies.sort();
    bodies
}

#[test]
fn every_stored_form_loads() {
    let mut read = Vec::new();
    for (kind, version, name, body) in bodies() {
        let workflow: Box<dyn Workflow> = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let view = workflow.view();
        assert_eq!(view.kind, kind, "{name}");
        assert!(view.body_version >= version, "{name}");
        read.push(format!("{name}: {} {:?}", view.state, view.subject));
    }
    // Loading is not all: each is still read as what it was written as.
    assert_eq!(
        read,
        ["scripted-v1-at-a-user: For Some(\"ana\")", "scripted-v1-done: S2 None", "scripted-v1-without-scope: S1 None"]
    );
}

async fn put(world: &World, key: Vec<u8>, body: &str) {
    let commit = Commit { writes: vec![Write::put(BODIES, key, body)], ..Commit::default() };
    world.engine.commit(commit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_a_body_of_an_older_form_goes_on() {
    for (_, _, name, body) in bodies() {
        let world = World::new();
        let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
        submit(&runtime, job([Act::Hold])).await;
        world.stage.entered().await;
        let id = submit(&runtime, job([Act::Step, Act::Step])).await;
        put(&world, [id.as_bytes(), &b"b"[..]].concat(), &body).await;
        world.stage.release();
        assert_eq!(wait(&runtime, &id).await.status, Status::Completed, "{name}");
        in_time(runtime.idle()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_could_not_go_on_are_named_before_an_upgrade() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    let running = submit(&runtime, job([Act::Hold])).await;
    world.stage.entered().await;
    let fine = submit(&runtime, job([Act::Step])).await;
    let gone = submit(&runtime, job([Act::Step])).await;
    assert_eq!(query::unloadable(&world.engine.snapshot()).unwrap(), []);
    put(&world, [gone.as_bytes(), &b"b"[..]].concat(), "{\"kind\":\"gone\"}").await;
    put(&world, [running.as_bytes(), &b"b"[..]].concat(), "{\"kind\":\"scripted\"}").await;
    let found = query::unloadable(&world.engine.snapshot()).unwrap();
    let named: Vec<_> = found.iter().map(|job| (job.job_id, job.kind.as_str(), job.state.as_str())).collect();
    assert_eq!(named, [(gone, "scripted", "S0"), (running, "scripted", "S0")]);
    assert!(found[0].reason.contains("unknown variant `gone`"), "{}", found[0].reason);
    assert!(found[1].reason.contains("missing field `script`"), "{}", found[1].reason);
    // Nothing was changed by asking.
    world.stage.release();
    assert_eq!(wait(&runtime, &running).await.status, Status::Completed);
    assert_eq!(wait(&runtime, &fine).await.status, Status::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_later_version_is_parked_although_it_loads() {
    let world = World::new();
    let runtime = world.start_as(Options { concurrency_max: 1, ..world.options.clone() }).await;
    submit(&runtime, job([Act::Hold])).await;
    world.stage.entered().await;
    // The row says version 2, as if a later program had stored the body, which this one could load.
    let id = submit(&runtime, job([Act::Later])).await;
    put(&world, [id.as_bytes(), &b"b"[..]].concat(), &bodies()[2].3).await;
    world.stage.release();
    in_time(runtime.idle()).await;
    let parked = runtime.job(&id).unwrap().unwrap();
    assert_eq!(parked.status, Status::Parked);
    let reason =
        "the stored body is of version 2, this program knows scripted up to version 1: it was written by a later one";
    assert_eq!(parked.error.as_deref(), Some(reason));
}

#[test]
fn the_kinds_of_this_program_are_listed() {
    assert!(kinds::workflow_names().contains(&"scripted"), "{:?}", kinds::workflow_names());
    assert!(kinds::workflow_names().is_sorted());
}
