//! A long history of jobs, put straight into the engine.

use std::collections::VecDeque;

use ebbtide_engine::{Commit, SharedEngine, Sync};
use ebbtide_runtime::testing::Past;
use ebbtide_runtime::{JobId, Status};

use super::Error;

/// Tables that the jobs are of.
pub(super) const TABLES: u64 = 20;
/// The namespace of those tables.
pub(super) const NAMESPACE: &str = "past";

const DAY: i64 = 86_400_000_000;
/// The jobs are spread over so many days, and end a day or more before now.
const DAYS: i64 = 60;
/// One in so many failed, and one was cancelled.
const UNLUCKY_EVERY: u64 = 100;

/// Jobs in one commit.
const COMMIT_JOBS: u64 = 500;
/// Commits that wait for the engine.
const UNDER_WAY_MAX: usize = 8;
/// Of so many jobs one id is kept.
const SAMPLE_EVERY: u64 = 997;

/// The name of one of the tables.
pub(super) fn table(number: u64) -> String {
    format!("table_{:02}", number % TABLES)
}

/// Stores `count` jobs that ended before the day before `now`, durable, and gives some of their ids.
pub(super) async fn fill(engine: &SharedEngine, count: u64, now: i64) -> Result<Vec<JobId>, Error> {
    let begun = now - (DAYS + 1) * DAY;
    let pause = DAYS * DAY / i64::try_from(count.max(1))?;
    let mut sample = Vec::new();
    let mut writes = Vec::new();
    let mut under_way = VecDeque::with_capacity(UNDER_WAY_MAX);
    for number in 0..count {
        let created_at = begun + pause * i64::try_from(number)?;
        let past = Past {
            workflow: format!("workflow {}", number % 3),
            kind: "flush".to_owned(),
            scope: Some((NAMESPACE.to_owned(), table(number))),
            status: match number % UNLUCKY_EVERY {
                0 => Status::Failed,
                1 => Status::Cancelled,
                _ => Status::Completed,
            },
            created_at,
            ended_at: created_at + 1_000_000,
            idempotency_key: None,
        };
        let id = id_at(created_at)?;
        writes.extend(past.writes(&id));
        if number % SAMPLE_EVERY == 0 {
            sample.push(id);
        }
        if number % COMMIT_JOBS == COMMIT_JOBS - 1 || number + 1 == count {
            let writes = std::mem::take(&mut writes);
            under_way.push_back(engine.commit(Commit { writes, sync: Sync::Unsynced, ..Commit::default() }));
            if under_way.len() >= UNDER_WAY_MAX
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.await?;
            }
        }
    }
    for rest in under_way {
        rest.await?;
    }
    engine.commit(Commit::default()).await?;
    Ok(sample)
}

/// An id as a runtime would have given it at that time: a version 7 UUID.
fn id_at(micros: i64) -> Result<JobId, Error> {
    let millis = micros / 1000;
    let (chance, more): (u16, u64) = (rand::random(), rand::random());
    let text = format!(
        "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
        millis >> 16,
        millis & 0xffff,
        chance & 0xfff,
        0x8000 | (more >> 48) & 0x3fff,
        more & 0xffff_ffff_ffff
    );
    text.parse().map_err(|_| format!("{text} is no id").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_times() {
        let at = |micros| id_at(micros).unwrap().to_string();
        assert!(at(1_750_000_000_000_000) < at(1_750_000_000_001_000));
        assert!(at(1_750_000_065_535_000) < at(1_750_000_065_536_000));
    }
}
