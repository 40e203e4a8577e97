//! A client that says what no driver would: bytes that are not UTF-8, a name with a zero byte, data after an error.
//!
//! Also the one that shows all of an error: SQLSTATE, message, detail, hint.

use std::fmt;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;

/// A connection, message by message.
pub(crate) struct Raw {
    stream: TcpStream,
}

/// An error as the server tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) severity: String,
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    pub(crate) detail: String,
    pub(crate) hint: String,
    pub(crate) context: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, sqlstate, message, detail, hint, context } = self;
        write!(f, "{severity} {sqlstate} {message} | {detail} | {hint} | {context}")
    }
}

/// What came back up to the moment when the server waits again.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The first error.
    pub(crate) error: Option<Told>,
    /// Command tags: `INSERT 0 1`.
    pub(crate) tags: Vec<String>,
    /// Values of all rows, one after another.
    pub(crate) values: Vec<Option<Vec<u8>>>,
    /// `I`dle, in a `T`ransaction, in a failed one (`E`); `G` when the server waits for COPY data; `X` when it hung up.
    pub(crate) state: char,
}

impl Answer {
    /// The error, which there must be.
    #[track_caller]
    pub(crate) fn refused(self, what: &str) -> Told {
        self.error.unwrap_or_else(|| panic!("{what} was accepted: {:?}", self.tags))
    }
}

impl Raw {
    /// Connects as the user of this name, which may be any bytes; the error when the server does not want him.
    pub(crate) async fn connect(address: SocketAddr, user: &[u8]) -> Result<Self, Told> {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        let mut raw = Self { stream };
        let mut startup = 196_608_i32.to_be_bytes().to_vec();
        for text in [b"user".as_slice(), user, b"database", b"ebbtide"] {
            startup.extend_from_slice(text);
            startup.push(0);
        }
        startup.push(0);
        let length = i32::try_from(startup.len() + 4).expect("a short message");
        raw.write(&[&length.to_be_bytes()[..], &startup].concat()).await;
        let answer = raw.answer().await;
        match answer.error {
            Some(told) => Err(told),
            None => {
                assert_eq!(answer.state, 'I', "the server says that it is ready");
                Ok(raw)
            }
        }
    }

    /// A simple query.
    pub(crate) async fn query(&mut self, sql: impl AsRef<[u8]>) -> Answer {
        self.send(b'Q', &[sql.as_ref(), &[0]].concat()).await;
        self.answer().await
    }

    /// The one value that a query gives, as text.
    pub(crate) async fn value(&mut self, sql: &str) -> String {
        let answer = self.query(sql).await;
        match (&answer.error, answer.values.as_slice()) {
            (None, [Some(value)]) => String::from_utf8_lossy(value).into_owned(),
            _ => panic!("{sql}: one value was expected, not {answer:?}"),
        }
    }

    /// A statement with parameters as texts, through the extended protocol.
    pub(crate) async fn execute(&mut self, sql: &str, parameters: &[&[u8]]) -> Answer {
        self.send(b'P', &[&[0], sql.as_bytes(), &[0, 0, 0]].concat()).await;
        let mut bind = vec![0, 0, 0, 0];
        bind.extend(u16::try_from(parameters.len()).expect("few parameters").to_be_bytes());
        for parameter in parameters {
            bind.extend(i32::try_from(parameter.len()).expect("a short parameter").to_be_bytes());
            bind.extend_from_slice(parameter);
        }
        bind.extend([0, 0]);
        self.send(b'B', &bind).await;
        self.send(b'E', &[0, 0, 0, 0, 0]).await;
        self.send(b'S', &[]).await;
        self.answer().await
    }

    /// A COPY of these bytes.
    pub(crate) async fn copy(&mut self, sql: &str, data: &[u8]) -> Answer {
        self.send(b'Q', &[sql.as_bytes(), &[0]].concat()).await;
        let begun = self.answer().await;
        if begun.state != 'G' {
            return begun;
        }
        self.send(b'd', data).await;
        self.send(b'c', &[]).await;
        self.answer().await
    }

    /// One message of any kind.
    pub(crate) async fn send(&mut self, kind: u8, body: &[u8]) {
        let length = i32::try_from(body.len() + 4).expect("a message of less than 2 GiB");
        self.write(&[&[kind], &length.to_be_bytes()[..], body].concat()).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        // A server that hangs up in the middle is heard of when its answer is read.
        let _ = self.stream.write_all(bytes).await;
    }

    /// What the server says until it waits.
    pub(crate) async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("the server answers")
    }

    async fn read_answer(&mut self) -> Answer {
        let mut answer = Answer { state: 'X', ..Answer::default() };
        loop {
            let mut head = [0; 5];
            if self.stream.read_exact(&mut head).await.is_err() {
                return answer;
            }
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; length.checked_sub(4).expect("a length counts itself")];
            if self.stream.read_exact(&mut body).await.is_err() {
                return answer;
            }
            match head[0] {
                b'E' if answer.error.is_none() => answer.error = Some(told(&body)),
                b'C' => answer.tags.push(text(&body[..body.len() - 1])),
                b'D' => read_row(&body, &mut answer.values),
                b'G' => answer.state = 'G',
                b'Z' => answer.state = char::from(body[0]),
                _ => continue,
            }
            if matches!(head[0], b'G' | b'Z') {
                return answer;
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn told(body: &[u8]) -> Told {
    let mut told = Told::default();
    for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
        let place = match field[0] {
            b'V' => &mut told.severity,
            b'C' => &mut told.sqlstate,
            b'M' => &mut told.message,
            b'D' => &mut told.detail,
            b'H' => &mut told.hint,
            b'W' => &mut told.context,
            _ => continue,
        };
        *place = text(&field[1..]);
    }
    told
}

fn read_row(body: &[u8], values: &mut Vec<Option<Vec<u8>>>) {
    let mut rest = &body[2..];
    while let [a, b, c, d, after @ ..] = rest {
        rest = after;
        let length = i32::from_be_bytes([*a, *b, *c, *d]);
        values.push(usize::try_from(length).ok().map(|length| {
            let (value, after) = rest.split_at(length);
            rest = after;
            value.to_vec()
        }));
    }
}
