//! One table of notes, USER or SHARED, writers that keep a ledger of what they were told, and flushes that are waited
//! for.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::Client;

use super::ledger::Ledger;
use super::rows::{rows, run, value};
use super::{Place, Server, python};

/// Users of the test: plain, and as hard for a path as they come.
pub(crate) const USERS: [&str; 3] = ["ana", "Ben", "../c ☃"];

/// (writer, number of the row). In a USER table the writer is the row's owner too.
pub(crate) type Note = (String, i64);

/// Makes a USER table. It is flushed only when a test says so.
pub(crate) async fn create(server: &Server) {
    create_as(server, "USER").await;
}

/// Makes the table as `USER` or `SHARED`.
pub(crate) async fn create_as(server: &Server, kind: &str) {
    let admin = server.connect("admin").await;
    run(
        &admin,
        &format!(
            "CREATE NAMESPACE chat; \
             CREATE {kind} TABLE chat.notes (id BIGINT NOT NULL, body TEXT, writer TEXT) FLUSH INTERVAL 86399s"
        ),
    )
    .await;
}

/// Writers, one for each user, until they are stopped or the server dies.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Writers {
    /// Starts them. Rows are numbered from `first`; each statement writes three.
    pub(crate) fn start(server: &Server, ledger: &Arc<Ledger<Note>>, first: i64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let connect = |user| server.connection(user);
        let tasks = USERS
            .iter()
            .map(|user| {
                let (ledger, stop, config) = (Arc::clone(ledger), Arc::clone(&stop), connect(user));
                tokio::spawn(async move {
                    let Ok(client) = Server::open(&config).await else { return };
                    let mut next = first;
                    while !stop.load(Ordering::Relaxed) && write(&client, user, next, &ledger).await {
                        next += 3;
                    }
                })
            })
            .collect();
        Self { stop, tasks }
    }

    /// Stops them, or waits until they noticed that the server is gone.
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a writer does not panic");
        }
    }
}

/// Writes three rows as one statement and notes what came of it; false when nobody answered.
pub(crate) async fn write(client: &Client, user: &str, first: i64, ledger: &Ledger<Note>) -> bool {
    let notes = (first..first + 3).map(|id| (user.to_owned(), id));
    let values: Vec<_> = (first..first + 3).map(|id| format!("({id}, '{}', '{user}')", body(id))).collect();
    match client.batch_execute(&format!("INSERT INTO chat.notes VALUES {}", values.join(", "))).await {
        Ok(()) => {
            ledger.acknowledged(notes);
            true
        }
        Err(error) => {
            // A server that could still say no has not written; one that is gone may have.
            match error.as_db_error() {
                Some(told) => eprintln!("{user}: {}", told.message()),
                None => ledger.in_doubt(notes),
            }
            false
        }
    }
}

/// Writes many rows at once, by COPY; nothing is to go wrong with it.
pub(crate) async fn load(client: &Client, user: &str, ids: Range<i64>, ledger: &Ledger<Note>) {
    let lines: String = ids.clone().map(|id| format!("{id}\t{}\t{user}\n", body(id))).collect();
    let mut sink = pin!(client.copy_in("COPY chat.notes FROM STDIN").await.expect("COPY begins"));
    sink.send(Bytes::from(lines)).await.expect("the server takes rows");
    let taken = sink.finish().await.expect("COPY ends");
    assert_eq!(taken, ids.clone().count() as u64);
    ledger.acknowledged(ids.map(|id| (user.to_owned(), id)));
}

/// What a note says, so that a row can be told from another's.
fn body(id: i64) -> String {
    format!("note {id} {}", "x".repeat(usize::try_from(id % 50).expect("it is small")))
}

/// Flushes until nothing is hot, and waits for the end of every job; the status that the first one ended with.
/// Nobody may write meanwhile. The server needs `Plan::trace`.
///
/// One flush need not be all: asked for while another one runs, it is that one, and a follow-up comes after it.
pub(crate) async fn flush(server: &mut Server, admin: &Client) -> String {
    const FLUSHES_MAX: usize = 10;
    let mut first = None;
    for _ in 0..FLUSHES_MAX {
        let status = flush_once(server, admin).await;
        let status = first.get_or_insert(status);
        let hot = value(admin, "SELECT hot_rows FROM system.tables WHERE table_name = 'notes'").await;
        let active = value(admin, "SELECT count(*) FROM system.jobs WHERE status IN ('pending', 'running')").await;
        if status != "completed" || (hot == "0" && active == "0") {
            return status.clone();
        }
    }
    panic!("rows are hot after {FLUSHES_MAX} flushes; the server said:\n{}", server.output.tail())
}

/// Asks for a flush and waits for the end of the job that it is told; the status it ended with.
pub(crate) async fn flush_once(server: &mut Server, admin: &Client) -> String {
    let job = begin_flush(admin).await;
    ended(server, admin, &job).await
}

/// Asks for a flush and waits for nothing; the job's id.
pub(crate) async fn begin_flush(admin: &Client) -> String {
    let flushed = rows(admin, "FLUSH TABLE chat.notes").await;
    flushed[0][0].clone().expect("a flush has an id")
}

