use super::*;
use crate::testing::{TestEnv, name, new_table, open_store};
use crate::{ColumnType, ErrorKind, Store, UserId};
use std::time::Duration;

const ID: (&str, ColumnType, bool) = ("id", ColumnType::BigInt, false);

async fn opened(dir: &tempfile::TempDir) -> Arc<Store> {
    let store = open_store(dir.path(), &TestEnv::new()).await;
    store.catalog().create_namespace(&name("chat")).await.unwrap();
    store
}

#[tokio::test]
async fn what_is_made_is_found_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let made = {
        let store = opened(&dir).await;
        let mut new =
            new_table("messages", Kind::User, &[ID, ("price", ColumnType::Decimal { precision: 10, scale: 2 }, true)]);
        new.flush = FlushPolicy { interval: Some(Duration::from_secs(60)), rows: Some(1000), bytes: None };
        new.sharding = "alphabetic".to_owned();
        let made = store.catalog().create_table(new).await.unwrap();
        store.engine().close();
        made
    };
    let store = open_store(dir.path(), &TestEnv::new()).await;
    let snapshot = store.snapshot();
    let found = store.catalog().table(&snapshot, "CHAT", "Messages").unwrap().unwrap();
    assert_eq!(format!("{made:?}").split(", arrow").next(), format!("{found:?}").split(", arrow").next());
    assert_eq!(found.columns[1].id, 2);
    assert!(store.catalog().table_by_id(&snapshot, made.id).unwrap().is_some());
    assert_eq!(store.catalog().tables(&snapshot, Some("chat")).unwrap().len(), 1);
    assert_eq!(store.catalog().tables(&snapshot, Some("other")).unwrap().len(), 0);
    assert!(store.catalog().table(&snapshot, "chat", "no such; name").unwrap().is_none());
}

#[tokio::test]
async fn of_two_tables_made_at_once_under_one_name_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = opened(&dir).await;
    // A second catalog on the same engine stands for another process: nothing in memory keeps the two apart.
    let other = Catalog::new(store.engine().clone(), store.env().clone(), Arc::default());
    for round in 0..10 {
        let new = || new_table(&format!("t{round}"), Kind::User, &[ID]);
        let (a, b, c) = tokio::join!(
            store.catalog().create_table(new()),
            other.create_table(new()),
            store.catalog().create_table(new())
        );
        let results = [a, b, c];
        assert_eq!(results.iter().filter(|made| made.is_ok()).count(), 1);
        for lost in results.into_iter().filter_map(Result::err) {
            assert!(matches!(lost, Error::TableExists { .. }), "{lost:?}");
        }
    }
    let snapshot = store.snapshot();
    let tables = store.catalog().tables(&snapshot, None).unwrap();
    let mut ids: Vec<_> = tables.iter().map(|table| table.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 10);
    assert_eq!(other.tables(&snapshot, None).unwrap().len(), 10, "both see all");
}

#[tokio::test]
async fn a_namespace_goes_only_when_it_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = opened(&dir).await;
    let catalog = store.catalog();
    for table in ["a", "b"] {
        catalog.create_table(new_table(table, Kind::User, &[ID])).await.unwrap();
    }
    let error = catalog.drop_namespace(&name("chat")).await.unwrap_err();
    assert_eq!(error.to_string(), "Cannot drop namespace 'chat': 2 table(s) still in it: chat.a, chat.b");
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(catalog.namespace(&store.snapshot(), "chat").unwrap().is_some());
    for table in ["a", "b"] {
        catalog.drop_table("chat", table).await.unwrap();
    }
    // A table made at the same moment either comes first, or finds no namespace.
    let chat = name("chat");
    let (dropped, made) =
        tokio::join!(catalog.drop_namespace(&chat), catalog.create_table(new_table("c", Kind::User, &[ID])));
    assert!(dropped.is_ok() != made.is_ok(), "{dropped:?} {made:?}");
}

#[tokio::test]
async fn names_that_mean_something_already_are_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let store = opened(&dir).await;
    for reserved in ["system", "pg_catalog", "PG_temp", "information_schema", "Main"] {
        let error = store.catalog().create_namespace(&name(reserved)).await.unwrap_err();
        assert!(error.to_string().contains("reserved"), "{error}");
    }
    assert!(store.catalog().create_namespace(&name("default")).await.is_ok());
    let error = store.catalog().create_namespace(&name("chat")).await.unwrap_err();
    assert_eq!(error.to_string(), "Namespace 'chat' already exists");
}

