//! Since when a workflow is declared as it is: what intervals are counted from, and before what nothing was missed.
//!
//! It is stored, so that an interval longer than the time between two restarts still comes to its end.

use super::declared::Declared;
use super::slots::SLOTS;
use crate::error::Error;
use crate::runner::Shared;
use crate::wire::{Fields, put_bytes, put_count, put_time};
use ebbtide_engine::{Commit, CommitError, Expect, KeyRange, Order, Snapshot, Sync, Write};
use std::sync::Arc;

const TRIES_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq)]
struct Anchor {
    /// Microseconds since the Unix epoch.
    since: i64,
    /// When it runs, in words: another text means that it was declared anew.
    when: String,
    enabled: bool,
}

impl Anchor {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_time(&mut out, 1, Some(self.since));
        put_bytes(&mut out, 2, self.when.as_bytes());
        put_count(&mut out, 3, self.enabled.into());
        out
    }

    /// What cannot be read counts as absent: the workflow is then declared anew.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut since, mut when, mut enabled) = (None, None, false);
        let mut fields = Fields::new(bytes);
        while let Some((field, value)) = fields.next().ok()? {
            match field {
                1 => since = Some(value.time().ok()?),
                2 => when = Some(value.text().ok()?),
                3 => enabled = value.number().ok()? != 0,
                _ => {}
            }
        }
        Some(Self { since: since?, when: when?, enabled })
    }
}

fn key(workflow: &str) -> Vec<u8> {
    [b"a", workflow.as_bytes()].concat()
}

/// Since when a workflow is declared as it is; none when no scheduler has met it yet.
pub(super) fn since(snapshot: &dyn Snapshot, declared: &Declared) -> Result<Option<i64>, Error> {
    let stored = snapshot.get(SLOTS, &key(&declared.name))?.as_deref().and_then(Anchor::decode);
    let same = stored.filter(|anchor| anchor.when == declared.when.to_string() && anchor.enabled);
    Ok(same.map(|anchor| anchor.since))
}

/// Since when a workflow is declared as it is: from now on, durably, when it was not or was disabled meanwhile.
pub(super) async fn settle(shared: &Shared, declared: &Declared) -> Result<i64, Error> {
    for _ in 0..TRIES_MAX {
        let now = shared.env.now();
        let stored = shared.engine.snapshot().get(SLOTS, &key(&declared.name))?;
        let wanted = Anchor { since: now, when: declared.when.to_string(), enabled: declared.enabled };
        let anchor = stored.as_deref().and_then(Anchor::decode);
        if let Some(anchor) = anchor.filter(|anchor| Anchor { since: now, ..anchor.clone() } == wanted) {
            return Ok(anchor.since);
        }
        let commit = Commit {
            expect: vec![Expect::as_read(SLOTS, key(&declared.name), stored)],
            writes: vec![Write::put(SLOTS, key(&declared.name), wanted.encode())],
            sync: Sync::Synced,
        };
        match shared.engine.commit(commit).await {
            Ok(_) => return Ok(now),
            // Another scheduler was faster.
            Err(CommitError::Mismatch { .. }) => {}
            Err(error) => return Err(Error::Commit(error)),
        }
    }
    let reason = format!("workflow {} is declared differently by another scheduler, again and again", declared.name);
    Err(Error::Invalid { reason })
}

/// Forgets workflows that are declared no more: were one to come back, what passed meanwhile was not missed.
pub(super) async fn forget_others(shared: &Arc<Shared>, declared: &[Declared]) -> Result<(), Error> {
    let snapshot = shared.engine.snapshot();
    let mut cursor = snapshot.scan(SLOTS, KeyRange::prefix(b"a"), Order::Ascending)?;
    let mut writes = Vec::new();
    while let Some((key, _)) = cursor.next()? {
        if !declared.iter().any(|declared| key[1..] == *declared.name.as_bytes()) {
            writes.push(Write::delete(SLOTS, key.to_vec()));
        }
    }
    if writes.is_empty() {
        return Ok(());
    }
    let commit = Commit { expect: Vec::new(), writes, sync: Sync::Synced };
    shared.engine.commit(commit).await.map(|_| ()).map_err(Error::Commit)
}
