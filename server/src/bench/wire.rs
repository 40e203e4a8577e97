//! Rows into a server over the PostgreSQL wire, the same way whichever server it is.

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures::SinkExt;
use postgres_types::ToSql;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use super::Error;
use super::figures::Latencies;
use super::rows::{COLUMNS, Row, user_name};

/// Rows of one INSERT.
const INSERT_ROWS: usize = 100;
/// Users of a run.
const USERS: u32 = 1000;
/// Rows that a user writes before the next one does.
const BURST_ROWS: u32 = 10;
/// Bytes sent together by COPY.
const CHUNK_BYTES: usize = 64 << 10;

/// A server to load rows into.
pub(super) struct Target {
    url: String,
    /// What makes the schema and, with a table's name in it, a table.
    schema: &'static str,
    table_kind: &'static str,
    columns: String,
    table_options: &'static str,
}

impl Target {
    /// One of ours. The service brings rows for many users, and no trigger moves them while the clock runs.
    pub(super) fn ours(address: SocketAddr) -> Target {
        Target {
            url: format!("postgres://{}@{address}/ebbtide", crate::wire::SERVICE_NAME),
            schema: "CREATE NAMESPACE IF NOT EXISTS bench",
            table_kind: "USER TABLE",
            columns: declared(),
            table_options: "FLUSH INTERVAL 86399s",
        }
    }

    /// PostgreSQL, where the owner is a column like any other.
    pub(super) fn postgres(url: String) -> Target {
        Target {
            url,
            schema: "CREATE SCHEMA IF NOT EXISTS bench",
            table_kind: "TABLE",
            columns: format!("_user_id TEXT NOT NULL, {}", declared()),
            table_options: "",
        }
    }

    /// Loads rows into a table of their own, `bench.t{number}`, and counts them there.
    pub(super) async fn load(&self, load: Load, number: u32) -> Result<Loaded, Error> {
        self.try_load(load, number).await.map_err(|error| format!("{load}, at {}: {}", self.url, told(error)).into())
    }

    async fn try_load(&self, load: Load, number: u32) -> Result<Loaded, Error> {
        let client = self.connect().await?;
        let table = format!("bench.t{number}");
        client.batch_execute(self.schema).await?;
        let sql = format!("CREATE {} {table} ({}) {}", self.table_kind, self.columns, self.table_options);
        client.batch_execute(&sql).await?;

        let begin = Arc::new(Barrier::new(load.connections as usize + 1));
        let mut lanes = JoinSet::new();
        for lane in 0..load.connections {
            let (client, table, begin) = (self.connect().await?, table.clone(), begin.clone());
            let share = load.share(lane);
            lanes.spawn(async move {
                if load.insert {
                    insert(&client, &table, share, &begin).await
                } else {
                    copy(&client, &table, share, &begin).await
                }
            });
        }
        // A lane that fails before it begins would leave the others waiting: look at both.
        let mut latencies = Latencies::default();
        let mut ended = Vec::new();
        tokio::select! {
            _ = begin.wait() => {}
            Some(lane) = lanes.join_next() => ended.push(lane??),
        }
        let begun = Instant::now();
        while let Some(lane) = lanes.join_next().await {
            ended.push(lane??);
        }
        let took = begun.elapsed();
        ended.into_iter().for_each(|lane| latencies.append(lane));

        let count: i64 = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0);
        if count != i64::from(load.rows) {
            return Err(format!("{} rows went into {table} of {} and {count} are there", load.rows, self.url).into());
        }
        Ok(Loaded { took, latencies })
    }

    async fn connect(&self) -> Result<Client, Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told of the error as well.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection ended");
            }
        });
        Ok(client)
    }
}

/// An error with what the server said: the client's own text for it is no more than "db error".
fn told(error: Error) -> String {
    let said = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::as_db_error);
    said.map_or_else(|| error.to_string(), |said| format!("{} {}", said.code().code(), said))
}

/// The columns as both servers understand them.
fn declared() -> String {
    COLUMNS.map(|(name, column_type)| format!("{name} {column_type} NOT NULL")).join(", ")
}

/// How many rows go in, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// By INSERTs of [`INSERT_ROWS`] rows; otherwise by one COPY per connection.
    pub(super) insert: bool,
    pub(super) rows: u32,
    pub(super) connections: u32,
}

impl Load {
    /// The rows of one connection.
    fn share(self, lane: u32) -> Vec<Owned> {
        let from = |lane: u32| u64::from(self.rows) * u64::from(lane) / u64::from(self.connections);
        (from(lane)..from(lane + 1)).map(|place| Owned::at(u32::try_from(place).unwrap_or(u32::MAX))).collect()
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.connections == 1 { "" } else { "s" };
        match self.insert {
            true => write!(f, "INSERT of {INSERT_ROWS} rows, {} connection{plural}", self.connections),
            false => write!(f, "COPY, {} connection{plural}", self.connections),
        }
    }
}