/// Waits for the end of a job; the status it ended with.
pub(crate) async fn ended(server: &mut Server, admin: &Client, job: &str) -> String {
    loop {
        let ended = server.points().iter().filter(|point| *point == "job.done").count();
        let status = value(admin, &format!("SELECT status FROM system.jobs WHERE job_id = '{job}'")).await;
        if !["pending", "running", "retrying"].contains(&status.as_str()) {
            return status;
        }
        server.reached_more_than("job.done", ended).await;
    }
}

/// Checks everything that must hold when nothing runs: the ledger, in SQL and for each user alone; that the files hold
/// what the manifest says, as a foreign reader sees it; and that nothing else lies there.
pub(crate) async fn check(place: &Place, server: &Server, ledger: &Ledger<Note>, what: &str) {
    check_in_sql(server, ledger, what).await;
    let admin = server.connect("admin").await;
    files_hold_what_the_manifest_says(place, &admin, what).await;
}

/// [`check`], where files may lie that nobody names: a job that was killed is not taken up again, and only that would
/// remove what its last step had written and could not hand over.
pub(crate) async fn check_but_strays(place: &Place, server: &Server, ledger: &Ledger<Note>, what: &str) {
    check_in_sql(server, ledger, what).await;
    let admin = server.connect("admin").await;
    named_files_hold_what_the_manifest_says(place, &admin, what).await;
}

/// The part of [`check`] that SQL can tell.
pub(crate) async fn check_in_sql(server: &Server, ledger: &Ledger<Note>, what: &str) {
    let admin = server.connect("admin").await;
    let all = rows(&admin, "SELECT writer, id, body FROM chat.notes").await;
    for row in &all {
        let (Some(id), Some(found)) = (&row[1], &row[2]) else { panic!("{what}: NULLs were never written: {row:?}") };
        assert_eq!(*found, body(id.parse().expect("a number")), "{what}: the row is not the one that was written");
    }
    ledger.check(all.iter().map(|row| note(row[0].as_deref(), row[1].as_deref())), what);
    let shared = value(&admin, "SELECT table_type FROM system.tables WHERE table_name = 'notes'").await == "shared";
    if !shared {
        let strangers = "SELECT count(*) FROM chat.notes WHERE _user_id <> writer";
        assert_eq!(value(&admin, strangers).await, "0", "{what}: a row belongs to somebody else");
    }
    for user in USERS {
        let client = server.connect(user).await;
        let seen = rows(&client, "SELECT id FROM chat.notes").await;
        let expected = all.iter().filter(|row| shared || row[0].as_deref() == Some(user)).count();
        assert_eq!(seen.len(), expected, "{what}: {user} does not see exactly his rows");
    }
}

fn note(user: Option<&str>, id: Option<&str>) -> Note {
    (user.expect("a row has a writer").to_owned(), id.and_then(|id| id.parse().ok()).expect("a row has its number"))
}

/// The part of [`check`] that the folder can tell.
pub(crate) async fn files_hold_what_the_manifest_says(place: &Place, admin: &Client, what: &str) {
    let named = named_files_hold_what_the_manifest_says(place, admin, what).await;
    let there: BTreeSet<_> = place.files("parquet").into_iter().collect();
    let strays: Vec<_> = there.difference(&named).collect();
    assert!(strays.is_empty(), "{what}: nobody names {strays:?}");
}

/// The files that the manifest names.
async fn named_files_hold_what_the_manifest_says(place: &Place, admin: &Client, what: &str) -> BTreeSet<PathBuf> {
    let segments = rows(admin, "SELECT path, bytes, rows, user_id FROM system.segments").await;
    let mut named = BTreeSet::new();
    for segment in &segments {
        let text = |column: usize| segment[column].clone().expect("it is not NULL");
        let path = place.local_storage().join(text(0));
        let about = std::fs::metadata(&path)
            .unwrap_or_else(|error| panic!("{what}: the manifest names {}: {error}", path.display()));
        assert_eq!(about.len().to_string(), text(1), "{what}: {} has another size", path.display());
        named.insert(path);
    }
    if named.is_empty() {
        return named;
    }
    let read =
        python::read("read_parquet.py", ["duckdb".as_ref()].into_iter().chain(named.iter().map(|p| p.as_os_str())));
    let columns: Vec<_> = read["columns"].as_array().expect("a list").iter().map(|column| &column[0]).collect();
    let at = |name: &str| columns.iter().position(|column| *column == name).expect("the column is in the files");
    let (user, id) = (at("writer"), at("id"));
    let in_files: Vec<_> =
        read["rows"].as_array().expect("a list").iter().map(|row| note(row[user].as_str(), row[id].as_str())).collect();
    let distinct: BTreeSet<_> = in_files.iter().collect();
    assert_eq!(distinct.len(), in_files.len(), "{what}: a row is in the files twice");
    let expected: u64 = segments.iter().filter_map(|segment| segment[2].as_deref()?.parse::<u64>().ok()).sum();
    assert_eq!(in_files.len() as u64, expected, "{what}: the files hold other rows than the manifest counts");
    named
}
