use super::codec::encode;
use super::*;
use crate::catalog::{Kind, Table};
use crate::manifest::{handover, watermark};
use crate::testing::{Cell, TestEnv, batch, new_table, open_store};
use crate::{ColumnType, Seq, Store, UserId};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use ebbtide_engine::{Commit, Committed, SharedEngine};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

async fn store(dir: &tempfile::TempDir) -> Arc<Store> {
    let store = open_store(dir.path(), &TestEnv::new()).await;
    store.catalog().create_namespace(&crate::Name::new("chat").unwrap()).await.unwrap();
    store
}

async fn messages(store: &Store, kind: Kind) -> Arc<Table> {
    let columns = [("id", ColumnType::BigInt, false), ("text", ColumnType::Text, true)];
    store.catalog().create_table(new_table("messages", kind, &columns)).await.unwrap()
}

fn user(text: &str) -> UserId {
    UserId::stored(text).unwrap()
}

/// Commits rows with these ids for each user, in one commit.
async fn insert(engine: &SharedEngine, table: &Table, users: &[(&str, std::ops::Range<i64>)]) -> Committed {
    let packed = users.iter().map(|(name, ids)| {
        let rows: Vec<Vec<Cell>> =
            ids.clone().map(|id| vec![Cell::Int(id.into()), Cell::Bytes(format!("text {id}").into())]).collect();
        (user(name), encode(table, &batch(table, &rows), 1000).unwrap())
    });
    let writes = append_all(table, packed, 0);
    engine.commit(Commit { expect: vec![table.expect_present()], writes, ..Commit::default() }).await.unwrap()
}

/// Moves a user's watermark as a flush would, and takes the rows out of the counters, without any segment.
async fn flush(store: &Store, table: &Table, name: &str, through: Seq) {
    let old = watermark(&*store.snapshot(), table.id, &user(name)).unwrap();
    let mut moved = scan(store.snapshot(), Arc::new(table.clone()), &user(name), old.seq, through, Some(&[])).unwrap();
    while moved.next_batch(100, usize::MAX).unwrap().is_some() {}
    let (expect, mut writes) = handover(&**store.env(), &[], &old, through, 0, 0);
    writes.extend(handed_over(table.id, moved.totals().rows, moved.totals().bytes));
    store.engine().commit(Commit { expect, writes, ..Commit::default() }).await.unwrap();
}

async fn write(store: &Store, write: ebbtide_engine::Write) {
    store.engine().commit(Commit { writes: vec![write], ..Commit::default() }).await.unwrap();
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

fn all_ids(scan: &mut HotScan) -> Vec<i64> {
    std::iter::from_fn(|| scan.next_batch(3, usize::MAX).unwrap()).flat_map(|batch| ids(&batch)).collect()
}

#[tokio::test]
async fn a_scan_reads_the_seqs_asked_for_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let table = messages(&store, Kind::User).await;
    let first = insert(store.engine(), &table, &[("ana", 0..4), ("ben", 100..103)]).await.seqs.unwrap();
    insert(store.engine(), &table, &[("ana", 4..10)]).await;
    let start = *first.start();
    let snapshot = store.snapshot();
    let scanned = |name: &str, after, through| {
        all_ids(&mut scan(snapshot.clone(), table.clone(), &user(name), after, through, None).unwrap())
    };
    assert_eq!(scanned("ana", 0, Seq::MAX), (0..10).collect::<Vec<_>>());
    assert_eq!(scanned("ben", 0, Seq::MAX), (100..103).collect::<Vec<_>>());
    assert_eq!(scanned("ana", start, *first.end()), [1, 2, 3], "after is left out, through is in");
    assert_eq!(scanned("an", 0, Seq::MAX), [0; 0], "not the user whose name starts so");
    assert_eq!(scanned("ana", Seq::MAX, Seq::MAX), [0; 0]);

    let mut scan = scan(snapshot, table.clone(), &user("ana"), 0, Seq::MAX, None).unwrap();
    let batch = scan.next_batch(4, usize::MAX).unwrap().unwrap();
    assert_eq!(batch.num_rows(), 4);
    assert_eq!(batch.schema(), crate::arrow_schema(&table));
    assert_eq!((scan.last().rows, scan.last().last_seq), (4, start + 3));
    assert_eq!(scan.next_batch(100, 1).unwrap().unwrap().num_rows(), 1, "one row at least, whatever its size");
    while scan.next_batch(2, usize::MAX).unwrap().is_some() {}
    let counted = counters(&*store.snapshot(), table.id).unwrap();
    assert_eq!((scan.totals().rows, counted.rows), (10, 13));
    assert!(scan.totals().bytes < counted.bytes, "ben's rows count too");
    assert_eq!(scan.last().rows, 0);
}

