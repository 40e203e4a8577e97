//! Rows as a chat makes them: the same ones in every run, whoever takes them.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{Field, Schema};
use ebbtide_store::{ColumnType, Name, NewColumn};

/// The columns, in the order of [`Row`]'s fields.
pub(super) const COLUMNS: [(&str, ColumnType); 5] = [
    ("id", ColumnType::BigInt),
    ("conversation", ColumnType::Text),
    ("message", ColumnType::Text),
    ("sent_at", ColumnType::TimestampTz),
    ("edited", ColumnType::Boolean),
];

/// When the first message was sent, microseconds since the Unix epoch.
const BEGAN_AT: i64 = 1_750_000_000_000_000;

/// Letters of a message, about: the last word may go over.
const MESSAGE_BYTES: u64 = 55;

/// How many users, and how many rows of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) users: u32,
    pub(super) rows_per_user: u32,
}

impl Shape {
    pub(super) fn rows(self) -> u64 {
        u64::from(self.users) * u64::from(self.rows_per_user)
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        let (users, rows) = text.split_once('x').unzip();
        match (users.and_then(number), rows.and_then(number)) {
            (Some(users), Some(rows_per_user)) => Ok(Shape { users, rows_per_user }),
            _ => Err("write users x rows of each, as in 1000x1000".to_owned()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.users, self.rows_per_user)
    }
}

/// A user's id.
pub(super) fn user_name(user: u32) -> String {
    format!("u{user:06}")
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) conversation: String,
    pub(super) message: String,
    /// Microseconds since the Unix epoch.
    pub(super) sent_at: i64,
    pub(super) edited: bool,
}

impl Row {
    /// Becomes message `number` of user `user`, in the memory that it has.
    pub(super) fn become_message(&mut self, user: u32, number: u32) {
        let mut chance = Chance::of(user, number);
        self.id = i64::from(user) << 32 | i64::from(number);
        self.conversation.clear();
        self.conversation.push_str("conversation-");
        push_digits(&mut self.conversation, u64::from(user) * 16 + chance.below(16));
        self.message.clear();
        let bytes = MESSAGE_BYTES - 20 + chance.below(41);
        while (self.message.len() as u64) < bytes {
            if !self.message.is_empty() {
                self.message.push(' ');
            }
            // A product makes some words common and most rare, as in any language.
            let words = WORDS.len() as u64;
            let word = chance.below(words) * chance.below(words) / words;
            self.message.push_str(WORDS[word as usize]);
        }
        self.sent_at = BEGAN_AT + i64::from(number) * 7_000_000 + (chance.below(5_000_000)) as i64;
        self.edited = chance.below(16) == 0;
    }

    /// The message, as a value of its own.
    pub(super) fn message(user: u32, number: u32) -> Row {
        let mut row = Row::default();
        row.become_message(user, number);
        row
    }
}

/// These messages of one user, as columns of [`COLUMNS`].
pub(super) fn batch(user: u32, numbers: Range<u32>) -> RecordBatch {
    let rows = numbers.len();
    let mut ids = Int64Builder::with_capacity(rows);
    let mut conversations = StringBuilder::with_capacity(rows, rows * 24);
    let mut messages = StringBuilder::with_capacity(rows, rows * 64);
    let mut times = TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(ColumnType::TimestampTz.arrow());
    let mut edited = BooleanBuilder::with_capacity(rows);
    let mut row = Row::default();
    for number in numbers {
        row.become_message(user, number);
        ids.append_value(row.id);
        conversations.append_value(&row.conversation);
        messages.append_value(&row.message);
        times.append_value(row.sent_at);
        edited.append_value(row.edited);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.finish()),
        Arc::new(conversations.finish()),
        Arc::new(messages.finish()),
        Arc::new(times.finish()),
        Arc::new(edited.finish()),
    ];
    let fields = COLUMNS.map(|(name, column_type)| Field::new(name, column_type.arrow(), false));
    RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns)
        .expect("the columns have the types and the length that were just given")
}

