//! `ebbtide sql`: a small client. psql works as well and does more.

mod split;

use std::io::{IsTerminal, Write};
use std::pin::pin;
use std::process::ExitCode;

use futures::TryStreamExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Outcome;
use super::client::{self, Target, Told};
use super::table::Table;
use split::Splitter;

/// Options of `ebbtide sql`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Statements to run; without it they are read from standard input
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    command: Option<String>,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(args: Args) -> Outcome {
    let client = client::connect(&args.target.url).await?;
    let done = match args.command {
        Some(sql) => execute(&client, &sql).await?,
        None => from_input(&client).await?,
    };
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs statement after statement. At a terminal an error is shown and the next one is asked for; a script stops.
async fn from_input(client: &Client) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let interactive = std::io::stdin().is_terminal();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut splitter = Splitter::default();
    loop {
        if interactive {
            prompt(if splitter.is_open() { "      -> " } else { "ebbtide> " })?;
        }
        let Some(line) = lines.next_line().await? else { break };
        if !splitter.is_open() && matches!(line.trim(), "\\q" | "quit" | "exit") {
            return Ok(true);
        }
        for statement in splitter.push(&line) {
            if !execute(client, &statement).await? && !interactive {
                return Ok(false);
            }
        }
    }
    match splitter.finish() {
        Some(statement) => execute(client, &statement).await,
        None => Ok(true),
    }
}

fn prompt(text: &str) -> std::io::Result<()> {
    print!("{text}");
    std::io::stdout().flush()
}

/// Prints what the statements give. False: the server refused one; it has been shown why.
async fn execute(client: &Client, sql: &str) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    match print(client, sql).await {
        Ok(()) => Ok(true),
        Err(error) if error.as_db_error().is_some() => {
            eprintln!("{}", Told(&error));
            Ok(false)
        }
        Err(error) => Err(client::Error::from(error).into()),
    }
}

/// Prints what the statements give, row by row as it comes.
pub(super) async fn print(client: &Client, sql: &str) -> Result<(), tokio_postgres::Error> {
    let mut messages = pin!(client.simple_query_raw(sql).await?);
    let mut table: Option<Table> = None;
    while let Some(message) = messages.try_next().await? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                table = Some(Table::new(columns.iter().map(|column| column.name().to_owned()).collect()));
            }
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect();
                if let Some(table) = &mut table {
                    print!("{}", table.push(cells));
                }
            }
            SimpleQueryMessage::CommandComplete(rows) => match table.take() {
                Some(table) => print!("{}", table.finish()),
                None if rows > 0 => println!("done, {rows} rows"),
                None => println!("done"),
            },
            _ => {}
        }
    }
    Ok(())
}
