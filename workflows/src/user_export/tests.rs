//! A user in both tiers: what is in his export, that it is one instant of him, and that nothing else touches it.

use super::{DESCRIPTION, Description, EXPORTS, UserExport};
use crate::flush::{self, Flush};
use crate::orphan_sweep::{self, OrphanSweep};
use crate::testing::{Shore, flush as flush_table, run, user, wait_long_after_a_failure, world};
use crate::user_erase::UserErase;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use ebbtide_engine::{KeyRange, Order};
use ebbtide_runtime::testing::{Env, START, World, crash_everywhere};
use ebbtide_runtime::{Job, NewJob, Status};
use ebbtide_store::cold::segment::{Part, Reader};
use ebbtide_store::cold::{self, Stored};
use ebbtide_store::{Kind, Name, StorageId, Table, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone)]
struct Scene {
    shore: Shore,
    archive: StorageId,
    messages: Arc<Table>,
}

fn job(archive: &StorageId) -> NewJob {
    UserExport::job(user("ana"), archive.clone(), None)
}

/// ana: 250 rows in three segments, 10 in one more, 5 hot in `messages`; 20 hot rows in `likes`; nothing in `empty`. Others
/// have rows in all of them.
async fn scene() -> (World, Scene) {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let archive = shore.storage("archive").await;
    let messages = shore.table("messages", Kind::User).await;
    let (likes, empty) = (shore.table("likes", Kind::User).await, shore.table("empty", Kind::User).await);
    let log = shore.table("log", Kind::Shared).await;
    shore.insert(&messages, &user("ana"), 0..250).await;
    for table in [&messages, &likes, &empty] {
        shore.insert(table, &user("ben"), 0..10).await;
    }
    shore.insert(&log, &UserId::shared(), 0..30).await;
    flush_table(&mut world, &messages).await;
    shore.insert(&messages, &user("ana"), 250..260).await;
    flush_table(&mut world, &messages).await;
    shore.insert(&messages, &user("ana"), 260..265).await;
    shore.insert(&likes, &user("ana"), 0..20).await;
    (world, Scene { shore, archive, messages })
}

/// What the export of a job says, and the ids of the rows that are in it, by table; each file is as it is described.
async fn exported(scene: &Scene, job: &Job) -> (Description, BTreeMap<String, Vec<i64>>) {
    let folder = format!("{EXPORTS}/{}", job.job_id);
    let root = scene.shore.root_of(&scene.archive);
    let text = std::fs::read(root.join(&folder).join(DESCRIPTION)).unwrap();
    let description: Description = serde_json::from_slice(&text).unwrap();
    let objects = scene.shore.store().objects(&scene.archive).unwrap();
    let (mut ids, mut named) =
        (BTreeMap::<String, Vec<i64>>::new(), BTreeSet::from([format!("{folder}/{DESCRIPTION}")]));
    for table in &description.tables {
        let mut last = 0;
        for file in &table.files {
            let path = format!("{folder}/{}", file.path);
            let stored = cold::checksum(&*objects, &path).await.unwrap();
            assert_eq!(stored, Some(Stored { bytes: file.bytes, crc32c: file.crc32c }), "{path}");
            assert!(last < file.from_seq && file.from_seq <= file.to_seq && file.to_seq <= description.cut, "{file:?}");
            last = file.to_seq;
            let part = Part { columns: None, first_row: 0, batch_rows: 100 };
            let mut reader = Reader::open(&*objects, &path, file.bytes, part).await.unwrap();
            let mut rows = 0;
            while let Some(batch) = reader.next().await.unwrap() {
                assert!(
                    batch.column_by_name("_user_id").unwrap().as_string::<i32>().iter().all(|user| user == Some("ana"))
                );
                let here = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec();
                rows += here.len() as u64;
                ids.entry(table.table["name"].as_str().unwrap().to_owned()).or_default().extend(here);
            }
            assert_eq!(rows, file.rows, "{path}");
            named.insert(path);
        }
    }
    let files = scene.shore.files_of(&scene.archive);
    let there: BTreeSet<String> = files.into_iter().filter(|path| path.starts_with(&folder)).collect();
    assert_eq!(there, named, "what is there is what is described");
    (description, ids)
}

