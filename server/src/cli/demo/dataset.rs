//! Chat messages, one after another: the real ones out of a wheel, or made-up ones of the same shape.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::lookalike;

/// Messages in the data set, as published.
pub(super) const MESSAGES: u64 = 258_145;
/// People who wrote them.
pub(super) const SENDERS: u64 = 1_315;

/// The data set's place inside the wheel.
const MEMBER: &str = "chitchat_dataset/dataset.json";
/// The data set is 40 MB long; a file that unpacks to much more is not it.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;

/// One chat message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Who wrote it: the owner of the row.
    pub(super) sender: String,
    /// The conversation it belongs to.
    pub(super) conversation: String,
    /// Its number in the conversation, from 1.
    pub(super) number: u32,
    /// When, in UTC, as ISO 8601.
    pub(super) sent_at: String,
    /// What.
    pub(super) text: String,
}

/// Where messages come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The wheel of chitchat-dataset.
    Wheel(PathBuf),
    /// Messages that are made up, always the same.
    LookAlike,
}

/// Why messages could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The wheel cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The wheel is no wheel of this data set.
    #[error("{} holds no data set: {source}", path.display())]
    Zip { path: PathBuf, source: zip::result::ZipError },
    /// The data set is not what it was.
    #[error("{} does not hold the messages that are expected: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
}

impl Source {
    /// Gives up to `count` messages to `take`, which may stop it earlier. One conversation is held at a time.
    pub(super) fn each(&self, count: u64, take: &mut dyn FnMut(Message) -> ControlFlow<()>) -> Result<(), Error> {
        let mut left = count;
        let mut bounded = |message| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            take(message)
        };
        match self {
            Self::Wheel(path) => from_wheel(path, &mut bounded),
            Self::LookAlike => {
                lookalike::each(count, &mut bounded);
                Ok(())
            }
        }
    }
}

fn from_wheel(path: &Path, take: &mut dyn FnMut(Message) -> ControlFlow<()>) -> Result<(), Error> {
    let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let zip = |source| Error::Zip { path: path.to_owned(), source };
    let mut wheel = zip::ZipArchive::new(BufReader::new(file)).map_err(zip)?;
    let member = wheel.by_name(MEMBER).map_err(zip)?;
    parse(member.take(UNPACKED_BYTES_MAX), take).map_err(|source| Error::Json { path: path.to_owned(), source })
}

/// Reads `{conversation: {"messages": [[message, …], …], …}, …}`.
fn parse(json: impl Read, take: &mut dyn FnMut(Message) -> ControlFlow<()>) -> Result<(), serde_json::Error> {
    let mut enough = false;
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 20, json));
    let read = Conversations { take, enough: &mut enough }.deserialize(&mut reader);
    // The way out of a parser before its end is an error; this one is ours.
    if enough { Ok(()) } else { read.and_then(|()| reader.end()) }
}

struct Conversations<'a> {
    take: &'a mut dyn FnMut(Message) -> ControlFlow<()>,
    enough: &'a mut bool,
}

/// Ratings and the like are passed over.
#[derive(Deserialize)]
struct Conversation {
    messages: Vec<Vec<Line>>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    timestamp: String,
    sender: String,
}

impl<'de> DeserializeSeed<'de> for Conversations<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Conversations<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("conversations by their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((conversation, Conversation { messages })) = map.next_entry::<String, Conversation>()? {
            for (number, line) in (1..).zip(messages.into_iter().flatten()) {
                let Line { text, timestamp: sent_at, sender } = line;
                let message = Message { sender, conversation: conversation.clone(), number, sent_at, text };
                if (self.take)(message).is_break() {
                    *self.enough = true;
                    return Err(serde::de::Error::custom("enough"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_CONVERSATIONS: &str = r#"{
        "c1": {"messages": [[{"text": "hi", "timestamp": "2018-05-02T19:38:15Z", "sender": "ana"}],
                            [{"text": "ho", "timestamp": "2018-05-02T19:38:20Z", "sender": "ben"},
                             {"text": "ha", "timestamp": "2018-05-02T19:38:21Z", "sender": "ben"}]],
               "ratings": {"witty": "1"}, "start": "2018-05-02T19:38:15Z"},
        "c2": {"messages": [], "prompt": "x"}
    }"#;

    fn read(json: &str, count: usize) -> Result<Vec<Message>, serde_json::Error> {
        let mut messages = Vec::new();
        parse(json.as_bytes(), &mut |message| {
            messages.push(message);
            if messages.len() == count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(messages)
    }

    #[test]
    fn messages_come_in_order_with_their_number() {
        let messages = read(TWO_CONVERSATIONS, usize::MAX).expect("well-formed");
        let told: Vec<_> =
            messages.iter().map(|m| (m.conversation.as_str(), m.number, m.sender.as_str(), m.text.as_str())).collect();
        assert_eq!(told, [("c1", 1, "ana", "hi"), ("c1", 2, "ben", "ho"), ("c1", 3, "ben", "ha")]);
        assert_eq!(messages[0].sent_at, "2018-05-02T19:38:15Z");
    }

    #[test]
    fn reading_stops_when_it_is_told_to() {
        assert_eq!(read(TWO_CONVERSATIONS, 2).expect("well-formed").len(), 2);
    }

    #[test]
    fn a_broken_file_is_an_error() {
        assert!(read(&TWO_CONVERSATIONS[..TWO_CONVERSATIONS.len() - 2], usize::MAX).is_err());
        assert!(read(r#"{"c": {"messages": [[{"text": "no sender"}]]}}"#, usize::MAX).is_err());
    }
}
