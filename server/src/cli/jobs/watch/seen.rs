//! One look at the server: what is active, what ended of late, and how many jobs have each status.

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::super::super::client;

/// Active jobs that are shown; more are counted.
const ACTIVE_MAX: usize = 50;
/// Among how many of the newest jobs that are over the last ended ones are looked for.
const ENDED_MAX: usize = 20;

/// What one look gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Not over, the running ones first.
    pub(super) active: Vec<Job>,
    /// Over, the last ended one first.
    pub(super) ended: Vec<Job>,
    /// How many jobs have each status, where any has.
    pub(super) counts: Vec<(String, u64)>,
}

/// A job as `system.jobs` has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) kind: String,
    /// The table as namespace.table, or else the declared name.
    pub(super) subject: String,
    pub(super) status: String,
    pub(super) state: String,
    pub(super) user: Option<String>,
    pub(super) users_done: u64,
    pub(super) users_total: u64,
    pub(super) rows_done: u64,
    pub(super) attempt: u64,
    pub(super) error: Option<String>,
    /// When it ended, as the server wrote it.
    pub(super) ended_at: Option<String>,
}

const COLUMNS: &str = "job_id, job_type, workflow, namespace, table_name, status, state, current_user_id, users_done, \
     users_total, rows_done, attempt, error, coalesce(completed_at, cancelled_at) AS ended_at";

impl Seen {
    /// Asks the server, with one message.
    pub(super) async fn look(client: &Client) -> Result<Self, client::Error> {
        let listed = |statuses: &str, jobs_max: usize| {
            format!(
                "SELECT {COLUMNS} FROM system.jobs WHERE status IN ({statuses}) ORDER BY created_at DESC LIMIT {jobs_max}"
            )
        };
        let sql = [
            listed("'running'", ACTIVE_MAX),
            listed("'pending', 'retrying', 'paused', 'parked'", ACTIVE_MAX),
            listed("'completed', 'failed', 'cancelled', 'skipped'", ENDED_MAX),
            "SELECT status, count(*) AS jobs FROM system.jobs GROUP BY status".to_owned(),
        ];
        let mut seen = Self::default();
        let mut answer = 0;
        for message in client.simple_query(&sql.join("; ")).await? {
            match message {
                SimpleQueryMessage::RowDescription(_) => answer += 1,
                SimpleQueryMessage::Row(row) => match answer {
                    1 | 2 => seen.active.push(Job::read(&row)),
                    3 => seen.ended.push(Job::read(&row)),
                    _ => seen.counts.push((text(&row, "status").unwrap_or_default(), number(&row, "jobs"))),
                },
                _ => {}
            }
        }
        seen.active.truncate(ACTIVE_MAX);
        // Times of one zone are in the order of their text, also where the last digits are zeros and left out.
        seen.ended.sort_by(|one, other| other.ended_at.cmp(&one.ended_at));
        seen.counts.sort();
        Ok(seen)
    }

    /// How many jobs have this status.
    pub(super) fn count(&self, status: &str) -> u64 {
        self.counts.iter().find(|(of, _)| of == status).map_or(0, |(_, jobs)| *jobs)
    }
}

impl Job {
    fn read(row: &SimpleQueryRow) -> Self {
        let table = text(row, "namespace").zip(text(row, "table_name"));
        Self {
            id: text(row, "job_id").unwrap_or_default(),
            kind: text(row, "job_type").unwrap_or_default(),
            subject: match table {
                Some((namespace, table)) => format!("{namespace}.{table}"),
                None => text(row, "workflow").unwrap_or_default(),
            },
            status: text(row, "status").unwrap_or_default(),
            state: text(row, "state").unwrap_or_default(),
            user: text(row, "current_user_id"),
            users_done: number(row, "users_done"),
            users_total: number(row, "users_total"),
            rows_done: number(row, "rows_done"),
            attempt: number(row, "attempt"),
            error: text(row, "error"),
            ended_at: text(row, "ended_at"),
        }
    }
}

fn text(row: &SimpleQueryRow, column: &str) -> Option<String> {
    row.try_get(column).ok().flatten().map(str::to_owned)
}

fn number(row: &SimpleQueryRow, column: &str) -> u64 {
    text(row, column).and_then(|number| number.parse().ok()).unwrap_or(0)
}
