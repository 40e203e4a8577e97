//! Why a job stands where it stands, in words.
//!
//! Each line answers one question, and says only what is known: from the stored row, the history, the keys, and what runs in
//! this process at the moment.

mod words;

use crate::error::Error;
use crate::held::Held;
use crate::job::{Job, JobId, Transition};
use crate::keys::{self, INDEX};
use crate::query;
use crate::row::Row;
use crate::runner::Shared;
use crate::runtime::Runtime;
use crate::status::Status;
use ebbtide_engine::Snapshot;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use words::{bytes, counted, length, time};

/// Why a job stands where it stands, and what would move it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// What each line is about, and the line, in the order to be read. Topics are `status`, `waiting`, `key`, `attempt`,
    /// `claim`, `progress`, `time`, `error` and `next`; one that has nothing to say is left out.
    pub lines: Vec<(&'static str, String)>,
}

/// Running jobs that are named where all slots are taken.
const NAMED_MAX: usize = 5;

/// Explains a job. Blocking.
///
/// # Errors
///
/// [`Error::NotFound`], and what the engine says when it cannot read.
pub fn explain(runtime: &Runtime, id: &JobId) -> Result<Explanation, Error> {
    let shared = &runtime.0.shared;
    let snapshot = shared.engine.snapshot();
    let held = Held::read(&*snapshot, id)?.ok_or(Error::NotFound { id: *id })?;
    let mut job = held.row.clone().into_job(*id, None, None);
    runtime.show_live(&mut job);
    let asked = Asked { shared, row: &held.row, job: &job, snapshot: &snapshot, now: shared.env.now() };
    let lines = [
        ("status", Some(asked.status()?)),
        ("waiting", asked.waiting()),
        ("key", asked.key()?),
        ("attempt", asked.attempt()),
        ("claim", asked.claim()),
        ("progress", asked.progress()),
        ("time", asked.time()),
        ("error", job.error.clone()),
        ("next", Some(asked.next())),
    ];
    let lines = lines.into_iter().filter_map(|(topic, line)| line.map(|line| (topic, line))).collect();
    Ok(Explanation { lines })
}

/// The job that was asked about, and where to look.
struct Asked<'a> {
    shared: &'a Arc<Shared>,
    row: &'a Row,
    job: &'a Job,
    snapshot: &'a Arc<dyn Snapshot>,
    now: i64,
}

