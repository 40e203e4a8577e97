//! What is known of the jobs after some looks: the last one, and how fast each goes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::seen::{Job, Seen};

/// Looks over which a rate is taken: long enough to be steady, short enough to be true.
const LOOKS: usize = 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Board {
    seen: Seen,
    marks: HashMap<String, VecDeque<Mark>>,
    failure: Option<String>,
}

/// How far a job was at a look.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Duration,
    users: u64,
    rows: u64,
}

/// How fast a job goes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Pace {
    pub(super) rows_per_second: Option<f64>,
    pub(super) left: Option<Duration>,
}

impl Board {
    /// A look was had, so long after the first.
    pub(super) fn add(&mut self, at: Duration, seen: Seen) {
        let mut marks = std::mem::take(&mut self.marks);
        self.marks =
            seen.active.iter().map(|job| (job.id.clone(), marks.remove(&job.id).unwrap_or_default())).collect();
        for job in &seen.active {
            let Some(marks) = self.marks.get_mut(&job.id) else { continue };
            let mark = Mark { at, users: job.users_done, rows: job.rows_done };
            // A job that is tried again begins at its last checkpoint: what it did before says nothing of its pace now.
            if marks.back().is_some_and(|last| mark.users < last.users || mark.rows < last.rows) {
                marks.clear();
            }
            marks.push_back(mark);
            if marks.len() > LOOKS {
                marks.pop_front();
            }
        }
        self.seen = seen;
        self.failure = None;
    }

    /// A look was not to be had.
    pub(super) fn fail(&mut self, why: String) {
        self.failure = Some(why);
        self.marks.clear();
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Whether nothing is left that would move by itself.
    pub(super) fn is_idle(&self) -> bool {
        self.failure.is_none() && ["pending", "running", "retrying"].iter().all(|status| self.seen.count(status) == 0)
    }

    /// How fast a job went over the last looks.
    pub(super) fn pace(&self, job: &Job) -> Pace {
        let Some(marks) = self.marks.get(&job.id) else { return Pace::default() };
        let (Some(first), Some(last)) = (marks.front(), marks.back()) else { return Pace::default() };
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        if seconds <= 0.0 {
            return Pace::default();
        }
        let rate = |first: u64, last: u64| last.saturating_sub(first) as f64 / seconds;
        let users_per_second = rate(first.users, last.users);
        let users_left = job.users_total.saturating_sub(job.users_done) as f64;
        let left = (job.users_total > 0 && users_per_second > 0.0)
            .then(|| Duration::try_from_secs_f64(users_left / users_per_second).ok())
            .flatten();
        Pace { rows_per_second: Some(rate(first.rows, last.rows)), left }
    }
}

/// How much of a job is done, from 0 to 1; nothing for one that does not count.
pub(super) fn part_done(job: &Job) -> Option<f64> {
    (job.users_total > 0).then(|| (job.users_done as f64 / job.users_total as f64).min(1.0))
}

/// A duration in two units: `1 h 5 min`, `12 s`.
pub(super) fn show_left(left: Duration) -> String {
    let seconds = left.as_secs_f64().ceil().min(f64::from(u32::MAX)) as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn job(id: &str, users_done: u64, rows_done: u64) -> Job {
        Job {
            id: id.to_owned(),
            kind: "flush".to_owned(),
            subject: "chat.notes".to_owned(),
            status: "running".to_owned(),
            state: "Writing".to_owned(),
            users_done,
            users_total: 100,
            rows_done,
            ..Job::default()
        }
    }

    pub(in super::super) fn seen(active: Vec<Job>) -> Seen {
        Seen { counts: vec![("running".to_owned(), active.len() as u64)], active, ended: Vec::new() }
    }

    #[test]
    fn a_pace_is_taken_over_the_last_looks() {
        let mut board = Board::default();
        board.add(Duration::ZERO, seen(vec![job("a", 0, 0)]));
        assert_eq!(board.pace(&job("a", 0, 0)), Pace::default(), "one look says nothing");
        for second in 1..=30 {
            board.add(Duration::from_secs(second), seen(vec![job("a", second * 2, second * 500)]));
        }
        let pace = board.pace(&job("a", 60, 15_000));
        assert_eq!(pace, Pace { rows_per_second: Some(500.0), left: Some(Duration::from_secs(20)) });
    }

    #[test]
    fn a_job_that_begins_again_has_a_new_pace() {
        let mut board = Board::default();
        board.add(Duration::ZERO, seen(vec![job("a", 50, 5_000)]));
        board.add(Duration::from_secs(1), seen(vec![job("a", 40, 4_000)]));
        assert_eq!(board.pace(&job("a", 40, 4_000)), Pace::default());
        board.add(Duration::from_secs(2), seen(vec![job("a", 41, 4_100)]));
        assert_eq!(board.pace(&job("a", 41, 4_100)).rows_per_second, Some(100.0));
    }

    #[test]
    fn nothing_is_kept_of_jobs_that_are_gone() {
        let mut board = Board::default();
        board.add(Duration::ZERO, seen(vec![job("a", 1, 1)]));
        assert!(!board.is_idle());
        board.add(Duration::from_secs(1), seen(vec![]));
        assert!(board.marks.is_empty() && board.is_idle());
        board.fail("gone".to_owned());
        assert!(!board.is_idle(), "nobody knows");
    }

    #[test]
    fn time_left_is_said_in_two_units() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_900, "1 h 5 min")] {
            assert_eq!(show_left(Duration::from_secs(seconds)), text);
        }
    }
}