/// How a run went.
pub(super) struct Loaded {
    pub(super) took: Duration,
    /// Of each INSERT, or of each connection's COPY.
    pub(super) latencies: Latencies,
}

/// A row with its owner.
struct Owned {
    user: String,
    row: Row,
    sent_at: SystemTime,
}

impl Owned {
    fn at(place: u32) -> Owned {
        let (burst, within) = (place / BURST_ROWS, place % BURST_ROWS);
        let (user, number) = (burst % USERS, burst / USERS * BURST_ROWS + within);
        let row = Row::message(user, number);
        let since = Duration::from_micros(u64::try_from(row.sent_at).unwrap_or(0));
        Owned { user: user_name(user), sent_at: SystemTime::UNIX_EPOCH + since, row }
    }
}

fn column_names() -> String {
    format!("_user_id, {}", COLUMNS.map(|(name, _)| name).join(", "))
}

/// One COPY. The text is made before the clock runs: what is measured is the server.
async fn copy(client: &Client, table: &str, rows: Vec<Owned>, begin: &Barrier) -> Result<Latencies, Error> {
    let chunks = copy_text(&rows);
    let sql = format!("COPY {table} ({}) FROM STDIN", column_names());
    begin.wait().await;
    let begun = Instant::now();
    let mut sink = pin!(client.copy_in::<_, Bytes>(&sql).await?);
    for chunk in chunks {
        sink.send(chunk).await?;
    }
    let taken = sink.finish().await?;
    if taken != rows.len() as u64 {
        return Err(format!("{} rows were sent and the server took {taken}", rows.len()).into());
    }
    let mut latencies = Latencies::default();
    latencies.push(begun.elapsed());
    Ok(latencies)
}

fn copy_text(rows: &[Owned]) -> Vec<Bytes> {
    use std::fmt::Write;
    let mut chunks = Vec::new();
    let mut text = String::with_capacity(CHUNK_BYTES + 512);
    for Owned { user, row, .. } in rows {
        // Nothing in these rows has a meaning in COPY.
        let at = chrono::DateTime::from_timestamp_micros(row.sent_at).unwrap_or_default();
        let edited = if row.edited { 't' } else { 'f' };
        let line = writeln!(
            text,
            "{user}\t{}\t{}\t{}\t{}\t{edited}",
            row.id,
            row.conversation,
            row.message,
            at.format("%Y-%m-%d %H:%M:%S%.6f+00")
        );
        line.expect("text takes everything");
        if text.len() >= CHUNK_BYTES {
            chunks.push(Bytes::from(std::mem::replace(&mut text, String::with_capacity(CHUNK_BYTES + 512))));
        }
    }
    chunks.push(Bytes::from(text));
    chunks
}

/// One INSERT after another, each acknowledged before the next: a prepared statement, all values as parameters.
async fn insert(client: &Client, table: &str, rows: Vec<Owned>, begin: &Barrier) -> Result<Latencies, Error> {
    let full = client.prepare(&insert_sql(table, INSERT_ROWS)).await?;
    let rest = match rows.len() % INSERT_ROWS {
        0 => None,
        rest => Some(client.prepare(&insert_sql(table, rest)).await?),
    };
    begin.wait().await;
    let mut latencies = Latencies::default();
    let mut values: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(INSERT_ROWS * (COLUMNS.len() + 1));
    for rows in rows.chunks(INSERT_ROWS) {
        values.clear();
        for Owned { user, row, sent_at } in rows {
            values.extend([
                user as &(dyn ToSql + Sync),
                &row.id,
                &row.conversation,
                &row.message,
                sent_at,
                &row.edited,
            ]);
        }
        let statement = if rows.len() == INSERT_ROWS { &full } else { rest.as_ref().unwrap_or(&full) };
        let begun = Instant::now();
        let taken = client.execute(statement, &values).await?;
        latencies.push(begun.elapsed());
        if taken != rows.len() as u64 {
            return Err(format!("{} rows were sent and the server took {taken}", rows.len()).into());
        }
    }
    Ok(latencies)
}

fn insert_sql(table: &str, rows: usize) -> String {
    let width = COLUMNS.len() + 1;
    let tuple = |row: usize| {
        let places: Vec<String> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", places.join(", "))
    };
    let tuples: Vec<String> = (0..rows).map(tuple).collect();
    format!("INSERT INTO {table} ({}) VALUES {}", column_names(), tuples.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_connections_add_up() {
        let load = Load { insert: true, rows: 1003, connections: 16 };
        let rows: usize = (0..16).map(|lane| load.share(lane).len()).sum();
        assert_eq!(rows, 1003);
    }

    #[test]
    fn statements_number_their_parameters() {
        let sql = insert_sql("t", 2);
        assert!(sql.ends_with("VALUES ($1, $2, $3, $4, $5, $6), ($7, $8, $9, $10, $11, $12)"), "{sql}");
        let text = copy_text(&[Owned::at(0), Owned::at(1)]).concat();
        let text = String::from_utf8(text).expect("text");
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.split('\t').count() == COLUMNS.len() + 1), "{text}");
    }
}
