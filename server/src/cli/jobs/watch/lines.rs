//! The board where there is no terminal: a line for each active job at each look, and one for each job that ended.

use std::collections::HashSet;
use std::fmt::Write;

use super::board::{Board, show_left};
use super::seen::Job;

/// What has been said so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Ended jobs that the last look showed; none before the first look, when all of them are old news.
    known: Option<HashSet<String>>,
    failure: Option<String>,
}

impl Lines {
    /// The lines to print after a look.
    pub(super) fn next(&mut self, board: &Board) -> String {
        let mut text = String::new();
        let failure = board.failure().map(str::to_owned);
        if failure != self.failure {
            if let Some(why) = &failure {
                push(&mut text, format_args!("no answer: {why}; asking again"));
            }
            self.failure = failure;
        }
        if self.failure.is_some() {
            return text;
        }
        let seen = board.seen();
        if let Some(known) = &self.known {
            for job in seen.ended.iter().rev().filter(|job| !known.contains(&job.id)) {
                push(&mut text, format_args!("{}", ended(job)));
            }
        }
        self.known = Some(seen.ended.iter().map(|job| job.id.clone()).collect());
        for job in seen.active.iter().filter(|job| job.status == "running") {
            push(&mut text, format_args!("{}", running(board, job)));
        }
        text
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes everything that is written to it");
}

fn running(board: &Board, job: &Job) -> String {
    let pace = board.pace(job);
    let mut line = format!("{} {} {} {}", job.id, job.kind, job.subject, job.state);
    if job.users_total > 0 {
        line.push_str(&format!(", {} of {} users", job.users_done, job.users_total));
    }
    line.push_str(&format!(", {} rows", job.rows_done));
    if let Some(rate) = pace.rows_per_second {
        line.push_str(&format!(", {rate:.0} rows/s"));
    }
    if let Some(left) = pace.left {
        line.push_str(&format!(", {} left", show_left(left)));
    }
    line
}

fn ended(job: &Job) -> String {
    let mut line = format!("{} {} {} {}, {} rows", job.id, job.kind, job.subject, job.status, job.rows_done);
    if let Some(error) = &job.error {
        line.push_str(": ");
        line.push_str(error);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{job, seen};
    use super::super::seen::{Job, Seen};
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_end_is_told_once() {
        let (mut board, mut lines) = (Board::default(), Lines::default());
        let over = |id: &str| Job { status: "completed".to_owned(), ..job(id, 100, 7) };
        let look = |active: Vec<Job>, ended: Vec<Job>| Seen { ended, ..seen(active) };

        board.add(Duration::ZERO, look(vec![job("a", 10, 1_000)], vec![over("old")]));
        assert_eq!(lines.next(&board), "a flush chat.notes Writing, 10 of 100 users, 1000 rows\n");
        board.add(Duration::from_secs(1), look(vec![job("a", 20, 2_000)], vec![over("old")]));
        assert_eq!(
            lines.next(&board),
            "a flush chat.notes Writing, 20 of 100 users, 2000 rows, 1000 rows/s, 8 s left\n"
        );
        board.add(Duration::from_secs(2), look(vec![], vec![over("a"), over("old")]));
        assert_eq!(lines.next(&board), "a flush chat.notes completed, 7 rows\n");
        assert_eq!(lines.next(&board), "");
        board.fail("gone".to_owned());
        assert_eq!(lines.next(&board), "no answer: gone; asking again\n");
        assert_eq!(lines.next(&board), "");
    }
}
