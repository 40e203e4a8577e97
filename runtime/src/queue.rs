//! When each job is to run next: a picture in memory of what the engine holds.
//!
//! It is bounded. With more jobs waiting than fit, the latest are let go and read back from the engine when there is room.

use crate::job::JobId;
use std::collections::BTreeSet;

pub(crate) struct Queue {
    due: BTreeSet<(i64, JobId)>,
    jobs_max: usize,
    /// Some jobs were let go and stand only in the engine.
    spilled: bool,
}

impl Queue {
    pub(crate) fn new(jobs_max: usize) -> Self {
        Self { due: BTreeSet::new(), jobs_max, spilled: false }
    }

    pub(crate) fn push(&mut self, at: i64, id: JobId) {
        self.due.insert((at, id));
        if self.due.len() > self.jobs_max {
            self.due.pop_last();
            self.spilled = true;
        }
    }

    /// Takes the first job that is due by `now` and that `free` allows.
    pub(crate) fn take(&mut self, now: i64, free: impl Fn(&JobId) -> bool) -> Option<JobId> {
        let found = self.due.iter().take_while(|(at, _)| *at <= now).find(|(_, id)| free(id)).copied()?;
        self.due.remove(&found);
        Some(found.1)
    }

    /// When the first job that is not due by `now` will be.
    pub(crate) fn next_after(&self, now: i64) -> Option<i64> {
        self.due.range((now.saturating_add(1), JobId::from_uuid(uuid::Uuid::nil()))..).next().map(|(at, _)| *at)
    }

    /// Whether a job is due by `now`.
    pub(crate) fn has_due(&self, now: i64) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Whether jobs were let go and there is room to read them back. Asking takes the fact: the reader pushes all again.
    pub(crate) fn take_spilled(&mut self) -> bool {
        let refill = self.spilled && self.due.len() <= self.jobs_max / 2;
        if refill {
            self.spilled = false;
        }
        refill
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;
    use crate::job::JobId;
    use uuid::Uuid;

    fn id(number: u128) -> JobId {
        JobId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn the_earliest_free_job_comes_first() {
        let mut queue = Queue::new(10);
        for (at, number) in [(5, 1), (3, 2), (9, 3), (3, 4)] {
            queue.push(at, id(number));
        }
        assert_eq!(queue.take(4, |job| *job != id(2)), Some(id(4)));
        assert_eq!(queue.take(4, |_| true), Some(id(2)));
        assert_eq!(queue.take(4, |_| true), None);
        assert_eq!(queue.next_after(4), Some(5));
        assert!(queue.has_due(5));
    }

    #[test]
    fn a_full_queue_lets_the_latest_go_and_says_so_once_there_is_room() {
        let mut queue = Queue::new(2);
        for at in [30, 10, 20] {
            queue.push(at, id(at as u128));
        }
        assert_eq!(queue.next_after(20), None, "the job of 30 was let go");
        assert!(!queue.take_spilled(), "there is no room yet");
        assert_eq!(queue.take(100, |_| true), Some(id(10)));
        assert!(queue.take_spilled());
        assert!(!queue.take_spilled(), "once is enough");
    }
}
