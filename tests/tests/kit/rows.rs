//! Answers as text, and the difference between two.

use std::collections::BTreeMap;
use std::fmt::Debug;

use tokio_postgres::{Client, SimpleQueryMessage};

/// One row, each column as PostgreSQL's text form, `None` for NULL.
pub(crate) type Row = Vec<Option<String>>;

/// The rows that a statement answers.
pub(crate) async fn rows(client: &Client, sql: &str) -> Vec<Row> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error)));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        })
        .collect()
}

/// The one value that a statement answers.
pub(crate) async fn value(client: &Client, sql: &str) -> String {
    let rows = rows(client, sql).await;
    match rows.as_slice() {
        [row] if row.len() == 1 => row[0].clone().unwrap_or_else(|| "NULL".to_owned()),
        other => panic!("{sql}: one value was expected, not {other:?}"),
    }
}

/// Runs statements that answer nothing of interest.
pub(crate) async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", describe(&error)));
}

/// The SQLSTATE and message with which a statement is refused.
pub(crate) async fn refused(client: &Client, sql: &str) -> (String, String) {
    match client.simple_query(sql).await {
        Ok(_) => panic!("{sql}: it was accepted"),
        Err(error) => match error.as_db_error() {
            Some(told) => (told.code().code().to_owned(), told.message().to_owned()),
            None => panic!("{sql}: the connection broke: {error}"),
        },
    }
}

/// What a refusal says is to be done about it.
pub(crate) async fn hint(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(_) => panic!("{sql}: it was accepted"),
        Err(error) => error.as_db_error().and_then(|told| told.hint()).unwrap_or_default().to_owned(),
    }
}

fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => format!("{} {}", told.code().code(), told.message()),
        None => error.to_string(),
    }
}

/// Fails unless both hold the same rows, each as often; order does not count. Says which differ, not all there are.
#[track_caller]
pub(crate) fn assert_same<T: Ord + Debug>(
    expected: impl IntoIterator<Item = T>,
    found: impl IntoIterator<Item = T>,
    what: &str,
) {
    let difference = difference(expected, found);
    assert!(difference.is_empty(), "{what}:\n{difference}");
}

/// What is missing, and what is there too often; empty when nothing is.
pub(crate) fn difference<T: Ord + Debug>(
    expected: impl IntoIterator<Item = T>,
    found: impl IntoIterator<Item = T>,
) -> String {
    const SHOWN_MAX: usize = 10;
    let mut counts: BTreeMap<T, (usize, usize)> = BTreeMap::new();
    for row in expected {
        counts.entry(row).or_default().0 += 1;
    }
    for row in found {
        counts.entry(row).or_default().1 += 1;
    }
    let wrong: Vec<_> = counts.iter().filter(|(_, (expected, found))| expected != found).collect();
    let mut told: Vec<String> = wrong
        .iter()
        .take(SHOWN_MAX)
        .map(|(row, (expected, found))| format!("  {row:?}: expected {expected} times, found {found} times"))
        .collect();
    if wrong.len() > SHOWN_MAX {
        told.push(format!("  and {} more", wrong.len() - SHOWN_MAX));
    }
    told.join("\n")
}