/// The columns, to make a table with.
pub(super) fn columns() -> Vec<NewColumn> {
    COLUMNS
        .iter()
        .map(|(name, column_type)| NewColumn {
            name: Name::new(name).expect("the names above are names"),
            column_type: *column_type,
            nullable: false,
        })
        .collect()
}

fn push_digits(text: &mut String, number: u64) {
    use fmt::Write;
    write!(text, "{number:07}").expect("text takes everything");
}

/// Chance that is the same for the same message in every run: SplitMix64.
struct Chance(u64);

impl Chance {
    fn of(user: u32, number: u32) -> Chance {
        Chance((u64::from(user) << 32 | u64::from(number)).wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % bound
    }
}

#[rustfmt::skip]
const WORDS: [&str; 256] = [
    "the", "to", "you", "and", "it", "of", "that", "in", "is", "me", "we", "have", "so", "for", "not", "yes",
    "what", "on", "but", "this", "was", "are", "do", "just", "like", "my", "be", "with", "can", "at", "your", "no",
    "all", "if", "know", "think", "really", "good", "get", "up", "about", "out", "when", "there", "one", "how", "now", "time",
    "would", "people", "some", "also", "more", "they", "from", "want", "see", "well", "then", "had", "here", "any", "because", "been",
    "sure", "right", "much", "work", "day", "today", "tomorrow", "tonight", "weekend", "morning", "evening", "coffee", "lunch", "dinner", "home", "office",
    "train", "late", "early", "soon", "again", "always", "never", "maybe", "probably", "actually", "thanks", "please", "sorry", "hello", "great", "nice",
    "love", "hate", "music", "movie", "book", "game", "photo", "video", "song", "story", "friend", "family", "brother", "sister", "mother", "father",
    "school", "class", "exam", "teacher", "student", "city", "street", "river", "mountain", "beach", "summer", "winter", "spring", "autumn", "rain", "snow",
    "sunny", "cold", "warm", "weather", "phone", "laptop", "screen", "keyboard", "server", "deploy", "release", "branch", "review", "test", "build", "error",
    "crash", "database", "query", "table", "column", "index", "cache", "memory", "storage", "bucket", "upload", "download", "file", "folder", "backup", "restore",
    "meeting", "project", "deadline", "customer", "invoice", "budget", "plan", "ticket", "issue", "question", "answer", "idea", "problem", "solution", "example", "reason",
    "difference", "decision", "opinion", "language", "english", "german", "spanish", "french", "word", "sentence", "letter", "number", "message", "channel", "group", "running",
    "walking", "sleeping", "eating", "cooking", "reading", "writing", "talking", "listening", "watching", "playing", "working", "learning", "teaching", "waiting", "hoping", "happy",
    "tired", "busy", "free", "ready", "hungry", "thirsty", "bored", "excited", "nervous", "angry", "quiet", "loud", "fast", "slow", "strong", "yesterday",
    "everyone", "somebody", "nothing", "everything", "together", "another", "between", "through", "without", "however", "although", "instead", "already", "almost", "enough", "remember",
    "understand", "believe", "imagine", "suppose", "agree", "explain", "promise", "decide", "forget", "notice", "prefer", "change", "follow", "return", "continue", "window",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_in_every_run_and_about_as_long_as_said() {
        assert_eq!(Row::message(7, 9), Row::message(7, 9));
        assert_ne!(Row::message(7, 9).message, Row::message(7, 10).message);
        let bytes: usize = (0..1000).map(|number| Row::message(3, number).message.len()).sum();
        assert!((50..70).contains(&(bytes / 1000)), "{} bytes on average", bytes / 1000);
    }

    #[test]
    fn a_batch_holds_what_the_rows_say() {
        let batch = batch(2, 5..8);
        assert_eq!((batch.num_rows(), batch.num_columns()), (3, COLUMNS.len()));
        let messages = arrow::array::AsArray::as_string::<i32>(batch.column(2));
        assert_eq!(messages.value(1), Row::message(2, 6).message);
    }

    #[test]
    fn shapes_are_read() {
        assert_eq!("10x500000".parse(), Ok(Shape { users: 10, rows_per_user: 500_000 }));
        for wrong in ["", "10", "0x5", "x", "10x", "a x b"] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
