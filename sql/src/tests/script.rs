//! `who  statement`, line by line, and what came of it.

use crate::{Database, DatabaseOptions, Error, Identity, Outcome, Session};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use ebbtide_engine::env::SystemEnv;
use ebbtide_runtime::{Status, Trigger};
use ebbtide_store::UserId;
use expect_test::Expect;
use futures::StreamExt;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// An open database and its sessions.
pub(super) struct World {
    pub(super) database: Database,
    sessions: HashMap<String, Session>,
    said: String,
    directory: TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A database with other options than the usual ones.
    pub(super) async fn with(change: impl FnOnce(&mut DatabaseOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = DatabaseOptions::at(directory.path());
        change(&mut options);
        let database = Database::open(options, Arc::new(SystemEnv)).await.unwrap();
        Self { database, sessions: HashMap::new(), said: String::new(), directory }
    }

    /// The session of `admin`, who is the service, or of a user.
    pub(super) fn session(&mut self, who: &str) -> &Session {
        let database = &self.database;
        self.sessions.entry(who.to_owned()).or_insert_with(|| {
            database.session(match who {
                "admin" => Identity::Service(who.to_owned()),
                user => Identity::User(UserId::new(user).unwrap()),
            })
        })
    }

    /// The folder that all of it is in. Scripts call it `{dir}`.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs one statement to its end: rows as text, or its error.
    pub(super) async fn run(&mut self, who: &str, sql: &str) -> Result<Vec<String>, Error> {
        let sql = sql.replace(DIRECTORY, &self.directory().display().to_string());
        let outcome = self.session(who).run(&sql).await?;
        rows(outcome).await
    }

    /// The folders below this one that hold segments, each with how many.
    pub(super) fn files(&self, below: &str) -> Vec<String> {
        let root = self.directory().join(below);
        let mut found = BTreeMap::new();
        count_files(&root, &mut found);
        let named =
            |(folder, count): (PathBuf, usize)| format!("{} {count}", folder.strip_prefix(&root).unwrap().display());
        found.into_iter().map(named).collect()
    }

    /// One value of one row.
    pub(super) async fn one(&mut self, who: &str, sql: &str) -> String {
        let mut rows = self.run(who, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0)
    }

    /// Flushes a table and waits until it is done.
    pub(super) async fn flush(&self, namespace: &str, table: &str) {
        let flusher = self.database.flusher();
        let job = flusher.flush_table(namespace, table, Trigger::Manual).await.unwrap();
        let job = self.database.runtime().wait(job.id()).await.unwrap();
        assert_eq!(job.status, Status::Completed, "{job:?}");
    }

    /// Closes the database and opens it again.
    pub(super) async fn restart(&mut self) {
        self.sessions.clear();
        self.database.close(Duration::from_secs(10)).await;
        let options = DatabaseOptions::at(self.directory.path());
        // The old one must be gone before its folder is free.
        let placeholder = tempfile::tempdir().unwrap();
        let other = Database::open(DatabaseOptions::at(placeholder.path()), Arc::new(SystemEnv)).await.unwrap();
        drop(std::mem::replace(&mut self.database, other));
        let opened = Database::open(options, Arc::new(SystemEnv)).await.unwrap();
        let other = std::mem::replace(&mut self.database, opened);
        other.close(Duration::ZERO).await;
    }

    /// Runs a script: `who  statement`, `flush ns.t`, `files folder`, `restart`. Rows and errors are kept.
    pub(super) async fn script(&mut self, script: &str) -> &mut Self {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (who, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.trim();
            match who {
                "flush" => {
                    let (namespace, table) = rest.split_once('.').unwrap();
                    self.flush(namespace, table).await;
                }
                "files" => self.files(rest).iter().for_each(|line| self.say(&format!("{rest}: {line}"))),
                "restart" => self.restart().await,
                "--" => self.say(rest),
                who => match self.run(who, rest).await {
                    Ok(rows) => rows.iter().for_each(|row| self.say(&format!("{who}| {row}"))),
                    Err(error) => {
                        let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
                        self.say(&format!("{who}! {} {}{hint}", error.sqlstate, error.message));
                    }
                },
            }
        }
        self
    }

    fn say(&mut self, line: &str) {
        self.said.push_str(&line.replace(&self.directory().display().to_string(), DIRECTORY));
        self.said.push('\n');
    }

    /// What the scripts gave so far.
    pub(super) fn expect(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.said));
    }
}

impl Drop for World {
    /// A process that ends while threads still work on the engine ends with an abort inside it.
    fn drop(&mut self) {
        let database = self.database.clone();
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(database.close(Duration::ZERO)));
    }
}

/// What a script calls the folder of its database.
const DIRECTORY: &str = "{dir}";

fn count_files(folder: &Path, found: &mut BTreeMap<PathBuf, usize>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            *found.entry(folder.to_owned()).or_default() += 1;
        }
    }
}

/// A script on a database of its own.
pub(super) async fn check(script: &str, expected: Expect) {
    let mut world = World::new().await;
    world.script(script).await.expect(expected);
    world.database.close(Duration::from_secs(10)).await;
}

/// All rows of an outcome as text.
pub(super) async fn rows(outcome: Outcome) -> Result<Vec<String>, Error> {
    let Outcome::Rows { mut stream, .. } = outcome else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        rows.extend(texts(&batch?));
    }
    Ok(rows)
}

fn texts(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | "))
        .collect()
}
