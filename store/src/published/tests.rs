use super::*;
use crate::catalog::Kind;
use crate::deletions::delete_due;
use crate::hot::{append, codec::encode};
use crate::manifest::{self, Watermark};
use crate::testing::{Cell, TestEnv, batch, name, new_table, open_store};
use crate::{ColumnType, Segment, Store, Table};
use bytes::Bytes;
use ebbtide_engine::Commit;
use std::sync::atomic::Ordering;

struct World {
    dir: tempfile::TempDir,
    env: Arc<TestEnv>,
    store: Arc<Store>,
    table: Arc<Table>,
}

impl World {
    async fn new() -> Self {
        let (dir, env) = (tempfile::tempdir().unwrap(), TestEnv::new());
        let store = open_store(dir.path(), &env).await;
        store.catalog().create_namespace(&name("chat")).await.unwrap();
        let columns = [("id", ColumnType::BigInt, false)];
        let table = store.catalog().create_table(new_table("notes", Kind::User, &columns)).await.unwrap();
        Self { dir, env, store, table }
    }

    /// Writes a row of a user and moves it into a file of this name, whatever is in that file.
    async fn flush(&self, whom: &str, file: &str) -> Segment {
        let user = UserId::new(whom).unwrap();
        let rows = encode(&self.table, &batch(&self.table, &[vec![Cell::Int(1)]]), 1000).unwrap();
        let bytes = rows.bytes() as u64;
        let writes = append(&self.table, &user, rows, 0);
        let committed = self.store.engine().commit(Commit { writes, ..Commit::default() }).await.unwrap();
        let seq = *committed.seqs.unwrap().start();
        let (storage, folder) = self.store.resolve_prefix(&self.store.snapshot(), &self.table, &user).unwrap();
        let path = format!("{folder}/{file}");
        let objects = self.store.objects(&storage).unwrap();
        let stored = objects.put_small(&path, Bytes::from_static(b"rows")).await.unwrap();
        let segment = Segment {
            table_id: self.table.id,
            user: user.clone(),
            from_seq: seq,
            to_seq: seq,
            rows: 1,
            bytes: stored.bytes,
            crc32c: stored.crc32c,
            storage,
            ..manifest::tests::segment_at(&path)
        };
        let old: Watermark = manifest::watermark(&*self.store.snapshot(), self.table.id, &user).unwrap();
        let moved = manifest::handover(&**self.store.env(), std::slice::from_ref(&segment), &old, seq, 1, bytes);
        let (expect, writes) = moved;
        self.store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.unwrap();
        segment
    }

    async fn publish(&self) -> Outcome {
        publish_due(&self.store, None, 100).await.unwrap().0
    }

    /// The manifests that lie in a user's folder, by number.
    fn manifests(&self, whom: &str) -> Vec<Manifest> {
        let folder = self.dir.path().join("storage/chat/users/notes").join(whom);
        let mut found: Vec<Manifest> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| ObjectName::parse(entry.file_name().to_str().unwrap()).is_some())
            .map(|entry| Manifest::read(&std::fs::read(entry.path()).unwrap()).unwrap())
            .collect();
        found.sort_by_key(|manifest| manifest.generation);
        found
    }

    async fn detach(&self, whom: &str) -> Vec<crate::deletions::Deletion> {
        let user = UserId::new(whom).unwrap();
        let start = manifest::Start::Seq(&user, 0);
        let entries: Vec<_> = manifest::entries(self.store.snapshot(), self.table.id, start)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.segment.user == user)
            .collect();
        let (expect, mut writes) = manifest::detach(&entries);
        let mut deletions = Vec::new();
        for entry in entries {
            let Segment { storage, path, bytes, .. } = entry.segment;
            let (why, whose) = (crate::deletions::Why::Retention, Some((self.table.id, user.clone())));
            let deletion = crate::deletions::Deletion {
                storage,
                path,
                bytes,
                not_before: 0,
                why,
                whose,
                failures: 0,
                error: None,
            };
            writes.extend(deletion.put());
            deletions.push(deletion);
        }
        self.store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.unwrap();
        deletions
    }
}

