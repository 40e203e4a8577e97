use super::*;
use crate::catalog::Kind;
use crate::hot::{append, codec::encode, counters};
use crate::testing::{Cell, TestEnv, batch, name, new_table, open_engine, open_store};
use crate::{ColumnType, StorageId, Store, Table};
use ebbtide_engine::{Commit, CommitError};
use std::sync::Arc;
use std::sync::atomic::Ordering;

async fn opened(dir: &tempfile::TempDir, env: &Arc<TestEnv>) -> (Arc<Store>, Arc<Table>) {
    let store = open_store(dir.path(), env).await;
    store.catalog().create_namespace(&name("chat")).await.unwrap();
    let columns = [("id", ColumnType::BigInt, false)];
    let table = store.catalog().create_table(new_table("messages", Kind::User, &columns)).await.unwrap();
    (store, table)
}

async fn insert(store: &Store, table: &Table, user: &UserId, rows: i128) -> (Seq, Seq, u64) {
    let rows: Vec<Vec<Cell>> = (0..rows).map(|id| vec![Cell::Int(id)]).collect();
    let packed = encode(table, &batch(table, &rows), 1000).unwrap();
    let bytes = packed.bytes() as u64;
    let commit = Commit { writes: append(table, user, packed, 0), ..Commit::default() };
    let seqs = store.engine().commit(commit).await.unwrap().seqs.unwrap();
    (*seqs.start(), *seqs.end(), bytes)
}

fn segment(table: &Table, user: &UserId, from_seq: Seq, to_seq: Seq) -> Segment {
    Segment {
        table_id: table.id,
        user: user.clone(),
        from_seq,
        to_seq,
        rows: to_seq - from_seq + 1,
        bytes: 100,
        storage: StorageId::local(),
        path: format!("chat/users/messages/{user}/{from_seq}.parquet"),
        crc32c: 0xdead_beef,
        schema_version: 1,
        columns: vec![ColumnStats {
            id: 1,
            name: "id".to_owned(),
            min: Some(Scalar::Int(i64::MIN)),
            max: Some(Scalar::Decimal(i128::MAX)),
            nulls: Some(0),
        }],
        job_id: "job".to_owned(),
        created_at: 5,
    }
}

/// A segment whose object has this path.
pub(crate) fn segment_at(path: &str) -> Segment {
    let table = crate::testing::table(Kind::User, &[("id", ColumnType::BigInt, false)]);
    Segment { path: path.to_owned(), ..segment(&table, &UserId::new("ana").unwrap(), 1, 3) }
}

/// The writes that make the manifest name a segment, whatever else holds.
pub(crate) fn attach(segment: &Segment) -> Vec<Write> {
    entry::put(segment).into()
}

async fn commit(store: &Store, (expect, writes): (Vec<Expect>, Vec<Write>)) -> Result<(), CommitError> {
    store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.map(|_| ())
}

#[tokio::test]
async fn one_commit_moves_rows_from_hot_to_the_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let (store, table) = opened(&dir, &TestEnv::new()).await;
    let (ana, ben) = (UserId::new("ana").unwrap(), UserId::new("ben").unwrap());
    let (from, to, bytes) = insert(&store, &table, &ana, 3).await;
    let (ben_from, ben_to, _) = insert(&store, &table, &ben, 2).await;
    let old = watermark(&*store.snapshot(), table.id, &ana).unwrap();
    assert_eq!((old.seq, old.erase_generation), (0, 0));

    let parts = [segment(&table, &ana, from, from), segment(&table, &ana, from + 1, to)];
    let moved = handover(&**store.env(), &parts, &old, to, 3, bytes);
    let before = store.snapshot();
    commit(&store, moved.clone()).await.unwrap();
    assert!(segments(before.clone(), table.id, None).unwrap().is_empty(), "an older snapshot sees none of it");
    assert_eq!(watermark(&*before, table.id, &ana).unwrap(), old);

    let after = store.snapshot();
    assert_eq!(segments(after.clone(), table.id, Some(&ana)).unwrap(), parts);
    assert_eq!(watermark(&*after, table.id, &ana).unwrap().seq, to);
    assert_eq!(counters(&*after, table.id).unwrap().rows, 2, "only ben's are hot");

    assert!(matches!(commit(&store, moved).await, Err(CommitError::Mismatch { .. })), "not twice");
    let old = watermark(&*after, table.id, &ben).unwrap();
    let ben_part = segment(&table, &ben, ben_from, ben_to);
    commit(&store, handover(&**store.env(), std::slice::from_ref(&ben_part), &old, ben_to, 2, 0)).await.unwrap();
    let all = segments(store.snapshot(), table.id, None).unwrap();
    assert_eq!(
        all.iter().map(|s| (s.user.as_str(), s.from_seq)).collect::<Vec<_>>(),
        [("ana", from), ("ana", from + 1), ("ben", ben_from)]
    );
}

