//! The board on a terminal: nothing but what is known goes in, nothing but cells come out.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, Widget};

use super::board::{Board, part_done, show_left};
use super::seen::{Job, Seen};

/// Ended jobs that are shown, at most; fewer when the active ones need the room.
const ENDED_SHOWN_MAX: usize = 8;
/// Cells of a progress bar.
const BAR_CELLS: usize = 16;
/// Characters of an id that are shown: the first ones are a time and much alike, the last ones are chance.
const ID_CELLS: usize = 8;

/// Draws all of it.
pub(super) fn draw(board: &Board, area: Rect, buffer: &mut Buffer) {
    let seen = board.seen();
    let ended = seen.ended.len().min(ENDED_SHOWN_MAX) as u16;
    let ended_height = if ended == 0 { 0 } else { ended + 2 };
    let [head, active, over, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(2),
        Constraint::Max(ended_height),
        Constraint::Length(1),
    ])
    .areas(area);
    Paragraph::new(counts(seen)).render(head, buffer);
    draw_active(board, active, buffer);
    draw_ended(seen, over, buffer);
    Paragraph::new(match board.failure() {
        Some(why) => Line::styled(format!("no answer: {}; asking again", plain(why)), Style::new().fg(Color::Red)),
        None => Line::styled("q quits", Style::new().add_modifier(Modifier::DIM)),
    })
    .render(foot, buffer);
}

fn counts(seen: &Seen) -> Line<'static> {
    let mut spans = vec![Span::styled("jobs", Style::new().add_modifier(Modifier::BOLD))];
    if seen.counts.is_empty() {
        spans.push(Span::raw("  none yet"));
    }
    for (status, jobs) in &seen.counts {
        spans.push(Span::raw("  "));
        spans.push(Span::styled(format!("{jobs} {}", plain(status)), color(status)));
    }
    Line::from(spans)
}

fn draw_active(board: &Board, area: Rect, buffer: &mut Buffer) {
    let seen = board.seen();
    let widths = [
        Constraint::Length(ID_CELLS as u16),
        Constraint::Length(12),
        Constraint::Fill(2),
        Constraint::Length(9),
        Constraint::Length(13),
        Constraint::Length(BAR_CELLS as u16 + 5),
        Constraint::Length(12),
        Constraint::Length(12),
        Constraint::Length(12),
        Constraint::Fill(1),
    ];
    let heads = ["job", "kind", "table", "status", "state", "users", "rows", "rows/s", "left", "now"];
    let rows = seen.active.iter().map(|job| {
        let pace = board.pace(job);
        Row::new([
            Cell::new(short(&job.id)),
            Cell::new(plain(&job.kind)),
            Cell::new(plain(&job.subject)),
            Cell::new(Span::styled(plain(&job.status), color(&job.status))),
            Cell::new(plain(&job.state)),
            Cell::new(part_done(job).map(bar).unwrap_or_default()),
            Cell::new(grouped(job.rows_done)),
            Cell::new(pace.rows_per_second.map(|rate| grouped(rate as u64)).unwrap_or_default()),
            Cell::new(pace.left.map(show_left).unwrap_or_default()),
            Cell::new(now(job)),
        ])
    });
    Widget::render(Table::new(rows, widths).header(header(heads)), area, buffer);
}

/// What an active job is at, or what held it up.
fn now(job: &Job) -> String {
    match (&job.error, &job.user) {
        (Some(error), _) if job.status != "running" => format!("try {}: {}", job.attempt, plain(error)),
        (_, Some(user)) => plain(user),
        _ => String::new(),
    }
}

fn draw_ended(seen: &Seen, area: Rect, buffer: &mut Buffer) {
    let widths = [
        Constraint::Length(ID_CELLS as u16),
        Constraint::Length(12),
        Constraint::Fill(2),
        Constraint::Length(9),
        Constraint::Length(12),
        Constraint::Length(19),
        Constraint::Fill(2),
    ];
    let heads = ["ended", "kind", "table", "status", "rows", "at", "error"];
    let rows = seen.ended.iter().take(ENDED_SHOWN_MAX).map(|job| {
        Row::new([
            Cell::new(short(&job.id)),
            Cell::new(plain(&job.kind)),
            Cell::new(plain(&job.subject)),
            Cell::new(Span::styled(plain(&job.status), color(&job.status))),
            Cell::new(grouped(job.rows_done)),
            Cell::new(job.ended_at.as_deref().unwrap_or_default().chars().take(19).collect::<String>()),
            Cell::new(plain(job.error.as_deref().unwrap_or_default())),
        ])
    });
    Widget::render(Table::new(rows, widths).header(header(heads)), area, buffer);
}

