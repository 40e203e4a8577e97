//! Rows into the hot tier past SQL, in the order in which a chat brings them: users take turns.

use std::collections::VecDeque;
use std::sync::Arc;

use ebbtide_engine::env::{Env, SystemEnv};
use ebbtide_engine::{Commit, SharedEngine, Sync};
use ebbtide_store::{Table, UserId, hot};
use tokio::sync::mpsc;

use super::Error;
use super::rows::{Shape, batch, user_name};

/// Rows that a user brings in one turn: a tenth of what he has, within these.
const TURN_ROWS_MAX: u32 = 1000;
const TURNS: u32 = 10;
/// Rows in a commit, about.
const COMMIT_ROWS: u32 = 4096;
/// Commits that are encoded and wait to be made.
const READY_MAX: usize = 4;
/// Commits that wait for the engine.
const UNDER_WAY_MAX: usize = 8;

/// Adds rows `first_row..` of each user, `shape.rows_per_user` of them, and waits until they are durable.
pub(super) async fn load(engine: &SharedEngine, table: &Arc<Table>, shape: Shape, first_row: u32) -> Result<(), Error> {
    let (ready, mut commits) = mpsc::channel(READY_MAX);
    let encoding = tokio::task::spawn_blocking({
        let table = table.clone();
        move || encode(&table, shape, first_row, &ready)
    });
    let mut under_way = VecDeque::with_capacity(UNDER_WAY_MAX);
    while let Some(commit) = commits.recv().await {
        under_way.push_back(engine.commit(commit));
        if under_way.len() >= UNDER_WAY_MAX
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.await?;
        }
    }
    for rest in under_way {
        rest.await?;
    }
    encoding.await??;
    // A synced commit without writes makes those before it durable.
    engine.commit(Commit::default()).await?;
    Ok(())
}

fn encode(
    table: &Table,
    shape: Shape,
    first_row: u32,
    ready: &mpsc::Sender<Commit>,
) -> Result<(), ebbtide_store::Error> {
    let turn_rows = (shape.rows_per_user / TURNS).clamp(1, TURN_ROWS_MAX);
    let users_per_commit = (COMMIT_ROWS / turn_rows).max(1) as usize;
    let users: Vec<u32> = (0..shape.users).collect();
    let end = first_row + shape.rows_per_user;
    for from in (first_row..end).step_by(turn_rows as usize) {
        let numbers = from..(from + turn_rows).min(end);
        for users in users.chunks(users_per_commit) {
            let mut rows = Vec::with_capacity(users.len());
            for &user in users {
                let packed = hot::codec::encode(table, &batch(user, numbers.clone()), usize::MAX)?;
                rows.push((UserId::new(&user_name(user))?, packed));
            }
            let commit = Commit {
                expect: vec![table.expect_present()],
                writes: hot::append_all(table, rows, SystemEnv.now()),
                sync: Sync::Unsynced,
            };
            // Nobody takes any more after an error, which is told from there.
            if ready.blocking_send(commit).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