#[tokio::test]
async fn rows_survive_reopening_and_seqs_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let store = store(&dir).await;
        let table = messages(&store, Kind::Shared).await;
        let seqs = insert(store.engine(), &table, &[("", 0..5)]).await.seqs.unwrap();
        store.engine().close();
        *seqs.end()
    };
    let store = open_store(dir.path(), &TestEnv::new()).await;
    let table = store.catalog().table(&store.snapshot(), "chat", "messages").unwrap().unwrap();
    let seqs = insert(store.engine(), &table, &[("", 5..6)]).await.seqs.unwrap();
    assert!(*seqs.start() > before);
    let mut scan = scan(store.snapshot(), table, &UserId::shared(), 0, Seq::MAX, None).unwrap();
    assert_eq!(all_ids(&mut scan), (0..6).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_index_names_users_with_hot_rows_and_pages_through_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let table = messages(&store, Kind::User).await;
    let names: Vec<String> = (0..10).map(|n| format!("u{n}")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), 0..2)).collect();
    let committed = insert(store.engine(), &table, &all).await.seqs.unwrap();
    let found = users(store.snapshot(), table.id, None, 100).unwrap();
    assert_eq!(found.iter().map(|(user, _)| user.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(found.last().unwrap().1, *committed.end(), "each with his own last seq");
    assert_eq!(found[0].1, committed.start() + 1);

    let page = users(store.snapshot(), table.id, Some(&user("u3")), 2).unwrap();
    assert_eq!(page.iter().map(|(user, _)| user.as_str()).collect::<Vec<_>>(), ["u4", "u5"]);
    assert!(users(store.snapshot(), table.id, Some(&user("u9")), 2).unwrap().is_empty());

    // Forgotten if nothing came meanwhile, and kept if something did.
    insert(store.engine(), &table, &[("u1", 2..3)]).await;
    for (user, last_seq) in &found[..2] {
        write(&store, forget_user(table.id, user, *last_seq)).await;
    }
    let left = users(store.snapshot(), table.id, None, 100).unwrap();
    assert_eq!(left.iter().map(|(user, _)| user.as_str()).collect::<Vec<_>>(), names[1..]);
}

#[tokio::test]
async fn a_row_cannot_outlive_its_table() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let table = messages(&store, Kind::User).await;
    insert(store.engine(), &table, &[("ana", 0..3)]).await;
    let dropped = store.catalog().drop_table("chat", "messages").await.unwrap();
    let rows = encode(&table, &batch(&table, &[vec![Cell::Int(9), Cell::Null]]), 1000).unwrap();
    let late = Commit {
        expect: vec![table.expect_present()],
        writes: append(&table, &user("ana"), rows, 0),
        ..Commit::default()
    };
    assert!(store.engine().commit(late).await.is_err(), "a commit of rows after the drop");

    let again = messages(&store, Kind::User).await;
    assert_ne!(again.id, dropped.table.id);
    let mut scanned = scan_table(store.snapshot(), again.clone(), None).unwrap();
    assert!(scanned.next_batch(10, usize::MAX).unwrap().is_none(), "the new table is empty");
    insert(store.engine(), &again, &[("ana", 50..52)]).await;

    let record = store.catalog().dropped(&store.snapshot()).unwrap();
    assert_eq!(record.iter().map(|d| d.table.id).collect::<Vec<_>>(), [dropped.table.id]);
    let writes = crate::reclaim::hot(dropped.table.id);
    store.engine().commit(Commit { writes, ..Commit::default() }).await.unwrap();
    let writes = crate::reclaim::done(dropped.table.id);
    store.engine().commit(Commit { writes, ..Commit::default() }).await.unwrap();
    let snapshot = store.snapshot();
    assert!(users(snapshot.clone(), dropped.table.id, None, 10).unwrap().is_empty());
    assert_eq!(counters(&*snapshot, dropped.table.id).unwrap(), Counters::default());
    assert!(store.catalog().dropped(&snapshot).unwrap().is_empty());
    let mut scan = scan(snapshot, again, &user("ana"), 0, Seq::MAX, None).unwrap();
    assert_eq!(all_ids(&mut scan), [50, 51], "the new table keeps its rows");
}