#[tokio::test]
async fn a_folder_says_what_the_manifest_says() {
    let world = World::new().await;
    let first = world.flush("ana", "one.parquet").await;
    world.flush("ben", "one.parquet").await;
    assert_eq!(world.publish().await, Outcome { users: 2, failed: 0 });
    assert_eq!(world.publish().await, Outcome::default(), "nothing has changed since");
    let manifests = world.manifests("ana");
    assert_eq!(manifests.len(), 1);
    let manifest = &manifests[0];
    assert_eq!((manifest.generation, manifest.watermark), (1, first.to_seq));
    assert_eq!(manifest.segments, std::slice::from_ref(&first));
    assert_eq!((manifest.table.id, manifest.table.columns.len()), (world.table.id, 1));
    assert_eq!(manifest.database_id, world.store.database_id());

    let second = world.flush("ana", "two.parquet").await;
    assert_eq!(world.publish().await.users, 1, "of ben nothing is new");
    let manifests = world.manifests("ana");
    assert_eq!(manifests.len(), 2, "the one before stays for whoever is copying it");
    assert_eq!(manifests[1].segments, [first, second]);
    world.env.now.fetch_add(61_000_000, Ordering::SeqCst);
    delete_due(&world.store, 100).await.unwrap();
    assert_eq!(world.manifests("ana").len(), 1);
    assert_eq!(world.manifests("ana")[0].generation, 2);
}

#[tokio::test]
async fn what_is_removed_is_gone_from_the_folder_before_its_object_is() {
    let world = World::new().await;
    world.flush("ana", "one.parquet").await;
    world.publish().await;
    let file = world.dir.path().join("storage/chat/users/notes/ana/one.parquet");
    world.detach("ana").await;
    assert!(file.exists());
    assert!(is_due(&*world.store.snapshot(), world.table.id, &UserId::new("ana").unwrap()).unwrap());
    delete_due(&world.store, 100).await.unwrap();
    assert!(!file.exists());
    let last = world.manifests("ana").pop().unwrap();
    assert_eq!((last.generation, last.segments.len()), (2, 0), "a folder that is empty says so");
    assert!(last.watermark > 0, "and up to where it was");
}

#[tokio::test]
async fn a_name_that_is_taken_is_passed_over() {
    let world = World::new().await;
    world.flush("ana", "one.parquet").await;
    // What a process left that died before it noted what it had published.
    let objects = world.store.objects(&StorageId::local()).unwrap();
    objects.put_small("chat/users/notes/ana/_ebbtide-0000000001.json", Bytes::from_static(b"{")).await.unwrap();
    assert_eq!(world.publish().await.users, 1);
    let user = UserId::new("ana").unwrap();
    let noted = of_user(&world.store.snapshot(), world.table.id, &user).unwrap();
    assert_eq!(noted[0].1.generation, 2);
    assert_eq!(noted[0].1.path, "chat/users/notes/ana/_ebbtide-0000000002.json");
}

#[tokio::test]
async fn who_changes_meanwhile_is_published_again() {
    let world = World::new().await;
    world.flush("ana", "one.parquet").await;
    let user = UserId::new("ana").unwrap();
    let key = keys::user(world.table.id, &user);
    let before = world.store.snapshot().get(PUBLISH_DUE, &key).unwrap().unwrap();
    world.flush("ana", "two.parquet").await;
    let now = world.store.snapshot().get(PUBLISH_DUE, &key).unwrap().unwrap();
    assert_ne!(before, now, "a counter that was read before the second change is not forgotten after it");
    world.publish().await;
    assert!(!is_due(&*world.store.snapshot(), world.table.id, &user).unwrap());
}

#[tokio::test]
async fn a_dropped_table_leaves_no_manifest() {
    let world = World::new().await;
    world.flush("ana", "one.parquet").await;
    world.publish().await;
    world.flush("ana", "two.parquet").await;
    let dropped = world.store.catalog().drop_table("chat", "notes").await.unwrap();
    // Its users are still due; that is nobody's any more.
    world.publish().await;
    crate::reclaim::reclaim(&world.store, dropped.table.id, 0).await.unwrap();
    delete_due(&world.store, 100).await.unwrap();
    assert!(!world.dir.path().join("storage/chat/users/notes/ana").exists(), "nothing of it is left");
    assert!(of_table(&world.store.snapshot(), world.table.id, 10).unwrap().is_empty());
}

#[test]
fn names_are_read_back_and_others_are_not_ours() {
    for generation in [1, 7, 9_999_999_999, u64::MAX] {
        let name = ObjectName { generation };
        assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
    }
    for name in
        ["_ebbtide-1.json", "_ebbtide-00000000x1.json", "ebbtide-0000000001.json", "_ebbtide-0000000001.parquet"]
    {
        assert_eq!(ObjectName::parse(name), None, "{name}");
    }
}

#[test]
fn a_form_of_later_is_told_and_not_guessed() {
    let error = Manifest::read(b"{\"ebbtide_manifest\": 2}").unwrap_err();
    assert!(error.contains("form 2"), "{error}");
    assert!(Manifest::read(b"{}").unwrap_err().contains("no manifest"));
}
