//! Just enough HTTP/1.1 to pass messages on as they came, and to ask a question.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one question may take. Who asks until a server is ready asks again.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// What stands before a body, with the empty line that ends it.
pub(crate) struct Head(Vec<u8>);

/// How the end of a body is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClosed,
}

impl Head {
    /// The next one; `None` when the connection ends before it.
    pub(crate) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut bytes).await? == 0 {
                return if bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        Ok(Some(Self(bytes)))
    }

    /// As it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The n-th word of its first line: of a request the method (0) and the target (1), of an answer the status (1).
    pub(crate) fn word(&self, n: usize) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let line = text.lines().next().unwrap_or_default();
        line.split(' ').nth(n).unwrap_or_default().to_owned()
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    /// The value of a header, in lower case.
    pub(crate) fn header(&self, wanted: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.0);
        text.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_ascii_lowercase())
        })
    }

    /// How the end of a request's body is told. Without a word about it there is none.
    pub(crate) fn request_framing(&self) -> Framing {
        self.framing().unwrap_or(Framing::Length(0))
    }

    /// How the end of an answer's body is told, when it answers a request of this method.
    pub(crate) fn answer_framing(&self, method: &str) -> Framing {
        let status = self.status();
        if method == "HEAD" || (100..200).contains(&status) || [204, 304].contains(&status) {
            return Framing::Length(0);
        }
        self.framing().unwrap_or(Framing::UntilClosed)
    }

    fn framing(&self) -> Option<Framing> {
        if self.header("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
            return Some(Framing::Chunked);
        }
        self.header("content-length").and_then(|length| length.parse().ok()).map(Framing::Length)
    }
}

/// A whole body as it came: of a chunked one with the sizes of its chunks.
pub(crate) async fn read_body(from: &mut (impl AsyncBufRead + Unpin), framing: Framing) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    match framing {
        Framing::Length(length) => read_exactly(from, length, &mut body).await?,
        Framing::UntilClosed => {
            from.read_to_end(&mut body).await?;
        }
        Framing::Chunked => {
            while let Some(size) = chunk_size(&read_line(from, &mut body).await?)? {
                read_exactly(from, size + 2, &mut body).await?;
            }
            // Trailers, and the empty line after them.
            while !read_line(from, &mut body).await?.is_empty() {}
        }
    }
    Ok(body)
}

/// The size of the chunk that this line begins; `None` for the last one, which has nothing in it.
fn chunk_size(line: &str) -> io::Result<Option<u64>> {
    let digits = line.split(';').next().unwrap_or_default().trim();
    let size = u64::from_str_radix(digits, 16).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok((size > 0).then_some(size))
}

/// One line, added to `body`; without its end.
async fn read_line(from: &mut (impl AsyncBufRead + Unpin), body: &mut Vec<u8>) -> io::Result<String> {
    let start = body.len();
    from.read_until(b'\n', body).await?;
    let line = body[start..].strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

async fn read_exactly(from: &mut (impl AsyncBufRead + Unpin), length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = from.take(length).read_to_end(body).await?;
    if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The next answer to a request of this method. What comes before it (100 Continue) is passed over.
pub(crate) async fn read_answer(from: &mut (impl AsyncBufRead + Unpin), method: &str) -> io::Result<(Head, Vec<u8>)> {
    loop {
        let head = Head::read(from).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let framing = head.answer_framing(method);
        let body = read_body(from, framing).await?;
        if !(100..200).contains(&head.status()) {
            return Ok((head, body));
        }
    }
}

/// Asks on a connection of its own; the status and the body of the answer.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> io::Result<(u16, Vec<u8>)> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n", body.len());
    let answer = async {
        let mut server = BufReader::new(TcpStream::connect(address).await?);
        server.write_all(&[request.as_bytes(), body].concat()).await?;
        read_answer(&mut server, method).await
    };
    let (head, body) = timeout(ANSWER_TIME_MAX, answer).await??;
    Ok((head.status(), body))
}
