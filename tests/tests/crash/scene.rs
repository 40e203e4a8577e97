//! Tables, rows and writers; and what must be true after any number of deaths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;

use crate::kit::ledger::Ledger;
use crate::kit::{PATIENCE, Place, Server, python, rows};

/// A row as the ledger knows it: the table, the owner (empty for the shared table), the id.
pub(super) type Row = (&'static str, String, i64);

pub(super) const NOTES: &str = "life.notes";
pub(super) const LOG: &str = "life.log";

/// Owners that make paths hard: dots, a slash, case twins, one that is long.
const USERS: [&str; 5] = ["ana", "Ana", "../up", "ben.", "a-name-of-some-length-with-emoji-🦀"];
/// One more owner, whose rows make several parts.
const GIANT: &str = "giant";

const ROWS_PER_USER: i64 = 20;
const ROWS_OF_GIANT: i64 = 150;
/// Ids that writers give out start here, so that they never meet those of the loaded rows.
const WRITERS_FROM: i64 = 1_000_000;

/// Small parts and row groups, so that a few rows make many; one retry at once, so that nothing waits.
const SETTINGS: &str = r#"
[flush]
row_group_rows_max = 16
segment_rows_max = 50
"#;

pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) ledger: Arc<Ledger<Row>>,
    next_id: Arc<std::sync::atomic::AtomicI64>,
}

impl Scene {
    /// Tables with rows, all hot, and a server that was killed since.
    pub(super) async fn loaded(place: Place) -> Self {
        let scene = Self::empty(place).await;
        let server = scene.place.start().await;
        let admin = server.connect("admin").await;
        for user in USERS {
            scene.load(&admin, NOTES, user, ROWS_PER_USER).await;
        }
        scene.load(&admin, NOTES, GIANT, ROWS_OF_GIANT).await;
        scene.load(&admin, LOG, "", ROWS_PER_USER).await;
        drop(server);
        scene
    }

    /// Tables without rows.
    pub(super) async fn empty(place: Place) -> Self {
        place.settings(SETTINGS);
        let mut server = place.start().await;
        let admin = server.connect("admin").await;
        rows::run(&admin, "CREATE NAMESPACE life").await;
        rows::run(&admin, "CREATE USER TABLE life.notes (id BIGINT NOT NULL, body TEXT) FLUSH ROW_THRESHOLD 900000")
            .await;
        rows::run(&admin, "CREATE SHARED TABLE life.log (id BIGINT NOT NULL, body TEXT) FLUSH ROW_THRESHOLD 900000")
            .await;
        server.kill().await;
        let next_id = Arc::new(std::sync::atomic::AtomicI64::new(WRITERS_FROM));
        Self { place, ledger: Arc::new(Ledger::new()), next_id }
    }

    /// Rows by one acknowledged statement.
    pub(super) async fn load(&self, admin: &Client, table: &'static str, user: &str, count: i64) {
        let ids: Vec<i64> = (0..count).map(|_| self.id()).collect();
        rows::run(admin, &insert(table, user, &ids)).await;
        self.ledger.acknowledged(ids.into_iter().map(|id| (table, user.to_owned(), id)));
    }