#[tokio::test]
async fn a_table_that_cannot_be_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = opened(&dir).await;
    let version = store.catalog().view(&store.snapshot()).unwrap().version();
    let good = || new_table("t", Kind::User, &[ID]);
    let bad: Vec<(NewTable, &str)> = vec![
        (
            NewTable { namespace: name("nowhere"), ..good() },
            "Namespace 'nowhere' does not exist. Create it first with CREATE NAMESPACE nowhere",
        ),
        (NewTable { storage: StorageId::new("s9").unwrap(), ..good() }, "Storage 's9' does not exist"),
        (
            NewTable { sharding: "alphabetical".to_owned(), ..good() },
            "unknown sharding \"alphabetical\", did you mean alphabetic?",
        ),
        (NewTable { flush: FlushPolicy::default(), ..good() }, "no flush trigger"),
        (NewTable { flush: FlushPolicy { rows: Some(0), ..FlushPolicy::default() }, ..good() }, "greater than 0"),
        (NewTable { columns: Vec::new(), ..good() }, "no column"),
        (
            NewTable { kind: Kind::Shared, use_user_storage: true, ..good() },
            "USE_USER_STORAGE is only supported for USER tables",
        ),
        (new_table("t", Kind::User, &[ID, ID]), "more than once"),
        (new_table("t", Kind::User, &[("_user_id", ColumnType::Text, true)]), "reserved"),
        (new_table("t", Kind::User, &[("d", ColumnType::Decimal { precision: 39, scale: 0 }, true)]), "DECIMAL(39,0)"),
        (new_table("t", Kind::User, &[("d", ColumnType::Decimal { precision: 2, scale: 3 }, true)]), "DECIMAL(2,3)"),
    ];
    for (new, says) in bad {
        let error = store.catalog().create_table(new).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error} does not say: {says}");
    }
    assert_eq!(store.catalog().view(&store.snapshot()).unwrap().version(), version);
}

#[tokio::test]
async fn an_id_is_never_given_again_unless_the_bug_is_planted() {
    for planted in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let env = if planted { TestEnv::with(Defect::NameReused) } else { TestEnv::new() };
        let store = open_store(dir.path(), &env).await;
        store.catalog().create_namespace(&name("chat")).await.unwrap();
        let first = store.catalog().create_table(new_table("t", Kind::User, &[ID])).await.unwrap();
        store.catalog().drop_table("chat", "t").await.unwrap();
        let second = store.catalog().create_table(new_table("t", Kind::User, &[ID])).await.unwrap();
        assert_eq!(first.id == second.id, planted);
    }
}

#[tokio::test]
async fn an_older_snapshot_keeps_its_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let store = opened(&dir).await;
    let catalog = store.catalog();
    let table = catalog.create_table(new_table("t", Kind::Shared, &[ID])).await.unwrap();
    let before = store.snapshot();
    catalog.drop_table("chat", "t").await.unwrap();
    assert!(catalog.table(&store.snapshot(), "chat", "t").unwrap().is_none());
    assert_eq!(catalog.table(&before, "chat", "t").unwrap().unwrap().id, table.id);
    assert!(catalog.table(&store.snapshot(), "chat", "t").unwrap().is_none(), "and the newer one its own");
    assert!(matches!(catalog.drop_table("chat", "t").await, Err(Error::TableNotFound { .. })));
}

#[test]
fn only_the_right_owner_may_own_rows() {
    let of = |kind| new_table("t", kind, &[ID]).made(TableId(1), 0).unwrap();
    assert!(of(Kind::User).may_own(&UserId::new("a").unwrap()));
    assert!(!of(Kind::User).may_own(&UserId::shared()));
    assert!(of(Kind::Shared).may_own(&UserId::shared()));
}

#[test]
fn the_stored_form_of_a_table_still_loads() {
    // Entries of this form are on somebody's disk: this text may only be added to, never changed.
    let stored = r#"{"id":7,"namespace":"chat","name":"messages","kind":"user",
        "columns":[{"id":1,"name":"id","column_type":"big_int","nullable":false},
                   {"id":2,"name":"price","column_type":{"decimal":{"precision":10,"scale":2}},"nullable":true},
                   {"id":3,"name":"at","column_type":"timestamp_tz","nullable":true}],
        "schema_version":2,"older":[{"schema_version":1,"columns":[[1,"big_int"],[2,{"decimal":{"precision":10,"scale":2}}]]}],
        "storage":"local","use_user_storage":false,"sharding":"none",
        "flush":{"interval":{"secs":60,"nanos":0},"rows":1000,"bytes":null},"created_at":1795341600000000}"#;
    let table: Table = serde_json::from_str(stored).unwrap();
    assert_eq!(table.flush.interval, Some(Duration::from_secs(60)));
    assert_eq!(table.older[0].columns.len(), 2);
    let storage = r#"{"id":"local","name":"Local Filesystem","description":null,"storage_type":"filesystem","base_directory":"",
        "shared_tables_template":"{namespace}/shared/{tableName}","user_tables_template":"{namespace}/users/{tableName}/{shard}/{userId}",
        "config_json":null,"created_at":1,"updated_at":1}"#;
    assert_eq!(serde_json::from_str::<Storage>(storage).unwrap().id, StorageId::local());
}
