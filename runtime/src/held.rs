//! The one way by which a stored job changes: its row as last seen, and the commit that expects exactly that.

use crate::error::Error;
use crate::floor::{self, Newborn};
use crate::job::JobId;
use crate::keys::{self, BODIES, JOBS, Part};
use crate::metrics;
use crate::record::{self, Before};
use crate::row::Row;
use crate::runner::Shared;
use crate::status::Status;
use crate::submit::Draft;
use ebbtide_engine::env::Defect;
use ebbtide_engine::{Commit, CommitError, Expect, Snapshot, Sync, Write};
use tokio::time::Instant;

/// A job's row together with its stored bytes.
pub(crate) struct Held {
    pub(crate) row: Row,
    /// What the next commit expects to find.
    bytes: Vec<u8>,
    /// The claim that holds this has ended or was lost; whoever still has it must not commit.
    pub(crate) over: bool,
}

/// What commits with a change of the row.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) expect: Vec<Expect>,
    pub(crate) writes: Vec<Write>,
    /// Whether to sync even if neither state nor status changes.
    pub(crate) synced: bool,
    /// Only the lease is extended: the job itself did not change.
    pub(crate) beat: bool,
}

/// Why a change was not committed. Nothing was written.
pub(crate) enum Refused {
    /// The row is another by now, or gone. It was read again.
    Moved,
    /// An expectation among the effects does not hold. The row was read again.
    Effect { index: usize, space: &'static str },
    /// The effects make no sense to the engine; trying again cannot help.
    Invalid { reason: String },
    /// The engine could not read what it had to look at.
    Unread { reason: String },
    /// The engine cannot say or do.
    Failed(Error),
}

impl Refused {
    /// For changes without effects of a step: whether trying again can help, or why not.
    pub(crate) fn or_again(self) -> Result<(), Error> {
        match self {
            Refused::Moved | Refused::Effect { .. } => Ok(()),
            Refused::Invalid { reason } | Refused::Unread { reason } => Err(Error::Invalid { reason }),
            Refused::Failed(error) => Err(error),
        }
    }
}

impl Held {
    /// Reads a job.
    pub(crate) fn read(snapshot: &dyn Snapshot, id: &JobId) -> Result<Option<Self>, Error> {
        let Some(bytes) = snapshot.get(JOBS, &keys::job(id))? else {
            return Ok(None);
        };
        let row = Row::decode(&bytes).map_err(|reason| Error::Corrupt { what: "row", id: *id, reason })?;
        Ok(Some(Self { row, bytes, over: false }))
    }

    /// Whether the claim with this epoch still holds the job.
    pub(crate) fn is_claimed_by(&self, epoch: u64) -> bool {
        !self.over && self.row.status == Status::Running && self.row.epoch == epoch
    }

