//! Heartbeats, steps that are stuck, and claims whose holder stopped beating.
//!
//! One timer for the whole runtime. Own claims come first: each is extended before it would run out, as long as its step
//! shows signs of life (checkpoints extend them as well, so a job that gets on needs no beat). Only then are claims of
//! others looked at, by time that this process lived: see `watch.rs`.

use crate::drive;
use crate::error::Error;
use crate::held::{Effects, Held};
use crate::job::JobId;
use crate::keys::{self, INDEX};
use crate::live::Live;
use crate::overrule;
use crate::runner::Shared;
use crate::signal::Stop;
use crate::status::Status;
use crate::watch::Look;
use ebbtide_engine::{KeyRange, Order};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

pub(crate) async fn beat(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(shared.beat_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.killed.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (lived, stood) = shared.awake.look();
        if let Some(stood) = stood {
            tracing::warn!(
                seconds = stood.as_secs(),
                "this process stood still; none of its claims has run out by that"
            );
        }
        if shared.stalled().is_some() {
            continue;
        }
        let lives = shared.lives();
        futures::future::join_all(lives.iter().map(|live| keep(&shared, live, lived))).await;
        let reader = Arc::clone(&shared);
        match shared.tasks.spawn_blocking(move || look_at_others(&reader, lived)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "claims could not be looked through for those that ran out")
            }
            Err(panic) => tracing::error!(%panic, "looking through the claims panicked"),
        }
        crate::nodes::seen(&shared).await;
        // A job that another runtime on this engine ended wakes nobody here.
        shared.waiters.wake_all();
    }
}

/// Extends a claim whose step lives, and takes the job from one that does not.
async fn keep(shared: &Arc<Shared>, live: &Arc<Live>, lived: Duration) {
    let silent = live.silent_since(lived);
    if silent >= shared.options.silence_max {
        overrule::give_up_on(shared, live, silent).await;
    } else {
        extend(shared, live).await;
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
    // An end beyond ours was written before the clock was set back: others wait for it to change, not to pass.
    let is_fresh = held.row.lease_expires_at.is_some_and(|at| at > end - third && at <= end);
    if !held.is_claimed_by(live.epoch) || is_fresh {
        return;
    }
    let effects = Effects { beat: true, ..Effects::default() };
    let extended = |row: &mut crate::row::Row| {
        row.lease_expires_at = Some(end);
        drive::charge(row, live, shared);
    };
    match held.commit(shared, &live.id, effects, extended).await {
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

/// Queues jobs whose claims were given up. Blocking. The running ones are few, so their rows are read each time.
fn look_at_others(shared: &Shared, lived: Duration) -> Result<(), Error> {
    let snapshot = shared.engine.snapshot();
    let range = KeyRange::prefix(&keys::by_status(Status::Running));
    let mut cursor = Arc::clone(&snapshot).scan(INDEX, range, Order::Ascending)?;
    let mut there: HashSet<JobId> = HashSet::new();
    while let Some((key, _)) = cursor.next()? {
        let Some((_, id)) = keys::indexed_parts(key) else {
            continue;
        };
        if shared.has_slot(&id) {
            continue;
        }
        let held = match Held::read(&*snapshot, &id) {
            Ok(Some(held)) if held.row.status == Status::Running => held,
            // One damaged row must not keep the others from being looked at.
            Ok(_) | Err(Error::Corrupt { .. }) => continue,
            Err(error) => return Err(error),
        };
        there.insert(id);
        let now = shared.env.now();
        if shared.watch.look(id, &held.row, Look { now, lived, lease: shared.options.lease }) {
            tracing::warn!(job_id = %id, node = held.row.node_id, "the holder of this claim stopped beating; the job is taken over");
            shared.enqueue(id, now);
        }
    }
    shared.watch.retain(|id| there.contains(id));
    Ok(())
}