#[tokio::test]
async fn small_users_share_a_batch_and_flushed_ones_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let table = messages(&store, Kind::User).await;
    // More than one page of the index.
    let names: Vec<String> = (0..1200).map(|n| format!("user-{n:04}")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), 0..3)).collect();
    let first = insert(store.engine(), &table, &all).await.seqs.unwrap();
    flush(&store, &table, "user-0001", *first.end()).await;
    flush(&store, &table, "user-0002", first.start() + 7).await;

    let mut scan = scan_table(store.snapshot(), table.clone(), None).unwrap();
    let batches: Vec<RecordBatch> = std::iter::from_fn(|| scan.next_batch(1000, usize::MAX).unwrap()).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1000, 1000, 1000, 595]);
    assert_eq!(scan.totals().rows, 3595);
    assert_eq!(counters(&*store.snapshot(), table.id).unwrap().rows, 3595);
    let mut per_user: BTreeMap<String, usize> = BTreeMap::new();
    for batch in &batches {
        let owner = batch.schema().index_of("_user_id").unwrap();
        for name in batch.column(owner).as_string::<i32>() {
            *per_user.entry(name.unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(per_user.get("user-0001"), None);
    assert_eq!(per_user["user-0002"], 1);
    assert_eq!(per_user.len(), 1199);

    let named = ["user-0002", "nobody", "user-0000"].map(user);
    let mut some = scan_users(store.snapshot(), table, named, Some(&[2])).unwrap();
    let batch = some.next_batch(100, usize::MAX).unwrap().unwrap();
    let owners: Vec<_> = batch.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(owners, ["user-0002", "user-0000", "user-0000", "user-0000"], "in the order they were named");
}

#[tokio::test]
async fn counting_needs_no_columns() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let table = messages(&store, Kind::User).await;
    insert(store.engine(), &table, &[("ana", 0..5), ("ben", 0..6)]).await;
    let mut scan = scan_table(store.snapshot(), table, Some(&[])).unwrap();
    let batch = scan.next_batch(100, usize::MAX).unwrap().unwrap();
    assert_eq!((batch.num_columns(), batch.num_rows()), (0, 11));
}

#[tokio::test]
async fn a_damaged_row_is_an_error_that_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let table = messages(&store, Kind::User).await;
    let mut noise = ebbtide_engine::Packed::new();
    noise.push(b"not a row");
    let writes = append(&table, &user("ana"), noise, 0);
    let seqs = store.engine().commit(Commit { writes, ..Commit::default() }).await.unwrap().seqs.unwrap();
    let mut scan = scan(store.snapshot(), table, &user("ana"), 0, Seq::MAX, None).unwrap();
    let error = scan.next_batch(10, usize::MAX).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Corrupt);
    assert!(error.to_string().contains(&format!("row {} of chat.messages", seqs.start())), "{error}");
}

/// What may happen to a table's hot tier.
#[derive(Debug, Clone)]
enum Act {
    Insert { user: usize, rows: i64 },
    Flush { user: usize, part: u64 },
    Delete { user: usize },
    Forget { user: usize },
}

fn act() -> impl Strategy<Value = Act> {
    let user = 0..3usize;
    prop_oneof![
        3 => (user.clone(), 1..6i64).prop_map(|(user, rows)| Act::Insert { user, rows }),
        2 => (user.clone(), 0..4u64).prop_map(|(user, part)| Act::Flush { user, part }),
        1 => user.clone().prop_map(|user| Act::Delete { user }),
        1 => user.prop_map(|user| Act::Forget { user }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is flushed, deleted and forgotten in whatever order: each row is either hot or handed over.
    #[test]
    fn a_row_is_hot_until_it_is_handed_over(acts in prop::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir).await;
            let table = messages(&store, Kind::User).await;
            let names = ["a", "b", "ab"];
            // Per user: the seq and id of every hot row.
            let mut model: [Vec<(Seq, i64)>; 3] = Default::default();
            let mut next_id = 0;
            for act in acts {
                match act {
                    Act::Insert { user, rows } => {
                        let ids = next_id..next_id + rows;
                        next_id += rows;
                        let seqs = insert(store.engine(), &table, &[(names[user], ids.clone())]).await.seqs.unwrap();
                        model[user].extend(seqs.zip(ids));
                    }
                    Act::Flush { user, part } => {
                        let old = watermark(&*store.snapshot(), table.id, &super::tests::user(names[user])).unwrap().seq;
                        let through = store.engine().last_seq().saturating_sub(part).max(old);
                        flush(&store, &table, names[user], through).await;
                        model[user].retain(|(seq, _)| *seq > through);
                    }
                    Act::Delete { user } => {
                        let user = super::tests::user(names[user]);
                        let seq = watermark(&*store.snapshot(), table.id, &user).unwrap().seq;
                        write(&store, delete_writes(table.id, &user, seq)).await;
                    }
                    Act::Forget { user } => {
                        let user = super::tests::user(names[user]);
                        let seq = watermark(&*store.snapshot(), table.id, &user).unwrap().seq;
                        let listed = users(store.snapshot(), table.id, None, 10).unwrap();
                        if let Some((_, last)) = listed.iter().find(|(u, last)| *u == user && *last <= seq) {
                            write(&store, forget_user(table.id, &user, *last)).await;
                        }
                    }
                }
                let mut found = Vec::new();
                let mut scan = scan_table(store.snapshot(), table.clone(), None).unwrap();
                while let Some(batch) = scan.next_batch(4, usize::MAX).unwrap() {
                    found.extend(ids(&batch));
                }
                found.sort_unstable();
                let mut expected: Vec<i64> = model.iter().flatten().map(|(_, id)| *id).collect();
                expected.sort_unstable();
                assert_eq!(found, expected, "rows above the watermarks");
                let counted = counters(&*store.snapshot(), table.id).unwrap();
                assert_eq!((counted.rows, counted.bytes), (scan.totals().rows, scan.totals().bytes), "counters");
            }
        });
    }
}
