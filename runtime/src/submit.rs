//! A new job.

use crate::error::Error;
use crate::floor::{self, Newborn};
use crate::held::{Effects, Held, Refused};
use crate::job::{JobId, Trigger};
use crate::keys::{self, BODIES, INDEX, Part};
use crate::record;
use crate::retry::{self, Retry};
use crate::row::Row;
use crate::runner::Shared;
use crate::runtime::Runtime;
use crate::schedule::with_job;
use crate::status::Status;
use crate::wire::{Fields, put_bytes};
use crate::workflow::Workflow;
use ebbtide_engine::{Commit, CommitError, Expect, Sync, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a submission looks again when the key it found held is free at the second look.
const TRIES_MAX: usize = 64;

/// A job to be submitted.
pub struct NewJob {
    /// The declared name of the workflow that it is a run of.
    pub workflow: String,
    /// The job in its first state.
    pub body: Box<dyn Workflow>,
    /// The active key: at most one job that is not over holds it.
    pub unique: Option<Vec<u8>>,
    /// What makes it start.
    pub trigger: Trigger,
    /// At most one *stored* job has this key, also after its end.
    pub idempotency_key: Option<String>,
    /// How it is tried again after a failure.
    pub retry: Retry,
    /// How long it may run, over all its claims and without the time between them; then it fails. Without a limit when absent.
    pub timeout: Option<Duration>,
    /// What must hold for the job to be made.
    pub expect: Vec<Expect>,
    /// What is written with it.
    pub writes: Vec<Write>,
    /// When the active key is held: keep this job and start it in the commit that ends the holder. One is kept; a later
    /// one takes its place. `expect` must hold and `writes` are written in the commit that keeps it, not when it starts.
    pub follow_up: bool,
}

impl NewJob {
    /// A job with nothing but its first state, to be filled further by struct update or the methods here.
    pub fn new(workflow: impl Into<String>, body: Box<dyn Workflow>) -> Self {
        Self {
            workflow: workflow.into(),
            body,
            unique: None,
            trigger: Trigger::Manual,
            idempotency_key: None,
            retry: Retry::default(),
            timeout: None,
            expect: Vec::new(),
            writes: Vec::new(),
            follow_up: false,
        }
    }

    /// The same job, holding an active key.
    pub fn unique(self, key: impl Into<Vec<u8>>) -> Self {
        Self { unique: Some(key.into()), ..self }
    }

    /// The same job, started by `trigger`.
    pub fn trigger(self, trigger: Trigger) -> Self {
        Self { trigger, ..self }
    }
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// A new job, durable and queued.
    New(JobId),
    /// The job that holds the active or the idempotency key.
    Existing(JobId),
}

impl Submitted {
    /// The job's id, new or not.
    pub fn id(&self) -> &JobId {
        match self {
            Submitted::New(id) | Submitted::Existing(id) => id,
        }
    }
}

impl Runtime {
    /// Makes a job in one synced commit, together with `new.writes`; or finds the job that holds its active key.
    ///
    /// # Errors
    ///
    /// [`Error::Expectation`] when one of `new.expect` does not hold; [`Error::ShuttingDown`] after
    /// [`Runtime::shutdown`]; what the engine says when it cannot write.
    pub async fn submit(&self, new: NewJob) -> Result<Submitted, Error> {
        let shared = &self.0.shared;
        if shared.stopping.load(Ordering::Acquire) {
            return Err(Error::ShuttingDown);
        }
        let draft = Draft::of(&new, shared.options.attempts_max)?;
        shared.whole(store(Arc::clone(shared), new, draft)).await
    }
}

pub(crate) async fn store(shared: Arc<Shared>, new: NewJob, draft: Draft) -> Result<Submitted, Error> {
    let shared = &*shared;
    let choose = || floor::newborn(&*shared.engine.snapshot(), &shared.env);
    let mut newborn = choose()?;
    for _ in 0..TRIES_MAX {
        match holder(shared, &draft.row)? {
            None => {}
            // Its occurrence has its job already; there is nothing to follow up.
            Some((Key::Idempotency, existing)) => return Ok(Submitted::Existing(existing)),
            Some((Key::Active, existing)) => {
                if !new.follow_up {
                    return Ok(Submitted::Existing(existing));
                }
                let beside = Beside { expect: new.expect.clone(), writes: new.writes.clone(), ..Beside::default() };
                match leave_follow_up(shared, &existing, &draft, beside).await? {
                    Left::Kept | Left::Taken => return Ok(Submitted::Existing(existing)),
                    Left::Ended => continue,
                    Left::Refused { index, space } => return Err(Error::Expectation { index, space }),
                }
            }
        }
        let Newborn { id, due, ref expect, .. } = newborn;
        let above = expect.clone();
        let mut expect = new.expect.clone();
        let own = expect.len();
        expect.extend(draft.absent_keys());
        expect.push(above);
        let mut writes = new.writes.clone();
        draft.clone().start(&newborn, &mut writes);
        match shared.engine.commit(Commit { expect, writes, sync: Sync::Synced }).await {
            Ok(_) => {
                shared.env.reached("job.queued");
                shared.enqueue(id, due);
                return Ok(Submitted::New(id));
            }
            Err(CommitError::Mismatch { index, space, .. }) if index < own => {
                return Err(Error::Expectation { index, space });
            }
            // Somebody was faster with one of the keys: look who. Or the floor was raised.
            Err(CommitError::Mismatch { .. }) => newborn = choose()?,
            Err(error) => return Err(Error::Commit(error)),
        }
    }
    Err(Error::Contended { id: newborn.id })
}

/// A key that at most one job holds.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    /// Until the job ends.
    Active,
    /// As long as the job is stored.
    Idempotency,
}