fn header<const N: usize>(heads: [&'static str; N]) -> Row<'static> {
    Row::new(heads).style(Style::new().add_modifier(Modifier::DIM))
}

fn color(status: &str) -> Style {
    match status {
        "running" => Style::new().fg(Color::Cyan),
        "completed" => Style::new().fg(Color::Green),
        "failed" | "parked" => Style::new().fg(Color::Red),
        "retrying" | "paused" => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    }
}

/// `████████░░░░░░░░  50%`
fn bar(part: f64) -> String {
    let full = (part * BAR_CELLS as f64).floor() as usize;
    format!("{}{} {:>3.0}%", "█".repeat(full), "░".repeat(BAR_CELLS - full.min(BAR_CELLS)), (part * 100.0).floor())
}

fn short(id: &str) -> String {
    let letters = id.chars().count();
    plain(&id.chars().skip(letters.saturating_sub(ID_CELLS)).collect::<String>())
}

/// Text without anything that could move the cursor or worse.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{job, seen};
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::time::Duration;

    fn screen(board: &Board, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(board, frame.area(), frame.buffer_mut())).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect()
    }

    fn two_looks() -> Board {
        let mut board = Board::default();
        board.add(Duration::ZERO, seen(vec![job("018f5e2a-0000-7000-8000-0000deadbeef", 40, 1_000)]));
        let running =
            Job { user: Some("ana".to_owned()), ..job("018f5e2a-0000-7000-8000-0000deadbeef", 50, 1_251_000) };
        let failed = Job {
            status: "failed".to_owned(),
            error: Some("no space\u{1b}[2J left".to_owned()),
            ended_at: Some("2026-11-22 10:00:00.123456+00".to_owned()),
            ..job("e", 0, 0)
        };
        board.add(Duration::from_secs(1), Seen { ended: vec![failed], ..seen(vec![running]) });
        board
    }

    #[test]
    fn the_screen_shows_progress_rate_and_time_left() {
        let rows = screen(&two_looks(), 150, 10);
        assert_eq!(rows[0], "jobs  1 running");
        let active = &rows[3];
        for shown in [
            "deadbeef",
            "flush",
            "chat.notes",
            "running",
            "Writing",
            "████████░░░░░░░░  50%",
            "1,251,000",
            "1,250,000",
            "5 s",
            "ana",
        ] {
            assert!(active.contains(shown), "{shown} in {active}");
        }
        let ended = rows.iter().find(|row| row.contains("failed")).unwrap();
        assert!(ended.contains("2026-11-22 10:00:00") && ended.contains("no space [2J left"), "{ended}");
        assert_eq!(rows[9], "q quits");
    }

    #[test]
    fn what_went_wrong_is_shown_beside_what_was_known() {
        let mut board = two_looks();
        board.fail("connection refused".to_owned());
        let rows = screen(&board, 150, 10);
        assert!(rows[3].contains("deadbeef"), "{rows:?}");
        assert_eq!(rows[9], "no answer: connection refused; asking again");
    }

    #[test]
    fn a_small_terminal_is_no_reason_to_fall_over() {
        for (width, height) in [(1, 1), (10, 3), (40, 5), (300, 100)] {
            screen(&two_looks(), width, height);
        }
        assert!(screen(&Board::default(), 80, 5)[0].contains("none yet"));
    }

    #[test]
    fn a_bar_is_full_only_at_the_end() {
        assert_eq!(bar(0.999), format!("{}░  99%", "█".repeat(15)));
        assert_eq!(bar(1.0), format!("{} 100%", "█".repeat(16)));
    }
}