#[tokio::test]
async fn a_handover_is_refused_once_the_table_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, table) = opened(&dir, &TestEnv::new()).await;
    let ana = UserId::new("ana").unwrap();
    let (from, to, bytes) = insert(&store, &table, &ana, 3).await;
    let old = watermark(&*store.snapshot(), table.id, &ana).unwrap();
    let moved = handover(&**store.env(), &[segment(&table, &ana, from, to)], &old, to, 3, bytes);
    store.catalog().drop_table("chat", "messages").await.unwrap();
    assert!(matches!(commit(&store, moved).await, Err(CommitError::Mismatch { .. })));
    assert!(segments(store.snapshot(), table.id, None).unwrap().is_empty());
}

#[tokio::test]
async fn a_watermark_never_falls() {
    let dir = tempfile::tempdir().unwrap();
    let (store, table) = opened(&dir, &TestEnv::new()).await;
    let ana = UserId::new("ana").unwrap();
    let old = watermark(&*store.snapshot(), table.id, &ana).unwrap();
    commit(&store, handover(&**store.env(), &[], &old, 10, 0, 0)).await.unwrap();
    let at_ten = watermark(&*store.snapshot(), table.id, &ana).unwrap();
    assert!(matches!(
        commit(&store, handover(&**store.env(), &[], &old, 12, 0, 0)).await,
        Err(CommitError::Mismatch { .. })
    ));
    let fell = std::panic::catch_unwind(|| at_ten.raised(9));
    assert!(fell.is_err(), "debug builds say so at once");
    commit(&store, handover(&**store.env(), &[], &at_ten, 10, 0, 0)).await.unwrap();
    assert_eq!(watermark(&*store.snapshot(), table.id, &ana).unwrap().seq, 10);
}

#[tokio::test]
async fn the_planted_bug_leaves_the_watermark_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (store, table) = opened(&dir, &TestEnv::with(Defect::WatermarkSkipped)).await;
    let ana = UserId::new("ana").unwrap();
    let (from, to, bytes) = insert(&store, &table, &ana, 3).await;
    let old = watermark(&*store.snapshot(), table.id, &ana).unwrap();
    commit(&store, handover(&**store.env(), &[segment(&table, &ana, from, to)], &old, to, 3, bytes)).await.unwrap();
    assert_eq!(watermark(&*store.snapshot(), table.id, &ana).unwrap().seq, 0);
    assert_eq!(segments(store.snapshot(), table.id, None).unwrap().len(), 1);
}

