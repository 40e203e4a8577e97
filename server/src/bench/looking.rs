//! `ebbtide bench looking`: looking at jobs among a million, over a client's connection and while a flush runs; then pruning
//! them, and what others notice of it.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ebbtide_engine::env::{Env, SystemEnv};
use ebbtide_runtime::{JobId, NewJob, Status};
use ebbtide_sql::Database;
use ebbtide_store::Table as StoredTable;
use ebbtide_workflows::job_cleanup::JobCleanup;
use tokio::sync::watch;
use tokio_postgres::{Client, NoTls, Statement};
use tokio_util::sync::CancellationToken;

use super::bed::settings;
use super::figures::{Latencies, Table, millis, rate, verdict, whole};
use super::history::{self, NAMESPACE};
use super::load::load;
use super::place::Where;
use super::rows::{COLUMNS, Shape};
use super::{Error, Outcome};
use crate::wire::{self, SERVICE_NAME, Server};

/// Options of `ebbtide bench looking`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Jobs that are stored
    #[arg(long, default_value_t = 1_000_000)]
    jobs: u64,
    /// How often each question is asked in each way
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// What is flushed meanwhile, again and again: users x rows of each
    #[arg(long, default_value = "1000x1000")]
    flushed: Shape,
    #[command(flatten)]
    place: Where,
}

/// How much longer than `SELECT 1` the 95th percentile may be.
const ABOVE_AIM: Duration = Duration::from_millis(1);
/// What the 95th percentile of a listing may be.
const LISTING_AIM: Duration = Duration::from_millis(10);
const PRUNED_PER_SECOND_AIM: f64 = 100_000.0;
const PAUSE_AIM: Duration = Duration::from_millis(100);
/// How long others are watched when nobody prunes.
const ALONE: Duration = Duration::from_secs(3);
/// The table that is flushed, and the one that others write to.
const FLUSHED: &str = "looking";
const OTHERS: &str = "others";

/// What a question is held to.
#[derive(Clone, Copy)]
enum Aim {
    /// It is what the others are measured by.
    Yardstick,
    /// So little above the yardstick.
    Above,
    /// So little in all.
    Listing,
}

struct Question {
    name: &'static str,
    sql: String,
    aim: Aim,
    by_id: bool,
}

fn questions() -> Vec<Question> {
    let listing = |name, wanted: &str| Question {
        name,
        sql: format!("SELECT * FROM system.jobs {wanted} ORDER BY created_at DESC LIMIT 100"),
        aim: Aim::Listing,
        by_id: false,
    };
    let question = |name, sql: &str, aim, by_id| Question { name, sql: sql.to_owned(), aim, by_id };
    vec![
        question("SELECT 1", "SELECT 1", Aim::Yardstick, false),
        question("one job by its id", "SELECT * FROM system.jobs WHERE job_id = $1", Aim::Above, true),
        listing("first 100 completed", "WHERE status = 'completed'"),
        listing("first 100 failed", "WHERE status = 'failed'"),
        listing(
            "first 100 of a table",
            &format!("WHERE namespace = '{NAMESPACE}' AND table_name = '{}'", history::table(7)),
        ),
        listing("newest 100", ""),
        question("counts by status", "SELECT status, count(*) FROM system.jobs GROUP BY status", Aim::Above, false),
    ]
}

pub(super) async fn run(args: Args) -> Outcome {
    let place = args.place.make()?;
    println!(
        "looking: {} jobs stored, a flush of {} rows runs; {}",
        args.jobs,
        args.flushed.rows(),
        place.path().display()
    );
    let env = Arc::new(SystemEnv);
    let database = Database::open(&settings(place.path()), env.clone()).await?;
    let begun = Instant::now();
    let ids = history::fill(database.engine(), args.jobs, env.now()).await?;
    println!("  stored in {:.1} s", begun.elapsed().as_secs_f64());
    let server = Server::start((Ipv4Addr::LOCALHOST, 0).into(), database.clone(), wire::Options::default()).await?;
    let client = connect(&server).await?;
    make_tables(&client).await?;

    let flushing = Flushing::start(&database, &server, args.flushed).await?;
    let asked = ask(&client, &flushing, &ids, args.rounds).await;
    let flushes = flushing.stop().await?;
    let mut asked = asked?;
    println!("  {flushes} flushes ran meanwhile; nothing was measured between them");
    report(&mut asked);

    prune(&database, &server).await?;
    drop(client);
    server.stop().await;
    database.close(Duration::from_secs(30)).await;
    Ok(ExitCode::SUCCESS)
}