fn held_keys(row: &Row) -> impl Iterator<Item = (Key, Vec<u8>)> {
    let idempotency = row.idempotency_key.as_deref().map(|text| (Key::Idempotency, keys::idempotency(text)));
    let active = row.unique.as_deref().map(|key| (Key::Active, keys::unique(key)));
    idempotency.into_iter().chain(active)
}

impl Draft {
    /// The job that holds one of its keys.
    pub(crate) fn holder(&self, shared: &Shared) -> Result<Option<(Key, JobId)>, Error> {
        holder(shared, &self.row)
    }
}

/// The job that holds one of the keys.
fn holder(shared: &Shared, row: &Row) -> Result<Option<(Key, JobId)>, Error> {
    let snapshot = shared.engine.snapshot();
    for (kind, key) in held_keys(row) {
        if let Some(value) = snapshot.get(INDEX, &key)? {
            let id = JobId::from_slice(&value)
                .ok_or_else(|| Error::Invalid { reason: "a job key holds something that is no job id".to_owned() })?;
            return Ok(Some((kind, id)));
        }
    }
    Ok(None)
}

/// What commits with a follow-up that is kept, and how.
#[derive(Clone, Default)]
pub(crate) struct Beside {
    pub(crate) expect: Vec<Expect>,
    pub(crate) writes: Vec<Write>,
    /// Not in place of one that is kept already.
    pub(crate) keeps_other: bool,
    /// The holder is to be cancelled: the wish commits with the follow-up, and whoever asked has to see to it.
    pub(crate) cancels: bool,
}

