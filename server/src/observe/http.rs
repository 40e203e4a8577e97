//! Just enough HTTP to be asked for numbers: GET and HEAD of one path, one request a connection, all of it bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A longer request is refused.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Requests that are answered at once; further connections are closed.
const CONNECTIONS_MAX: usize = 16;
/// How long a client may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the operating system is left alone after it could not give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Makes the text of the page, or says why there is none.
pub(super) type Page = Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// A listener with one page.
pub(super) struct Listener {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Listener {
    /// Listens, and answers GET of `path` with the page.
    pub(super) async fn start(
        listen: SocketAddr,
        path: &'static str,
        content_type: &'static str,
        page: Page,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let this = Self { address: listener.local_addr()?, stop: CancellationToken::new(), tasks: TaskTracker::new() };
        let (stop, tasks) = (this.stop.clone(), this.tasks.clone());
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let accept = async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let page = page.clone();
                tasks.spawn(async move {
                    // A client that does not ask or does not listen hears no more; whoever it was asks again.
                    let _ = tokio::time::timeout(2 * PATIENCE, answer(stream, path, content_type, &page)).await;
                    drop(place);
                });
            }
        };
        this.tasks.spawn(async move { stop.run_until_cancelled(accept).await });
        Ok(this)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers those who have asked, and nobody else.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        // Nothing is lost with an answer that is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
    }
}

async fn answer(mut stream: TcpStream, path: &str, content_type: &str, page: &Page) -> std::io::Result<()> {
    let plain = "text/plain; charset=utf-8";
    let head = tokio::time::timeout(PATIENCE, head(&mut stream)).await??;
    let (status, content_type, body, with_body) = match request(&head) {
        Request::Get(asked, with_body) if asked == path => match page().await {
            Ok(body) => ("200 OK", content_type, body, with_body),
            Err(why) => ("500 Internal Server Error", plain, format!("{why}\n"), with_body),
        },
        Request::Get(_, with_body) => ("404 Not Found", plain, format!("there is only {path}\n"), with_body),
        Request::Other => ("405 Method Not Allowed", plain, "ask with GET\n".to_owned(), true),
        Request::Bad => {
            ("400 Bad Request", plain, "this is not an HTTP request, or a longer one than fits\n".to_owned(), true)
        }
    };
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
        body.len()
    );
    if with_body {
        text.push_str(&body);
    }
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// What came up to the empty line; nothing when that does not come within the bound.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while head.len() < HEAD_BYTES_MAX {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
        if head.windows(4).any(|four| four == b"\r\n\r\n") {
            return Ok(head);
        }
    }
    Ok(Vec::new())
}

#[derive(Debug, PartialEq)]
enum Request<'a> {
    /// A path, and whether the body is wanted.
    Get(&'a str, bool),
    Other,
    Bad,
}

fn request(head: &[u8]) -> Request<'_> {
    let line = head.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.unwrap_or_default().split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(version), None) if version.starts_with("HTTP/1.") => {
            let path = target.split('?').next().unwrap_or_default();
            match method {
                "GET" => Request::Get(path, true),
                "HEAD" => Request::Get(path, false),
                _ => Request::Other,
            }
        }
        _ => Request::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        for (head, read) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Request::Get("/metrics", true)),
            ("GET /metrics?name=a HTTP/1.0\r\n\r\n", Request::Get("/metrics", true)),
            ("HEAD / HTTP/1.1\r\n\r\n", Request::Get("/", false)),
            ("POST /metrics HTTP/1.1\r\n\r\n", Request::Other),
            ("GET /metrics\r\n\r\n", Request::Bad),
            ("\u{16}\u{3}\u{1}", Request::Bad),
            ("", Request::Bad),
        ] {
            assert_eq!(request(head.as_bytes()), read, "{head:?}");
        }
    }

    async fn asked(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A refused client may be cut off while it still writes.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn one_page_is_served_and_nothing_else() {
        let page: Page = Arc::new(|| Box::pin(async { Ok("a 1\n".to_owned()) }));
        let listen = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::start(listen, "/metrics", "text/plain", page).await.unwrap();
        let address = listener.address();
        let said = asked(address, "GET /metrics HTTP/1.1\r\n\r\n").await;
        assert!(
            said.starts_with("HTTP/1.1 200 OK\r\n")
                && said.ends_with("Content-Length: 4\r\nConnection: close\r\n\r\na 1\n"),
            "{said}"
        );
        let said = asked(address, "HEAD /metrics HTTP/1.1\r\n\r\n").await;
        assert!(said.contains("Content-Length: 4\r\n") && said.ends_with("\r\n\r\n"), "{said}");
        for (request, status) in
            [("GET / HTTP/1.1\r\n\r\n", "404"), ("DELETE /metrics HTTP/1.1\r\n\r\n", "405"), ("hello\r\n\r\n", "400")]
        {
            assert!(asked(address, request).await.starts_with(&format!("HTTP/1.1 {status} ")), "{request}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert!(!asked(address, &long).await.contains("200 OK"));
        listener.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}