#[tokio::test]
async fn file_timestamps_only_grow_whatever_the_clock_does_and_through_a_drop() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    let (store, table) = opened(&dir, &env).await;
    let now = env.now();
    let mut last = i64::MIN;
    for (clock, expected) in [
        (now, now / 1_000_000),
        (now, now / 1_000_000 + 1),
        (now - 9_000_000, now / 1_000_000 + 2),
        (now + 60_000_000, now / 1_000_000 + 60),
    ] {
        env.now.store(clock, Ordering::SeqCst);
        let (stamp, expect, write) =
            file_stamp(&*store.snapshot(), &table.namespace, &table.name, env.now(), 1).unwrap();
        let stale = (vec![expect.clone()], vec![write.clone()]);
        commit(&store, (vec![expect], vec![write])).await.unwrap();
        assert!(
            matches!(commit(&store, stale).await, Err(CommitError::Mismatch { .. })),
            "no timestamp is given twice"
        );
        assert_eq!(stamp, expected);
        assert!(stamp > last);
        last = stamp;
    }
    env.now.store(now, Ordering::SeqCst);
    store.catalog().drop_table("chat", "messages").await.unwrap();
    let (stamp, ..) = file_stamp(&*store.snapshot(), &table.namespace, &table.name, env.now(), 1).unwrap();
    assert_eq!(stamp, last + 1, "the next table of this name goes on from there");
    let (stamp, ..) = file_stamp(&*store.snapshot(), &table.namespace, &name("other"), env.now(), 1).unwrap();
    assert_eq!(stamp, now / 1_000_000, "another name does not care");
}

#[tokio::test]
async fn opening_starts_above_every_cut() {
    let dir = tempfile::tempdir().unwrap();
    let env = TestEnv::new();
    {
        let (store, table) = opened(&dir, &env).await;
        // As if the engine had lost its own count: a cut far above what it gave out.
        let (_, expect, write) =
            file_stamp(&*store.snapshot(), &table.namespace, &table.name, env.now(), 1000).unwrap();
        commit(&store, (vec![expect], vec![write])).await.unwrap();
        store.engine().close();
    }
    let store = open_store(dir.path(), &env).await;
    let table = store.catalog().table(&store.snapshot(), "chat", "messages").unwrap().unwrap();
    let (from, ..) = insert(&store, &table, &UserId::new("ana").unwrap(), 1).await;
    assert!(from > 1000, "{from}");
}

#[tokio::test]
async fn entries_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_engine(dir.path(), &TestEnv::new());
    let (table, ana) = (TableId(3), UserId::new("ana").unwrap());
    let put = |space, key, value: &[u8]| Write::Put { space, key, value: value.to_vec() };
    let writes =
        vec![put(SEGMENTS, keys::user_seq(table, &ana, 1), b"{"), put(WATERMARKS, keys::user(table, &ana), b"short")];
    engine.commit(Commit { writes, ..Commit::default() }).await.unwrap();
    let snapshot = engine.snapshot();
    assert!(matches!(watermark(&*snapshot, table, &ana), Err(Error::Corrupt { .. })));
    assert!(matches!(segments(snapshot, table, None), Err(Error::Corrupt { .. })));
}

#[test]
fn the_stored_form_of_a_segment_still_loads() {
    // Entries of this form are on somebody's disk: this text may only be added to, never changed.
    let stored = r#"{"table_id":7,"user":"ana","from_seq":3,"to_seq":9,"rows":7,"bytes":1234,"storage":"local",
        "path":"chat/users/messages/ana/2026-11-22T10-00-00.parquet","crc32c":3735928559,"schema_version":2,
        "columns":[{"id":1,"name":"id","min":{"i":-5},"max":{"i":5},"nulls":0},
                   {"id":2,"name":"price","min":{"d":"-170141183460469231731687303715884105728"},"max":{"d":"1"}},
                   {"id":3,"name":"text","min":{"t":"a"},"max":{"t":"z"},"nulls":1},
                   {"id":4,"name":"seen","min":{"b":false},"max":{"b":true}},
                   {"id":5,"name":"score","min":{"f":"0.5"},"max":{"f":"1"}},
                   {"id":6,"name":"blob"}],
        "job_id":"0192","created_at":1795341600000000}"#;
    let segment: Segment = serde_json::from_str(stored).unwrap();
    assert_eq!(segment.columns[1].min, Some(Scalar::Decimal(i128::MIN)));
    assert_eq!(segment.columns[4].max, Some(Scalar::Float(1.0)));
    assert_eq!(segment.columns[5], ColumnStats { id: 6, name: "blob".to_owned(), min: None, max: None, nulls: None });
    let again: Segment = serde_json::from_slice(&serde_json::to_vec(&segment).unwrap()).unwrap();
    assert_eq!(again, segment);
}

