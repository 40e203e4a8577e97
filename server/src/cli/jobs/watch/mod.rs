//! `ebbtide jobs watch`: running jobs as they go.
//!
//! ```text
//! every tick: one message to the server ─► Seen ─► Board (rates from the last ticks) ─► draw, or lines
//! ```

mod board; // what is known, with rates
mod draw; // the board on a terminal
mod lines; // the board where there is no terminal
mod seen; // one look at the server

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_postgres::Client;

use super::super::Outcome;
use super::super::client::{self, Target};
use board::Board;
use lines::Lines;
use seen::Seen;

/// Options of `ebbtide jobs watch`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Seconds between two looks
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    every: f64,
    /// Print lines, also at a terminal
    #[arg(long)]
    plain: bool,
    /// End when no job is active any more
    #[arg(long)]
    until_idle: bool,
    #[command(flatten)]
    target: Target,
}

/// Shorter would measure the watching.
const SECONDS_MIN: f64 = 0.1;
const SECONDS_MAX: f64 = 3600.0;
/// How often the keyboard is looked at for the sake of ending.
const KEYS_EVERY: Duration = Duration::from_millis(200);

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (SECONDS_MIN..=SECONDS_MAX).contains(seconds));
    seconds.ok_or_else(|| format!("write seconds, from {SECONDS_MIN} to {SECONDS_MAX}"))
}

pub(super) async fn run(args: Args) -> Outcome {
    // The first look is asked for before anything is drawn, so that a wrong address is said in the open.
    let mut watch = Watch::start(&args).await?;
    if args.plain || !std::io::stdout().is_terminal() {
        let mut lines = Lines::default();
        loop {
            print!("{}", lines.next(&watch.board));
            std::io::stdout().flush()?;
            if watch.is_over() {
                return Ok(ExitCode::SUCCESS);
            }
            watch.tick().await;
        }
    }
    let mut terminal = ratatui::try_init()?;
    let shown = watch.show(&mut terminal).await;
    ratatui::restore();
    shown.map(|()| ExitCode::SUCCESS).map_err(Into::into)
}

struct Watch<'a> {
    args: &'a Args,
    client: Option<Client>,
    board: Board,
    begun: Instant,
    ticks: tokio::time::Interval,
}

impl<'a> Watch<'a> {
    async fn start(args: &'a Args) -> Result<Self, client::Error> {
        let client = client::connect(&args.target.url).await?;
        let begun = Instant::now();
        let mut board = Board::default();
        board.add(Duration::ZERO, Seen::look(&client).await?);
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(args.every));
        // A slow answer is not followed by a hail of questions.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        Ok(Self { args, client: Some(client), board, begun, ticks })
    }

    /// Waits for the next tick and looks. An error is shown beside what was last known, and the server asked again.
    async fn tick(&mut self) {
        self.ticks.tick().await;
        match self.look().await {
            Ok(seen) => self.board.add(self.begun.elapsed(), seen),
            Err(error) => {
                self.client = None;
                self.board.fail(error.to_string());
            }
        }
    }

    async fn look(&mut self) -> Result<Seen, client::Error> {
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(client::connect(&self.args.target.url).await?),
        };
        Seen::look(client).await
    }

    fn is_over(&self) -> bool {
        self.args.until_idle && self.board.is_idle()
    }

    async fn show(&mut self, terminal: &mut DefaultTerminal) -> std::io::Result<()> {
        let mut keys = keys();
        loop {
            terminal.draw(|frame| draw::draw(&self.board, frame.area(), frame.buffer_mut()))?;
            if self.is_over() {
                return Ok(());
            }
            tokio::select! {
                () = self.tick() => {}
                key = keys.recv() => match key {
                    Some(Key::Redraw) => {}
                    Some(Key::Quit) | None => return Ok(()),
                }
            }
        }
    }
}

enum Key {
    Quit,
    Redraw,
}

/// What is pressed, read on a thread that ends when nobody listens any more.
fn keys() -> mpsc::Receiver<Key> {
    let (pressed, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !pressed.is_closed() {
            let key = match event::poll(KEYS_EVERY).and_then(|there| there.then(event::read).transpose()) {
                Ok(None) => continue,
                Ok(Some(Event::Resize(..))) => Key::Redraw,
                Ok(Some(Event::Key(key))) => match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
                    KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
                    _ => continue,
                },
                Ok(Some(_)) => continue,
                Err(_) => Key::Quit,
            };
            if pressed.blocking_send(key).is_err() {
                return;
            }
        }
    });
    keys
}
