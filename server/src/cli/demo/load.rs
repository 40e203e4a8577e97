//! Messages into the table, by COPY over the connection.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::pin::pin;

use bytes::Bytes;
use futures::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::Client;

use super::dataset::{self, Message, Source};
use crate::cli::progress::Bar;

/// Bytes sent together.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that may wait for the server.
const CHUNKS_WAITING_MAX: usize = 4;

/// What was sent, counted on this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) rows: u64,
    pub(super) users: u64,
}

struct Chunk {
    bytes: Bytes,
    rows: u64,
}

/// Sends up to `rows` messages; the server's own count must agree with what was sent.
pub(super) async fn load(
    client: &Client,
    table: &str,
    source: Source,
    rows: u64,
) -> Result<Sent, Box<dyn std::error::Error + Send + Sync>> {
    let copy = format!("COPY {table} (_user_id, conversation, number, sent_at, text) FROM STDIN");
    let mut sink = pin!(client.copy_in::<_, Bytes>(&copy).await.map_err(crate::cli::client::Error::from)?);
    let (chunks, mut waiting) = mpsc::channel(CHUNKS_WAITING_MAX);
    let reader = tokio::task::spawn_blocking(move || read(&source, rows, &chunks));
    let bar = Bar::new("rows in");
    let mut gone = 0;
    while let Some(Chunk { bytes, rows: count }) = waiting.recv().await {
        sink.send(bytes).await.map_err(crate::cli::client::Error::from)?;
        gone += count;
        bar.set(gone, rows, "by COPY");
    }
    let sent = reader.await??;
    let taken = sink.finish().await.map_err(crate::cli::client::Error::from)?;
    bar.finish();
    if taken != sent.rows {
        return Err(format!("{} rows were sent and the server took {taken}", sent.rows).into());
    }
    Ok(sent)
}

fn read(source: &Source, rows: u64, chunks: &mpsc::Sender<Chunk>) -> Result<Sent, dataset::Error> {
    let mut sent = Sent { rows: 0, users: 0 };
    let mut users = HashSet::new();
    let mut text = String::with_capacity(CHUNK_BYTES + 4096);
    let mut count = 0;
    source.each(rows, &mut |message| {
        write_line(&message, &mut text);
        sent.rows += 1;
        count += 1;
        users.insert(message.sender);
        if text.len() < CHUNK_BYTES {
            return ControlFlow::Continue(());
        }
        let chunk = Chunk { bytes: std::mem::take(&mut text).into(), rows: std::mem::take(&mut count) };
        // Nobody takes chunks any more after an error on the connection, which is told from there.
        if chunks.blocking_send(chunk).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if count > 0 {
        let _ = chunks.blocking_send(Chunk { bytes: text.into(), rows: count });
    }
    sent.users = users.len() as u64;
    Ok(sent)
}

/// One line of COPY's text format.
fn write_line(message: &Message, out: &mut String) {
    let number = message.number.to_string();
    let fields = [&message.sender, &message.conversation, &number, &message.sent_at, &message.text];
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push('\t');
        }
        for letter in field.chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                letter => out.push(letter),
            }
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_copy_is_escaped() {
        let message = Message {
            sender: "a\\b".to_owned(),
            conversation: "c".to_owned(),
            number: 7,
            sent_at: "2018-05-02T19:38:15Z".to_owned(),
            text: "tab\tline\nreturn\r\\N".to_owned(),
        };
        let mut line = String::new();
        write_line(&message, &mut line);
        assert_eq!(line, "a\\\\b\tc\t7\t2018-05-02T19:38:15Z\ttab\\tline\\nreturn\\r\\\\N\n");
    }

    #[test]
    fn all_rows_and_users_are_counted() {
        let (chunks, mut waiting) = mpsc::channel(CHUNKS_WAITING_MAX);
        let reader = std::thread::spawn(move || read(&Source::LookAlike, 20_000, &chunks));
        let mut rows = 0;
        let mut lines = 0;
        while let Some(chunk) = waiting.blocking_recv() {
            rows += chunk.rows;
            lines += chunk.bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        let sent = reader.join().expect("no panic").expect("the look-alike cannot fail");
        assert_eq!((sent.rows, rows, lines), (20_000, 20_000, 20_000));
        assert!(sent.users > 100);
    }
}