    fn id(&self) -> i64 {
        self.next_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Writes to both tables, two rows a statement, until the server is gone.
    pub(super) fn writer(&self, server: &Server, number: usize) -> tokio::task::JoinHandle<()> {
        let (ledger, next_id) = (self.ledger.clone(), self.next_id.clone());
        let connecting = server.connecting("admin");
        tokio::spawn(async move {
            let Ok(admin) = connecting.await else { return };
            for turn in number.. {
                let (table, user) = match turn % 7 {
                    0 => (LOG, ""),
                    n => (NOTES, if n == 6 { GIANT } else { USERS[n - 1] }),
                };
                let ids: Vec<i64> =
                    (0..2).map(|_| next_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).collect();
                let written: Vec<Row> = ids.iter().map(|id| (table, user.to_owned(), *id)).collect();
                match admin.batch_execute(&insert(table, user, &ids)).await {
                    Ok(()) => ledger.acknowledged(written),
                    Err(error) => {
                        assert!(error.as_db_error().is_none(), "a write was refused: {error:?}");
                        ledger.in_doubt(written);
                        return;
                    }
                }
            }
        })
    }

    /// Asks for a flush of both tables. A server that dies meanwhile is what these tests are about.
    pub(super) async fn ask_for_flushes(&self, server: &Server) {
        if let Ok(admin) = server.try_connect("admin").await {
            for table in [NOTES, LOG] {
                let _ = admin.batch_execute(&format!("FLUSH TABLE {table}")).await;
            }
        }
    }

    /// Starts a server that nothing happens to, lets every job end, and says what is wrong; empty when nothing is.
    pub(super) async fn complaints(&self, what: &str) -> Vec<String> {
        let server = self.place.start().await;
        let admin = server.connect("admin").await;
        jobs_end(&admin).await;
        let mut complaints = self.look(&admin).await;
        // And once more with everything cold that can be.
        for table in [NOTES, LOG] {
            rows::run(&admin, &format!("FLUSH TABLE {table}")).await;
        }
        jobs_end(&admin).await;
        complaints.extend(self.look(&admin).await);
        complaints.into_iter().map(|complaint| format!("{what}: {complaint}")).collect()
    }

    async fn look(&self, admin: &Client) -> Vec<String> {
        let mut complaints = Vec::new();
        let in_sql = self.in_sql(admin).await;
        complaints.extend(self.ledger.complaints(in_sql.iter().cloned()).into_iter().map(|c| format!("in SQL, {c}")));

        let segments = rows::rows(
            admin,
            "SELECT path, bytes, row_count, user_id, namespace, table_name FROM system.segments ORDER BY path",
        )
        .await;
        let root = self.place.local_storage();
        let named: BTreeSet<PathBuf> = segments.iter().map(|row| root.join(text(&row[0]))).collect();
        let there: BTreeSet<PathBuf> = self.place.files("parquet").into_iter().collect();
        complaints.extend(
            named.difference(&there).map(|path| format!("{} is in the manifest and not there", path.display())),
        );
        complaints
            .extend(there.difference(&named).map(|path| format!("{} is there and in no manifest", path.display())));
        for row in &segments {
            let size = std::fs::metadata(root.join(text(&row[0]))).map_or(0, |file| file.len());
            if size.to_string() != text(&row[1]) {
                complaints.push(format!("{} has {size} bytes, the manifest says {}", text(&row[0]), text(&row[1])));
            }
        }
        if complaints.is_empty() {
            // What another reader finds in the files, and what SQL says is still hot, are all rows, each once.
            let cold = cold_rows(&named);
            let hot = rows::value(admin, "SELECT sum(hot_rows) FROM system.tables").await;
            if (in_sql.len() - cold.len()).to_string() != hot {
                complaints.push(format!(
                    "{} rows in SQL, {} in the files, {hot} counted as hot",
                    in_sql.len(),
                    cold.len()
                ));
            }
            let mut counts: BTreeMap<&Row, usize> = BTreeMap::new();
            for row in &cold {
                *counts.entry(row).or_default() += 1;
            }
            complaints.extend(
                counts
                    .iter()
                    .filter(|(_, count)| **count > 1)
                    .map(|(row, count)| format!("{row:?} is in the files {count} times")),
            );
            let in_sql: BTreeSet<&Row> = in_sql.iter().collect();
            complaints.extend(
                counts
                    .keys()
                    .filter(|row| !in_sql.contains(*row))
                    .map(|row| format!("{row:?} is in a file and not in SQL")),
            );
        }
        let unfinished = rows::rows(
            admin,
            "SELECT job_id, status, state, error FROM system.jobs WHERE status NOT IN ('completed', 'cancelled')",
        )
        .await;
        complaints.extend(unfinished.iter().map(|row| format!("a job did not complete: {row:?}")));
        complaints
    }

    async fn in_sql(&self, admin: &Client) -> Vec<Row> {
        let notes = rows::rows(admin, "SELECT _user_id, id FROM life.notes").await;
        let log = rows::rows(admin, "SELECT id FROM life.log").await;
        let notes = notes.iter().map(|row| (NOTES, text(&row[0]).to_owned(), number(&row[1])));
        notes.chain(log.iter().map(|row| (LOG, String::new(), number(&row[0])))).collect()
    }
}

/// All rows of these files, as a reader that is not ours sees them.
fn cold_rows(files: &BTreeSet<PathBuf>) -> Vec<Row> {
    if files.is_empty() {
        return Vec::new();
    }
    let read = |table: &'static str, folder: &str| -> Vec<Row> {
        let files: Vec<&PathBuf> = files.iter().filter(|path| path.to_string_lossy().contains(folder)).collect();
        if files.is_empty() {
            return Vec::new();
        }
        let seen = python::read(
            "read_parquet.py",
            ["duckdb".as_ref()].into_iter().chain(files.iter().map(|path| path.as_os_str())),
        );
        let place =
            |name: &str| seen["columns"].as_array().expect("a list").iter().position(|column| column[0] == name);
        let (id, user) = (place("id").expect("every table has it"), place("_user_id"));
        seen["rows"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| {
                let owner = user.map_or("", |user| row[user].as_str().expect("an owner"));
                (table, owner.to_owned(), row[id].as_str().expect("an id").parse().expect("a number"))
            })
            .collect()
    };
    let mut found = read(NOTES, "/notes/");
    found.extend(read(LOG, "/log"));
    found
}

/// Waits until no job is left that could still run.
pub(super) async fn jobs_end(admin: &Client) {
    let ended = async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        loop {
            tick.tick().await;
            let open = rows::value(
                admin,
                "SELECT count(*) FROM system.jobs WHERE status IN ('pending', 'running', 'retrying')",
            )
            .await;
            if open == "0" {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("jobs end");
}

/// Waits until the server is dead or every job has ended.
pub(super) async fn dead_or_done(server: &mut Server) -> bool {
    let watching = match server.try_connect("admin").await {
        Ok(admin) => admin,
        Err(_) => return server.crashed().await,
    };
    let done = async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        loop {
            tick.tick().await;
            let open = "SELECT count(*) FROM system.jobs WHERE status IN ('pending', 'running', 'retrying')";
            match watching.simple_query(open).await {
                Ok(answer) => {
                    let none = answer.iter().any(|message| {
                        matches!(message, tokio_postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some("0"))
                    });
                    if none {
                        return false;
                    }
                }
                Err(_) => return true,
            }
        }
    };
    let died = tokio::time::timeout(PATIENCE, done).await.expect("jobs end, or the server does");
    if died { server.crashed().await } else { false }
}

fn insert(table: &str, user: &str, ids: &[i64]) -> String {
    let quoted = user.replace('\'', "''");
    let values: Vec<String> = ids
        .iter()
        .map(|id| match table {
            NOTES => format!("('{quoted}', {id}, 'row {id}')"),
            _ => format!("({id}, 'row {id}')"),
        })
        .collect();
    let columns = if table == NOTES { "_user_id, id, body" } else { "id, body" };
    format!("INSERT INTO {table} ({columns}) VALUES {}", values.join(", "))
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().expect("never NULL here")
}

fn number(value: &Option<String>) -> i64 {
    text(value).parse().expect("a number")
}