impl Asked<'_> {
    fn until(&self, at: i64) -> String {
        format!("{} (in {})", time(at), length(at.saturating_sub(self.now)))
    }

    fn since(&self, at: i64) -> String {
        format!("{} ({} ago)", time(at), length(self.now.saturating_sub(at)))
    }

    /// Where it stands, and since when. A job has as many transitions as it went through states and tries.
    fn status(&self) -> Result<String, Error> {
        let mut all = query::transitions(self.snapshot, Some(&self.job.job_id))?;
        let mut last: Option<Transition> = None;
        let mut refused = 0;
        while let Some(transition) = all.next()? {
            // A refused checkpoint has the number of the change before it.
            if last.as_ref().is_some_and(|last| last.seq_no == transition.seq_no) {
                refused += 1;
            } else {
                last = Some(transition);
            }
        }
        let mut line = format!("{} in state {}", self.job.status, self.job.state);
        if let Some(last) = last {
            line.push_str(&format!(" since {}", self.since(last.at)));
        }
        if refused > 0 {
            line.push_str(&format!("; {} of stale claims refused", counted(refused, "checkpoint")));
        }
        Ok(line)
    }

    /// Until when it waits, and for what.
    fn waiting(&self) -> Option<String> {
        match self.job.status {
            Status::Pending | Status::Retrying => {}
            Status::Paused => return Some("it is held back by an operator".to_owned()),
            Status::Parked => return Some("this program cannot load its stored body".to_owned()),
            _ => return None,
        }
        if let Some(stalled) = self.shared.stalled() {
            return Some(stalled.to_string());
        }
        if let Some(at) = self.job.next_run_at.filter(|at| *at > self.now) {
            let why = if self.job.status == Status::Retrying { "the wait after a failed try" } else { "it is not due" };
            return Some(format!("{why}, until {}", self.until(at)));
        }
        if self.shared.stopping.load(Ordering::Acquire) {
            return Some("the runtime is shutting down; the job is claimed at the next start".to_owned());
        }
        let lives = self.shared.lives();
        let slots = self.shared.options.concurrency_max;
        if lives.len() < slots {
            return Some("it is due and about to be claimed".to_owned());
        }
        let mut taken: Vec<String> = lives.iter().take(NAMED_MAX).map(|live| self.named(&live.id)).collect();
        if lives.len() > NAMED_MAX {
            taken.push(format!("{} more", lives.len() - NAMED_MAX));
        }
        Some(format!(
            "it is due, but all {} of this node are taken: {}",
            counted(slots as u64, "slot"),
            taken.join(", ")
        ))
    }

    fn named(&self, id: &JobId) -> String {
        match Held::read(&**self.snapshot, id) {
            Ok(Some(held)) => format!("{} {id} ({} in {})", held.row.job_type, held.row.status, held.row.state),
            _ => id.to_string(),
        }
    }

    /// Who holds its active key.
    fn key(&self) -> Result<Option<String>, Error> {
        let Some(unique) = &self.row.unique else {
            return Ok(None);
        };
        let holder = self.snapshot.get(INDEX, &keys::unique(unique))?.and_then(|value| JobId::from_slice(&value));
        Ok(match holder {
            Some(by) if by == self.job.job_id && self.row.follow_up => {
                Some("it holds its active key; a follow-up waits for its end and starts then".to_owned())
            }
            Some(by) if by == self.job.job_id => {
                Some("it holds its active key: the same work is not started twice".to_owned())
            }
            Some(by) => Some(format!("its active key is held by {}", self.named(&by))),
            None => None,
        })
    }

    fn attempt(&self) -> Option<String> {
        if self.job.epoch == 0 {
            return None;
        }
        Some(format!(
            "try {} of {} of this checkpoint; claimed {}",
            self.job.attempt,
            self.job.max_attempts,
            counted(self.job.epoch, "time")
        ))
    }

    fn claim(&self) -> Option<String> {
        if self.job.status != Status::Running {
            return None;
        }
        let node = self.job.node_id.as_deref().unwrap_or("an unnamed node");
        let mut line = format!("node {node}, epoch {}", self.job.epoch);
        if let Some(end) = self.job.lease_expires_at {
            line.push_str(&format!(", lease until {}", self.until(end)));
        }
        match self.shared.live(&self.job.job_id).filter(|live| live.epoch == self.job.epoch) {
            Some(live) => {
                let silent = live.silent_since(self.shared.awake.now());
                if silent >= self.shared.beat_interval() {
                    line.push_str(&format!(
                        "; its step has shown no sign of life for {} and is given up after {}",
                        length(i64::try_from(silent.as_micros()).unwrap_or(i64::MAX)),
                        length(i64::try_from(self.shared.options.silence_max.as_micros()).unwrap_or(i64::MAX))
                    ));
                }
            }
            None => line.push_str("; not of this process"),
        }
        if self.row.cancel_requested {
            line.push_str("; it was asked to cancel");
        } else if self.row.pause_requested {
            line.push_str("; it was asked to pause at its next safe point");
        }
        Some(line)
    }

    /// How long it has run, by this moment, in microseconds.
    fn ran_micros(&self) -> u64 {
        match self.shared.live(&self.job.job_id).filter(|live| live.epoch == self.job.epoch) {
            Some(live) => {
                let this_claim = self.shared.awake.now().saturating_sub(live.began).as_micros();
                live.ran_before_micros.saturating_add(u64::try_from(this_claim).unwrap_or(u64::MAX))
            }
            None => self.row.ran_micros,
        }
    }

    fn progress(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(user) = &self.job.current_user_id {
            parts.push(format!("at {user}"));
        }
        if self.job.users_total > 0 {
            parts.push(format!("{} of {}", self.job.users_done, counted(self.job.users_total, "user")));
        }
        if self.job.rows_done > 0 {
            parts.push(counted(self.job.rows_done, "row"));
        }
        if self.job.bytes_done > 0 {
            parts.push(bytes(self.job.bytes_done));
        }
        let ran = self.ran_micros();
        if let Some(rate) =
            (u128::from(self.job.rows_done) * 1_000_000).checked_div(ran.into()).filter(|rate| *rate > 0)
        {
            parts.push(format!("{rate} rows/s"));
        }
        let users_left = self.job.users_total.saturating_sub(self.job.users_done);
        if self.job.status == Status::Running && users_left > 0 {
            let left = (u128::from(ran) * u128::from(users_left)).checked_div(self.job.users_done.into());
            let left = left.and_then(|micros| i64::try_from(micros).ok());
            parts.extend(left.map(|micros| format!("about {} to go", length(micros))));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn time(&self) -> Option<String> {
        if self.job.epoch == 0 {
            return None;
        }
        let ran = length(i64::try_from(self.ran_micros()).unwrap_or(i64::MAX));
        Some(match self.job.timeout_micros {
            Some(most) => format!("ran {ran} of at most {}", length(i64::try_from(most).unwrap_or(i64::MAX))),
            None => format!("ran {ran}, without a limit"),
        })
    }

    /// What would move it.
    fn next(&self) -> String {
        let id = self.job.job_id;
        match self.job.status {
            Status::Pending => format!("it is claimed when it is due and a slot is free; KILL JOB '{id}' cancels it"),
            Status::Running if self.row.cancel_requested => "it is cancelled within a second".to_owned(),
            Status::Running if self.row.pause_requested => {
                format!("it pauses at its next safe point; RESUME JOB '{id}' takes that back")
            }
            Status::Running => {
                format!("it goes on by itself; PAUSE JOB '{id}' holds it back, KILL JOB '{id}' cancels it")
            }
            Status::Retrying => format!("the next try comes by itself; KILL JOB '{id}' cancels it"),
            Status::Paused => format!("RESUME JOB '{id}' lets it go on, KILL JOB '{id}' cancels it"),
            Status::Parked => {
                format!(
                    "a start with a program that can load it; RETRY JOB '{id}' tries now, KILL JOB '{id}' cancels it"
                )
            }
            Status::Failed | Status::Cancelled | Status::Skipped => {
                format!("RETRY JOB '{id}' runs it on from state {}", self.job.state)
            }
            Status::Completed => "nothing: it is over".to_owned(),
        }
    }
}
