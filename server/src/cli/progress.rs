//! How far something is: a bar at a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// One thing that is under way. Shown on standard error.
pub(super) struct Bar {
    bar: ProgressBar,
    name: &'static str,
    plain: Option<Mutex<Plain>>,
}

struct Plain {
    shown_at: Option<Instant>,
    line: String,
}

impl Bar {
    /// Something that counts in `name`.
    pub(super) fn new(name: &'static str) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(0), target).with_prefix(name).with_style(
            ProgressStyle::with_template("{prefix:>14} {bar:30} {human_pos}/{human_len}  {elapsed}  {msg}")
                .expect("the template is well-formed"),
        );
        let plain = plain.then(|| Mutex::new(Plain { shown_at: None, line: String::new() }));
        Self { bar, name, plain }
    }

    /// It is so far now.
    pub(super) fn set(&self, done: u64, total: u64, message: &str) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(message.to_owned());
        if let Some(plain) = &self.plain {
            let mut plain = plain.lock().expect("nothing panics while it prints a line");
            plain.line = format!("{done} of {total} {}: {message}", self.name);
            if plain.shown_at.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                plain.show();
            }
        }
    }

    /// It has ended; the last figures stay.
    pub(super) fn finish(&self) {
        self.bar.abandon();
        if let Some(plain) = &self.plain {
            plain.lock().expect("nothing panics while it prints a line").show();
        }
    }
}

impl Plain {
    fn show(&mut self) {
        if !self.line.is_empty() {
            eprintln!("{}", std::mem::take(&mut self.line));
        }
        self.shown_at = Some(Instant::now());
    }
}