    /// Changes the row and commits it with `effects`, in one commit that expects the row as it was last seen.
    pub(crate) async fn commit(
        &mut self,
        shared: &Shared,
        id: &JobId,
        effects: Effects,
        change: impl FnOnce(&mut Row),
    ) -> Result<(), Refused> {
        let Effects { mut expect, mut writes, synced, beat } = effects;
        let at = shared.env.now();
        let before = Before::of(&self.row);
        change(&mut self.row);
        let ends = !before.status.is_terminal() && self.row.status.is_terminal();
        let moves = before.moves_to(&self.row);
        if !beat {
            self.row.updated_at = at;
        }
        let follow_up = if ends && self.row.follow_up {
            match self.take_follow_up(shared, id, &mut writes) {
                Ok(follow_up) => follow_up,
                Err(refused) => {
                    self.row = Row::decode(&self.bytes).unwrap_or_else(|_| self.row.clone());
                    return Err(refused);
                }
            }
        } else {
            None
        };
        let bytes = record::change(id, Some(&before), &mut self.row, at, &mut writes);
        // The runtime's own expectations go last, so that a place in the answer is a place among the effects.
        let effects_count = expect.len();
        let mut started = None;
        if let Some((draft, newborn)) = follow_up {
            draft.start(&newborn, &mut writes);
            started = Some((newborn.id, newborn.due));
            expect.push(newborn.expect);
        }
        let seen = std::mem::replace(&mut self.bytes, bytes);
        let kept = seen.clone();
        if !shared.env.planted(Defect::StaleClaimCommits) {
            expect.push(Expect::equals(JOBS, keys::job(id), seen));
        }
        let sync = if moves || synced { Sync::Synced } else { Sync::Unsynced };
        let begun = Instant::now();
        match shared.engine.commit(Commit { expect, writes, sync }).await {
            Ok(_) => {
                if moves {
                    metrics::transition(begun.elapsed());
                }
                if ends {
                    metrics::ended(&self.row.job_type, self.row.status);
                    self.over = true;
                    shared.env.reached("job.done");
                    shared.waiters.wake(id);
                }
                if let Some((started, due)) = started {
                    shared.enqueue(started, due);
                }
                Ok(())
            }
            Err(CommitError::Mismatch { index, space, .. }) => {
                self.reload_or_keep(shared, id, kept)?;
                Err(if index < effects_count { Refused::Effect { index, space } } else { Refused::Moved })
            }
            Err(CommitError::Invalid { reason }) => {
                self.reload_or_keep(shared, id, kept)?;
                Err(Refused::Invalid { reason })
            }
            Err(CommitError::Unread(error)) => {
                self.reload_or_keep(shared, id, kept)?;
                Err(Refused::Unread { reason: error.to_string() })
            }
            Err(error) => {
                self.over = true;
                shared.stall(&error);
                Err(Refused::Failed(Error::Commit(error)))
            }
        }
    }

    /// The row after a change that does not end the job, what must hold for it, and the writes that make it. For commits
    /// that change several jobs.
    pub(crate) fn changed(
        &self,
        id: &JobId,
        at: i64,
        writes: &mut Vec<Write>,
        change: impl FnOnce(&mut Row),
    ) -> (Row, Expect) {
        let mut row = self.row.clone();
        let before = Before::of(&row);
        change(&mut row);
        row.updated_at = at;
        record::change(id, Some(&before), &mut row, at, writes);
        (row, Expect::equals(JOBS, keys::job(id), self.bytes.clone()))
    }

    /// Takes over what is stored now, or goes back to what was seen before: what was to be written is not.
    fn reload_or_keep(&mut self, shared: &Shared, id: &JobId, kept: Vec<u8>) -> Result<(), Refused> {
        let read = self.reload(shared, id);
        if let (Err(_), Ok(row)) = (&read, Row::decode(&kept)) {
            self.row = row;
            self.bytes = kept;
        }
        read.map_err(Refused::Failed)
    }

    /// Takes over what is stored now.
    pub(crate) fn reload(&mut self, shared: &Shared, id: &JobId) -> Result<(), Error> {
        match Self::read(&*shared.engine.snapshot(), id)? {
            Some(now) => {
                self.row = now.row;
                self.bytes = now.bytes;
            }
            None => self.over = true,
        }
        Ok(())
    }

    /// The stored follow-up, which starts in the commit that ends this job. One that cannot be read is given up loudly:
    /// it must not keep the job from ending.
    fn take_follow_up(
        &mut self,
        shared: &Shared,
        id: &JobId,
        writes: &mut Vec<Write>,
    ) -> Result<Option<(Draft, Newborn)>, Refused> {
        let key = keys::part(id, Part::FollowUp);
        let snapshot = shared.engine.snapshot();
        let stored = snapshot.get(BODIES, &key).map_err(|error| Refused::Failed(Error::Engine(error)))?;
        let newborn = floor::newborn(&*snapshot, &shared.env).map_err(Refused::Failed)?;
        self.row.follow_up = false;
        writes.push(Write::delete(BODIES, key));
        Ok(stored.and_then(|bytes| match Draft::decode(&bytes) {
            Ok(draft) => Some((draft, newborn)),
            Err(reason) => {
                tracing::error!(job_id = %id, reason, "the follow-up of this job cannot be read and does not start");
                None
            }
        }))
    }
}