/// What became of a follow-up.
pub(crate) enum Left {
    /// It is kept, and everything beside it is written.
    Kept,
    /// The job it was to follow has ended meanwhile.
    Ended,
    /// Another one is kept already.
    Taken,
    /// An expectation does not hold.
    Refused { index: usize, space: &'static str },
}

/// Stores `draft` beside the active job.
pub(crate) async fn leave_follow_up(
    shared: &Shared,
    holder: &JobId,
    draft: &Draft,
    beside: Beside,
) -> Result<Left, Error> {
    let mark = |row: &Row| -> Result<Effects, Error> {
        let Beside { expect, mut writes, .. } = beside.clone();
        let mut draft = draft.clone();
        if row.follow_up && draft.slot.is_none() {
            // The slot of the one that is replaced has its run in this one.
            let kept = shared.engine.snapshot().get(BODIES, &keys::part(holder, Part::FollowUp))?;
            draft.slot = kept.and_then(|bytes| Draft::decode(&bytes).ok()).and_then(|kept| kept.slot);
        }
        record::put_part(holder, Part::FollowUp, draft.encode(), &mut writes);
        Ok(Effects { expect, writes, synced: true, ..Effects::default() })
    };
    let wish = |row: &mut Row| {
        row.follow_up = true;
        row.cancel_requested |= beside.cancels;
    };
    let taken = |row: &Row| beside.keeps_other && row.follow_up;
    for _ in 0..TRIES_MAX {
        let live = shared.live(holder);
        let claimed = match &live {
            Some(live) => Some((live.epoch, live.held.lock().await)),
            None => None,
        };
        let committed = match claimed {
            Some((epoch, held)) if held.is_claimed_by(epoch) && taken(&held.row) => return Ok(Left::Taken),
            Some((epoch, mut held)) if held.is_claimed_by(epoch) => {
                let effects = mark(&held.row)?;
                held.commit(shared, holder, effects, wish).await
            }
            _ => match Held::read(&*shared.engine.snapshot(), holder)? {
                Some(held) if !held.row.status.is_terminal() && taken(&held.row) => return Ok(Left::Taken),
                Some(mut held) if !held.row.status.is_terminal() => {
                    let effects = mark(&held.row)?;
                    held.commit(shared, holder, effects, wish).await
                }
                _ => return Ok(Left::Ended),
            },
        };
        match committed {
            Ok(()) => return Ok(Left::Kept),
            Err(Refused::Effect { index, space }) => return Ok(Left::Refused { index, space }),
            Err(refused) => refused.or_again()?,
        }
    }
    Err(Error::Contended { id: *holder })
}

/// A job that is not yet stored as one: the row to be, the body and the parameters.
#[derive(Clone)]
pub(crate) struct Draft {
    row: Row,
    body: Vec<u8>,
    parameters: Option<Vec<u8>>,
    /// Key and template of the slot that the job is started for, and that is to name it.
    slot: Option<(Vec<u8>, Vec<u8>)>,
}

impl Draft {
    pub(crate) fn of(new: &NewJob, attempts_max: u32) -> Result<Self, Error> {
        let view = new.body.view();
        let json = |what: &str, result: Result<Vec<u8>, serde_json::Error>| {
            result.map_err(|error| Error::Invalid {
                reason: format!("the {what} of the new job cannot be stored: {error}"),
            })
        };
        let body = json("body", serde_json::to_vec(&new.body))?;
        let parameters = if view.parameters.is_null() {
            None
        } else {
            Some(json("parameters", serde_json::to_vec(&view.parameters))?)
        };
        let row = Row {
            workflow: new.workflow.clone(),
            job_type: view.kind.to_owned(),
            scope: view.scope.map(|(first, second)| (first.to_owned(), second.to_owned())),
            state: view.state.to_owned(),
            subject: view.subject.map(str::to_owned),
            progress: view.progress,
            attempts_max: new.retry.attempts_max.unwrap_or(attempts_max).max(1),
            backoff_min_micros: new.retry.backoff_min.map(retry::micros),
            backoff_max_micros: new.retry.backoff_max.map(retry::micros),
            timeout_micros: new.timeout.map(retry::micros),
            idempotency_key: new.idempotency_key.clone(),
            unique: new.unique.clone(),
            trigger: new.trigger,
            body_version: view.body_version,
            has_parameters: parameters.is_some(),
            ..Row::blank()
        };
        Ok(Self { row, body, parameters, slot: None })
    }

    /// The same job, which is to be named by a slot.
    pub(crate) fn for_slot(self, slot: (Vec<u8>, Vec<u8>)) -> Self {
        Self { slot: Some(slot), ..self }
    }

    pub(crate) fn absent_keys(&self) -> impl Iterator<Item = Expect> {
        held_keys(&self.row).map(|(_, key)| Expect::absent(INDEX, key))
    }

    /// Adds the writes that make it a pending job.
    pub(crate) fn start(self, newborn: &Newborn, writes: &mut Vec<Write>) {
        let Newborn { id, at, due, .. } = newborn;
        let mut row = self.row;
        row.status = Status::Pending;
        row.created_at = *at;
        row.updated_at = *at;
        row.next_run_at = Some(*due);
        for (_, key) in held_keys(&row) {
            writes.push(Write::put(INDEX, key, *id.as_bytes()));
        }
        record::put_part(id, Part::Body, self.body, writes);
        if let Some(parameters) = self.parameters {
            record::put_part(id, Part::Parameters, parameters, writes);
        }
        if let Some((key, template)) = self.slot {
            writes.push(with_job(key, template, id));
        }
        record::change(id, None, &mut row, *at, writes);
    }

    /// As a follow-up is stored beside the job it follows.
    fn encode(&self) -> Vec<u8> {
        let mut row = self.row.clone();
        row.trigger = Trigger::FollowUp;
        let mut out = Vec::new();
        put_bytes(&mut out, 1, &row.encode());
        put_bytes(&mut out, 2, &self.body);
        if let Some(parameters) = &self.parameters {
            put_bytes(&mut out, 3, parameters);
        }
        if let Some((key, template)) = &self.slot {
            put_bytes(&mut out, 4, key);
            put_bytes(&mut out, 5, template);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (mut row, mut body, mut parameters) = (None, None, None);
        let (mut slot_key, mut slot_template) = (None, None);
        let mut fields = Fields::new(bytes);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => row = Some(Row::decode(&value.bytes()?)?),
                2 => body = Some(value.bytes()?),
                3 => parameters = Some(value.bytes()?),
                4 => slot_key = Some(value.bytes()?),
                5 => slot_template = Some(value.bytes()?),
                _ => {}
            }
        }
        Ok(Self {
            row: row.ok_or("it has no row")?,
            body: body.ok_or("it has no body")?,
            parameters,
            slot: slot_key.zip(slot_template),
        })
    }
}