#[tokio::test]
async fn segments_are_found_by_their_objects_and_leave_as_they_were_read() {
    let dir = tempfile::tempdir().unwrap();
    let (store, table) = opened(&dir, &TestEnv::new()).await;
    let ana = UserId::new("ana").unwrap();
    let old = watermark(&*store.snapshot(), table.id, &ana).unwrap();
    let parts = [segment(&table, &ana, 1, 3), segment(&table, &ana, 4, 6)];
    commit(&store, handover(&**store.env(), &parts, &old, 6, 6, 0)).await.unwrap();
    let local = StorageId::local();
    let found = named(&*store.snapshot(), &local, &parts[1].path).unwrap();
    assert_eq!(found, Some((table.id, ana.clone(), 4)));
    assert_eq!(named(&*store.snapshot(), &local, "other.parquet").unwrap(), None);
    assert_eq!(named(&*store.snapshot(), &StorageId::new("other").unwrap(), &parts[1].path).unwrap(), None);

    let read: Vec<Entry> =
        entries(store.snapshot(), table.id, Start::Beginning).unwrap().collect::<Result<_, _>>().unwrap();
    let rewritten = Segment { from_seq: 5, rows: 2, path: "new.parquet".to_owned(), ..parts[1].clone() };
    commit(&store, replace(&read[1], &rewritten)).await.unwrap();
    assert!(
        matches!(commit(&store, detach(&read[1..])).await, Err(CommitError::Mismatch { .. })),
        "what was rewritten meanwhile does not leave"
    );
    commit(&store, detach(&read[..1])).await.unwrap();
    assert_eq!(segments(store.snapshot(), table.id, None).unwrap(), std::slice::from_ref(&rewritten));
    for gone in &parts {
        assert_eq!(named(&*store.snapshot(), &local, &gone.path).unwrap(), None);
    }
    assert_eq!(entry(&*store.snapshot(), table.id, &ana, 5).unwrap().unwrap().segment, rewritten);
    assert_eq!(entries(store.snapshot(), table.id, Start::AfterUser(&ana)).unwrap().count(), 0);
    assert_eq!(entries(store.snapshot(), table.id, Start::Seq(&ana, 5)).unwrap().count(), 1);
    assert_eq!(entries(store.snapshot(), table.id, Start::Seq(&ana, 6)).unwrap().count(), 0);
}

#[tokio::test]
async fn an_object_is_named_or_quarantined_and_never_both() {
    let dir = tempfile::tempdir().unwrap();
    let (store, table) = opened(&dir, &TestEnv::new()).await;
    let ana = UserId::new("ana").unwrap();
    let old = watermark(&*store.snapshot(), table.id, &ana).unwrap();
    let part = segment(&table, &ana, 1, 3);
    let found = quarantine::Quarantined {
        storage: StorageId::local(),
        path: part.path.clone(),
        bytes: 100,
        modified_at: 1,
        quarantined_at: 2,
        job_id: "job".to_owned(),
    };
    let put = |found: &quarantine::Quarantined| {
        let (expect, write) = found.put();
        (vec![expect], vec![write])
    };
    commit(&store, put(&found)).await.unwrap();
    assert_eq!(
        quarantine::scan(store.snapshot(), None).unwrap().map(Result::unwrap).collect::<Vec<_>>(),
        std::slice::from_ref(&found)
    );
    let late = handover(&**store.env(), std::slice::from_ref(&part), &old, 3, 3, 0);
    assert!(matches!(commit(&store, late.clone()).await, Err(CommitError::Mismatch { .. })), "a stale flush is late");
    commit(&store, (vec![], vec![found.release()])).await.unwrap();
    assert_eq!(quarantine::get(&*store.snapshot(), &found.storage, &found.path).unwrap(), None);
    commit(&store, late).await.unwrap();
    assert!(matches!(commit(&store, put(&found)).await, Err(CommitError::Mismatch { .. })), "a stale sweep is late");
}
