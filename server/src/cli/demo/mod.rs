//! `ebbtide demo`: chat messages go in over a real connection and come out as one Parquet file per user.
//!
//! Everything that is counted is counted twice, here and by the server, and the demo fails when the two disagree.

mod dataset; // the messages, real or made up
mod fetch; // the real ones, from PyPI
mod load; // rows in, by COPY
mod lookalike; // made-up ones
mod report; // what there is to see afterwards

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ebbtide_config::Settings;
use ebbtide_engine::env::SharedEnv;
use indicatif::HumanCount;
use tokio_postgres::Client;

use super::{Outcome, client, flush};
use crate::open::Running;
use crate::wire::SERVICE_NAME;
use dataset::Source;
use load::Sent;

const TABLE: &str = "chat.messages";
/// Nothing flushes by itself here, so that the flush can be watched from its beginning.
const CREATE: &str = "CREATE NAMESPACE IF NOT EXISTS chat;
CREATE USER TABLE chat.messages (
    conversation TEXT NOT NULL,
    number       INT NOT NULL,
    sent_at      TIMESTAMPTZ NOT NULL,
    text         TEXT NOT NULL
) SHARDING alphabetic FLUSH INTERVAL 3600s";
/// Jobs have nothing left to do by then.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Options of `ebbtide demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the data goes; without it, a new folder among the temporary files
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How many messages
    #[arg(long, value_name = "N", default_value_t = dataset::MESSAGES, value_parser = clap::value_parser!(u64).range(1..=dataset::MESSAGES))]
    rows: u64,
    /// Make messages up instead of fetching the real ones
    #[arg(long)]
    look_alike: bool,
}

pub(super) async fn run(args: Args, env: SharedEnv) -> Outcome {
    let source = if args.look_alike { Source::LookAlike } else { real_or_made_up().await };
    let mut settings = Settings::default();
    settings.storage.data_dir = match args.data_dir {
        Some(data_dir) => data_dir,
        None => fresh_dir()?,
    };
    settings.server.listen.set_port(0);
    let running = Running::start_in(&settings, env).await?;
    println!(
        "a server of its own listens on {}, its data is in {}",
        running.address(),
        settings.storage.data_dir.display()
    );
    let url = format!("postgres://{SERVICE_NAME}@{}/ebbtide", running.address());
    let shown = show(&url, source, args.rows, &settings).await;
    running.stop(STOP_TIMEOUT).await;
    let agreed = shown?;
    how_to_go_on(&settings.storage.data_dir);
    Ok(if agreed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn real_or_made_up() -> Source {
    match fetch::wheel().await {
        Ok(wheel) => {
            println!("real chat messages: chitchat-dataset 0.9.0 from PyPI (MIT licence), {}", wheel.display());
            Source::Wheel(wheel)
        }
        Err(why) => {
            println!("the real messages cannot be had: {why}");
            println!("made-up ones of the same shape are taken instead");
            Source::LookAlike
        }
    }
}

fn fresh_dir() -> std::io::Result<PathBuf> {
    let parent = std::env::temp_dir();
    for number in 1.. {
        let dir = parent.join(format!("ebbtide-demo-{}-{number}", std::process::id()));
        match std::fs::create_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| dir),
        }
    }
    unreachable!("there are more numbers than folders")
}

/// The whole story. False when two counts disagree.
async fn show(
    url: &str,
    source: Source,
    rows: u64,
    settings: &Settings,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let client = client::connect(url).await?;
    client.batch_execute(CREATE).await.map_err(client::Error::from)?;
    let mut counts = Counts::default();

    let whole = rows == dataset::MESSAGES;
    let began = Instant::now();
    let sent = load::load(&client, TABLE, source, rows).await?;
    let speed = sent.rows as f64 / began.elapsed().as_secs_f64();
    println!(
        "{} rows of {} users in, {} rows/s, each chunk on disk before the next was asked for",
        HumanCount(sent.rows),
        HumanCount(sent.users),
        HumanCount(speed as u64)
    );
    counts.compare("rows sent and rows wanted", sent.rows, rows);
    if whole {
        counts.compare("users sent and users of the data set", sent.users, dataset::SENDERS);
    }
    count(&client, &mut counts, "before the flush", sent).await?;

    let job = flush::submit(&client, TABLE).await?;
    let ended = flush::watch(&client, &job, "users flushed").await?;
    counts.hold(&format!("the flush completed ({})", ended.summary()), ended.status == "completed");

    report::timeline(&client, &job).await?;
    count(&client, &mut counts, "after the flush", sent).await?;
    let tiers = report::tiers(&client).await?;
    counts.compare("rows hot after the flush and 0", tiers.hot_rows, 0);
    counts.compare("rows in segments and rows sent", tiers.cold_rows, sent.rows);
    counts.compare("users with segments and users sent", tiers.cold_users, sent.users);
    report::folder_of_one_user(&client, &settings.storage.local_path()).await?;
    Ok(counts.agreed)
}

async fn count(
    client: &Client,
    counts: &mut Counts,
    when: &str,
    sent: Sent,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let sql = format!("SELECT count(*) AS rows, count(DISTINCT _user_id) AS users FROM {TABLE}");
    let row = report::numbers(client, &sql).await?;
    counts.compare(&format!("count(*) {when} and rows sent"), row[0], sent.rows);
    counts.compare(&format!("users counted {when} and users sent"), row[1], sent.users);
    Ok(())
}

/// Counts that must agree, printed as they are compared.
struct Counts {
    agreed: bool,
}

impl Default for Counts {
    fn default() -> Self {
        Self { agreed: true }
    }
}

impl Counts {
    fn compare(&mut self, what: &str, one: u64, other: u64) {
        let sign = if one == other { "=" } else { "≠" };
        self.hold(&format!("{what}: {} {sign} {}", HumanCount(one), HumanCount(other)), one == other);
    }

    fn hold(&mut self, what: &str, holds: bool) {
        println!("{} {what}", if holds { "ok   " } else { "WRONG" });
        self.agreed &= holds;
    }
}

fn how_to_go_on(data_dir: &Path) {
    let port = Settings::default().server.listen.port();
    println!("\nGo on with the same data:");
    println!("  ebbtide serve --data-dir {}", data_dir.display());
    println!("  psql -h 127.0.0.1 -p {port} -U {SERVICE_NAME} -d ebbtide -c \\");
    println!("    'SELECT _user_id, count(*) FROM {TABLE} GROUP BY 1 ORDER BY 2 DESC LIMIT 5'");
}
