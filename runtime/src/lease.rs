//! Heartbeats, and claims whose holder stopped beating.
//!
//! One timer for the whole runtime: it extends every claim that would otherwise run out soon (checkpoints extend them as
//! well, so a job that gets on needs no beat), and looks for claims of others that did run out.

use crate::error::Error;
use crate::held::{Effects, Held};
use crate::keys::{self, INDEX};
use crate::runner::{Live, Shared};
use crate::signal::Stop;
use crate::status::Status;
use ebbtide_engine::{KeyRange, Order};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

pub(crate) async fn beat(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval((shared.options.lease / 3).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.killed.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if shared.stalled().is_some() {
            continue;
        }
        let lives = shared.lives();
        futures::future::join_all(lives.iter().map(|live| extend(&shared, live))).await;
        let reader = Arc::clone(&shared);
        match shared.tasks.spawn_blocking(move || adopt_expired(&reader)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "claims could not be looked through for those that ran out")
            }
            Err(panic) => tracing::error!(%panic, "looking through the claims panicked"),
        }
        // A job that another runtime on this engine ended wakes nobody here.
        shared.waiters.wake_all();
    }
}

/// Extends a claim that has less than two thirds of its lease left.
async fn extend(shared: &Shared, live: &Live) {
    // Locked means that a commit is under way, which extends the lease anyway.
    let Ok(mut held) = live.held.try_lock() else {
        return;
    };
    let now = shared.env.now();
    let end = shared.options.lease_end(now);
    let third = (end - now) / 3;
    if !held.is_claimed_by(live.epoch) || held.row.lease_expires_at.is_some_and(|at| at > end - third) {
        return;
    }
    let effects = Effects { beat: true, ..Effects::default() };
    match held.commit(shared, &live.id, effects, |row| row.lease_expires_at = Some(end)).await {
        Ok(()) => {}
        Err(refused) => match refused.or_again() {
            Ok(()) if held.is_claimed_by(live.epoch) => live.heed(&held.row),
            Ok(()) => live.signal.trip(Stop::ClaimLost),
            Err(error) => {
                tracing::warn!(job_id = %live.id, %error, "the claim could not be extended")
            }
        },
    }
}

/// Queues jobs whose claim ran out. Blocking. The running ones are few, so their rows are read each time.
fn adopt_expired(shared: &Shared) -> Result<(), Error> {
    let snapshot = shared.engine.snapshot();
    let range = KeyRange::prefix(&keys::by_status(Status::Running));
    let mut cursor = Arc::clone(&snapshot).scan(INDEX, range, Order::Ascending)?;
    while let Some((key, _)) = cursor.next()? {
        let Some((_, id)) = keys::indexed_parts(key) else {
            continue;
        };
        if shared.has_slot(&id) {
            continue;
        }
        let Some(held) = Held::read(&*snapshot, &id)? else {
            continue;
        };
        let now = shared.env.now();
        if held.row.status == Status::Running && held.row.lease_expires_at.is_none_or(|at| at <= now) {
            tracing::warn!(job_id = %id, node = held.row.node_id, "the holder of this claim stopped beating; the job is taken over");
            shared.enqueue(id, now);
        }
    }
    Ok(())
}