async fn connect(server: &Server) -> Result<Client, Error> {
    let url = format!("postgres://{SERVICE_NAME}@{}/ebbtide", server.address());
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    // Whoever waits for an answer is told of an error as well.
    tokio::spawn(connection);
    Ok(client)
}

async fn make_tables(client: &Client) -> Result<(), Error> {
    let columns: Vec<String> =
        COLUMNS.iter().map(|(name, column_type)| format!("{name} {column_type} NOT NULL")).collect();
    let sql = format!(
        "CREATE NAMESPACE bench; CREATE USER TABLE bench.{FLUSHED} ({}) FLUSH INTERVAL 86399s; \
         CREATE USER TABLE bench.{OTHERS} (n BIGINT) FLUSH INTERVAL 86399s",
        columns.join(", ")
    );
    Ok(client.batch_execute(&sql).await?)
}

/// Flushes one after the other, with the loading of their rows between them.
struct Flushing {
    running: watch::Receiver<bool>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<u32, Error>>,
}

impl Flushing {
    async fn start(database: &Database, server: &Server, shape: Shape) -> Result<Self, Error> {
        let table = database.store().catalog().table(&database.engine().snapshot(), "bench", FLUSHED)?;
        let table = table.ok_or("the table of the bench is not there")?;
        let (say, running) = watch::channel(false);
        let stop = CancellationToken::new();
        let client = connect(server).await?;
        let task = tokio::spawn(flush_on(database.clone(), client, table, shape, say, stop.clone()));
        Ok(Self { running, stop, task })
    }

    /// Waits until one runs; an error when none will.
    async fn runs(&self) -> Result<(), Error> {
        let mut running = self.running.clone();
        running
            .wait_for(|running| *running)
            .await
            .map(drop)
            .map_err(|_| "the flushes of the bench came to an end".into())
    }

    async fn stop(self) -> Result<u32, Error> {
        self.stop.cancel();
        self.task.await?
    }
}

async fn flush_on(
    database: Database,
    client: Client,
    table: Arc<StoredTable>,
    shape: Shape,
    say: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<u32, Error> {
    let mut flushes = 0;
    while !stop.is_cancelled() {
        load(database.engine(), &table, shape, flushes * shape.rows_per_user).await?;
        let row = client.simple_query(&format!("FLUSH TABLE bench.{FLUSHED}")).await?;
        let id = row.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get("job_id").map(str::to_owned),
            _ => None,
        });
        let id: JobId = id.ok_or("FLUSH gave no job")?.parse().map_err(|_| "FLUSH gave no id")?;
        say.send_replace(true);
        let job = tokio::select! {
            job = database.runtime().wait(&id) => Some(job?),
            () = stop.cancelled() => None,
        };
        say.send_replace(false);
        match job {
            Some(job) if job.status == Status::Completed => flushes += 1,
            Some(job) => return Err(format!("the flush is {}: {:?}", job.status, job.error).into()),
            None => {
                database.runtime().wait(&id).await?;
                flushes += 1;
            }
        }
    }
    Ok(flushes)
}

/// How long the answers to one question took.
struct Asked {
    question: Question,
    prepared: Latencies,
    text: Latencies,
}

async fn ask(client: &Client, flushing: &Flushing, ids: &[JobId], rounds: usize) -> Result<Vec<Asked>, Error> {
    let mut asked = Vec::new();
    for question in questions() {
        let statement = client.prepare(&question.sql).await?;
        asked.push((Asked { question, prepared: Latencies::default(), text: Latencies::default() }, statement));
    }
    for round in 0..rounds {
        let id = ids.get(round * 7 % ids.len().max(1)).ok_or("no job is stored")?.to_string();
        // All questions take turns, so that each meets the machine as the others do.
        for (asked, statement) in &mut asked {
            flushing.runs().await?;
            asked.prepared.push(prepared(client, &asked.question, statement, &id).await?);
            asked.text.push(text(client, &asked.question, &id).await?);
        }
    }
    Ok(asked.into_iter().map(|(asked, _)| asked).collect())
}

async fn prepared(client: &Client, question: &Question, statement: &Statement, id: &str) -> Result<Duration, Error> {
    let begun = Instant::now();
    let rows =
        if question.by_id { client.query(statement, &[&id]).await? } else { client.query(statement, &[]).await? };
    let took = begun.elapsed();
    if rows.is_empty() { Err(format!("{} found nothing", question.name).into()) } else { Ok(took) }
}