fn assert_all_of_ana(ids: &BTreeMap<String, Vec<i64>>) {
    assert_eq!(ids.keys().collect::<Vec<_>>(), ["likes", "messages"]);
    assert_eq!(ids["messages"], (0..265).collect::<Vec<_>>());
    assert_eq!(ids["likes"], (0..20).collect::<Vec<_>>());
}

fn nothing_is_kept(scene: &Scene) -> bool {
    let snapshot = scene.shore.store().snapshot();
    let space = super::records::EXPORTED_FILES;
    snapshot.scan(space, KeyRange::all(), Order::Ascending).unwrap().next().unwrap().is_none()
}

async fn export(world: &mut World, new: NewJob) -> Job {
    let id = world.submit(new).await.unwrap();
    world.run_to_end().await;
    let job = world.job(&id);
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(world.path(&id), ["Queued", "Snapshotting", "Copying", "Describing", "Done"]);
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_of_a_user_and_what_they_are() {
    let (mut world, scene) = scene().await;
    let before = scene.shore.files();
    let job = export(&mut world, job(&scene.archive)).await;
    let (description, ids) = exported(&scene, &job).await;
    assert_all_of_ana(&ids);
    assert_eq!((description.rows, description.tables.len(), description.user.as_str()), (285, 2, "ana"));
    let messages = description.tables.iter().find(|table| table.table["name"] == "messages").unwrap();
    let kept: Vec<(u32, u64)> = scene
        .shore
        .segments(&scene.messages)
        .iter()
        .filter(|one| one.user == user("ana"))
        .map(|segment| (segment.crc32c, segment.bytes))
        .collect();
    let files: Vec<(u32, u64)> = messages.files.iter().map(|file| (file.crc32c, file.bytes)).collect();
    assert_eq!(files[..4], kept, "segments are copied as they are");
    assert_eq!(messages.table["columns"].as_array().unwrap().len(), 2, "{}", messages.table);
    let result = job.result.as_ref().unwrap();
    assert_eq!((&result["tables"], &result["files"], &result["rows"]), (&2.into(), &6.into(), &285.into()), "{result}");
    assert_eq!((&result["rows_hot"], &result["to"]), (&25.into(), &"archive".into()), "{result}");
    let location = result["location"].as_str().unwrap();
    assert!(std::path::Path::new(location).join(DESCRIPTION).exists(), "{location}");
    assert_eq!(scene.shore.files(), before, "nothing of his own is touched");
    assert!(nothing_is_kept(&scene));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_one_instant_whatever_is_flushed_meanwhile() {
    for pages in 0..7 {
        let (mut world, scene) = scene().await;
        // It fails once at one of its pages and waits, and meanwhile the rows move.
        wait_long_after_a_failure(&mut world).await;
        world.env.crash_at("user_export.copying.page", pages);
        let id = world.submit(job(&scene.archive)).await.unwrap();
        world.run_to_idle().await;
        assert_eq!(world.job(&id).status, Status::Retrying, "page {pages}");
        // What was hot at the cut comes to lie in one segment with later rows, and further ones come.
        scene.shore.insert(&scene.messages, &user("ana"), 265..275).await;
        world.advance(Duration::from_secs(1));
        run(&mut world, flush::KIND, Box::new(Flush::new(&scene.messages))).await;
        scene.shore.insert(&scene.messages, &user("ana"), 275..280).await;
        assert_eq!(world.job(&id).status, Status::Retrying, "page {pages}");
        world.run_to_end().await;
        let job = world.job(&id);
        assert_eq!(job.status, Status::Completed, "{:?}", job.error);
        let (_, ids) = exported(&scene, &job).await;
        assert_all_of_ana(&ids);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_sweep_nor_an_erasure_touches_it() {
    let (mut world, scene) = scene().await;
    let exported_by = export(&mut world, job(&scene.archive)).await;
    let id = world.submit(UserErase::job(user("ana"), None)).await.unwrap();
    world.run_to_end().await;
    assert_eq!(world.job(&id).status, Status::Completed, "{:?}", world.job(&id).error);
    world.advance(Duration::from_secs(400 * 86_400));
    for _ in 0..2 {
        let sweep = run(&mut world, orphan_sweep::KIND, Box::new(OrphanSweep::default().job())).await;
        assert_eq!(sweep.result.unwrap()["foreign"], 0);
        world.advance(Duration::from_secs(2 * 86_400));
    }
    assert_all_of_ana(&exported(&scene, &exported_by).await.1);
    let nothing = export(&mut world, job(&scene.archive)).await;
    let (description, ids) = exported(&scene, &nothing).await;
    assert_eq!((description.rows, ids.len()), (0, 0), "she has nothing any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_exported_is_said() {
    let (mut world, scene) = scene().await;
    let nowhere = UserExport::job(user("ana"), StorageId::new("nowhere").unwrap(), None);
    let other = UserExport::job(user("ana"), scene.archive.clone(), Some(Name::new("other").unwrap()));
    for (new, said) in [(nowhere, "Storage 'nowhere' does not exist"), (other, "Namespace other not found")] {
        let id = world.submit(new).await.unwrap();
        world.run_to_end().await;
        assert_eq!((world.job(&id).status, world.job(&id).error.as_deref()), (Status::Failed, Some(said)));
    }
    let torn = scene.shore.segments(&scene.messages).into_iter().find(|one| one.user == user("ana")).unwrap();
    std::fs::write(scene.shore.root().join(&torn.path), "not what it was").unwrap();
    let id = world.submit(job(&scene.archive)).await.unwrap();
    world.run_to_end().await;
    let failed = world.job(&id);
    assert_eq!(failed.status, Status::Failed);
    assert!(failed.error.as_ref().unwrap().contains("a segment cannot be exported"), "{:?}", failed.error);
    let description = scene.shore.root_of(&scene.archive).join(format!("{EXPORTS}/{id}/{DESCRIPTION}"));
    assert!(!description.exists(), "what is not whole is not described");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_of_an_export_leaves_the_same_files() {
    let present: Mutex<Option<Scene>> = Mutex::default();
    let deaths = crash_everywhere(
        async || {
            let (world, scene) = scene().await;
            *present.lock().unwrap() = Some(scene);
            world
        },
        |_| job(&present.lock().unwrap().as_ref().unwrap().archive),
        async |_: &World, job: &Job| {
            let scene = present.lock().unwrap().clone().unwrap();
            assert_all_of_ana(&exported(&scene, job).await.1);
            let result = job.result.as_ref().unwrap();
            assert_eq!((&result["files"], &result["rows"]), (&6.into(), &285.into()), "{result}");
            assert!(nothing_is_kept(&scene));
        },
    )
    .await;
    assert_eq!(deaths.path, ["Queued", "Snapshotting", "Copying", "Describing", "Done"]);
    assert_eq!(deaths.unreached, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_in_one_place_or_fails() {
    let (mut world, scene) = scene().await;
    wait_long_after_a_failure(&mut world).await;
    world.env.crash_at("user_export.copying.page", 1);
    let id = world.submit(job(&scene.archive)).await.unwrap();
    world.run_to_idle().await;
    assert_eq!((world.job(&id).status, world.job(&id).state.as_str()), (Status::Retrying, "Copying"));
    let store = scene.shore.store();
    store.drop_storage(&scene.archive).await.unwrap();
    drop(store);
    scene.shore.storage("archive").await;
    world.run_to_end().await;
    let error = world.job(&id).error.unwrap();
    assert!(error.contains("storage 'archive' is not the one any more that the export began in"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_right_after_is_exported_whole() {
    let (mut world, scene) = scene().await;
    wait_long_after_a_failure(&mut world).await;
    world.env.crash_at("user_export.copying.page", 1);
    let export = world.submit(job(&scene.archive)).await.unwrap();
    world.run_to_idle().await;
    assert_eq!(world.job(&export).status, Status::Retrying);
    let erase = world.submit(UserErase::job(user("ana"), None)).await.unwrap();
    world.run_to_idle().await;
    let held_up = world.job(&erase);
    assert_eq!((held_up.status, held_up.state.as_str()), (Status::Retrying, "Queued"));
    assert!(held_up.error.as_ref().unwrap().contains(&format!("job {export} exports what he has")), "{held_up:?}");
    world.run_to_end().await;
    let (description, ids) = exported(&scene, &world.job(&export)).await;
    assert_eq!((description.rows, ids["messages"].len(), ids["likes"].len()), (285, 265, 20));
    assert_eq!(world.job(&erase).status, Status::Completed);
    assert!(!scene.shore.rows(&scene.messages).await.contains_key("ana"));
}