async fn text(client: &Client, question: &Question, id: &str) -> Result<Duration, Error> {
    let sql = question.sql.replace("$1", &format!("'{id}'"));
    let begun = Instant::now();
    client.simple_query(&sql).await?;
    Ok(begun.elapsed())
}

fn report(asked: &mut [Asked]) {
    let mut table = Table::new(&["question", "prepared p50", "p95", "as text p50", "p95", "aim", ""]);
    let yardstick = asked.first_mut().map(|first| [&mut first.prepared, &mut first.text].map(|it| it.percentile(95)));
    let [prepared_bar, text_bar] = yardstick.unwrap_or_default();
    for Asked { question, prepared, text } in asked {
        let p95 = [prepared.percentile(95), text.percentile(95)];
        let (aim, met) = match question.aim {
            Aim::Yardstick => ("", None),
            Aim::Above => (
                "p95 at most 1 ms above SELECT 1",
                Some(p95[0] <= prepared_bar + ABOVE_AIM && p95[1] <= text_bar + ABOVE_AIM),
            ),
            Aim::Listing => ("p95 below 10 ms", Some(p95.iter().all(|p95| *p95 < LISTING_AIM))),
        };
        table.row([
            question.name.to_owned(),
            millis(prepared.p50()),
            millis(p95[0]),
            millis(text.p50()),
            millis(p95[1]),
            aim.to_owned(),
            met.map(verdict).unwrap_or_default().to_owned(),
        ]);
    }
    table.print();
}

/// Removes the history with a cleanup as it is declared, and watches what others notice.
async fn prune(database: &Database, server: &Server) -> Result<(), Error> {
    let others = Others::start(server).await?;
    tokio::time::sleep(ALONE).await;
    let (alone_reads, alone_writes) = others.stop().await?;
    let others = Others::start(server).await?;
    let begun = Instant::now();
    let cleanup = JobCleanup { retention_days: 1, ..JobCleanup::default() };
    let job = *database.runtime().submit(NewJob::new("bench", Box::new(cleanup.job()))).await?.id();
    let job = database.runtime().wait(&job).await?;
    let took = begun.elapsed();
    let (reads, writes) = others.stop().await?;
    if job.status != Status::Completed {
        return Err(format!("the cleanup is {}: {:?}", job.status, job.error).into());
    }
    let pruned = job.result.as_ref().and_then(|result| result["jobs"].as_u64()).unwrap_or(0);
    let per_second = rate(pruned, took);
    println!(
        "  pruned {pruned} jobs in {:.2} s: {} jobs/s (aim at least {}: {})",
        took.as_secs_f64(),
        whole(per_second),
        whole(PRUNED_PER_SECOND_AIM),
        verdict(per_second >= PRUNED_PER_SECOND_AIM)
    );
    let mut table = Table::new(&["others", "nobody prunes p99", "longest", "while pruning p99", "longest", "aim", ""]);
    for (name, mut alone, mut pruning) in
        [("SELECT 1", alone_reads, reads), ("INSERT of a row, durable", alone_writes, writes)]
    {
        let longest = pruning.percentile(100);
        table.row([
            name.to_owned(),
            millis(alone.p99()),
            millis(alone.percentile(100)),
            millis(pruning.p99()),
            millis(longest),
            "no pause over 100 ms".to_owned(),
            verdict(longest <= PAUSE_AIM).to_owned(),
        ]);
    }
    table.print();
    Ok(())
}

/// Two clients that ask and write without a pause, each over a connection of its own.
struct Others {
    stop: CancellationToken,
    reads: tokio::task::JoinHandle<Result<Latencies, Error>>,
    writes: tokio::task::JoinHandle<Result<Latencies, Error>>,
}

impl Others {
    async fn start(server: &Server) -> Result<Self, Error> {
        let stop = CancellationToken::new();
        let again = |client: Client, sql: String, stop: CancellationToken| async move {
            let mut latencies = Latencies::default();
            while !stop.is_cancelled() {
                let begun = Instant::now();
                client.simple_query(&sql).await?;
                latencies.push(begun.elapsed());
            }
            Ok(latencies)
        };
        let insert = format!("INSERT INTO bench.{OTHERS} (_user_id, n) VALUES ('ana', 1)");
        let reads = tokio::spawn(again(connect(server).await?, "SELECT 1".to_owned(), stop.clone()));
        let writes = tokio::spawn(again(connect(server).await?, insert, stop.clone()));
        Ok(Self { stop, reads, writes })
    }

    async fn stop(self) -> Result<(Latencies, Latencies), Error> {
        self.stop.cancel();
        Ok((self.reads.await??, self.writes.await??))
    }
}
