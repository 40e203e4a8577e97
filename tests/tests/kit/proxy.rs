//! A proxy before a service, which spoils what passes through it.
//!
//! Requests go on as they came, so signatures hold: they are made over the name that the client knows the service by,
//! and that is the proxy's.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::PATIENCE;
use super::http::{Framing, Head, read_answer, read_body};
use super::ports::Ports;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is refused with this status, for a reason by S3's name of it, and does not reach the service.
    Refuse(u16, &'static str),
    /// It is done, and the connection closed in place of an answer.
    LoseAnswer,
    /// It is done, and the connection closed in the middle of the answer.
    CutAnswer,
    /// It waits so long before it goes on.
    Delay(Duration),
}

impl Fault {
    /// What S3 says when it has too much to do.
    pub(crate) const SLOW_DOWN: Self = Self::Refuse(503, "SlowDown");
}

/// A request, by its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as they came.
    pub(crate) target: String,
}

type Which = Box<dyn Fn(&Request) -> bool + Send>;

struct Planned {
    times: usize,
    fault: Fault,
    which: Which,
}

struct Shared {
    service: SocketAddr,
    planned: Mutex<Vec<Planned>>,
    /// Requests that the service was sent.
    sent: watch::Sender<Vec<Request>>,
}

/// A running proxy. It ends when dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
    ports: Ports,
}

impl Proxy {
    /// Begins to listen before a service. Everything passes.
    pub(crate) async fn before(service: SocketAddr) -> Self {
        let shared = Shared { service, planned: Mutex::default(), sent: watch::Sender::default() };
        let mut proxy = Self { shared: Arc::new(shared), listening: None, ports: Ports::claim() };
        proxy.accept().await;
        proxy
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.ports.nth(1)
    }

    /// The next so many requests that `which` says yes to meet this fault.
    pub(crate) fn next(&self, times: usize, fault: Fault, which: impl Fn(&Request) -> bool + Send + 'static) {
        let planned = Planned { times, fault, which: Box::new(which) };
        self.shared.planned.lock().expect("no holder panics").push(planned);
    }

    /// How many requests are still to meet a fault. A test that plans some makes sure that they came.
    pub(crate) fn planned(&self) -> usize {
        self.shared.planned.lock().expect("no holder panics").iter().map(|planned| planned.times).sum()
    }

    /// Closes every connection, and refuses new ones.
    pub(crate) async fn refuse(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            // It was cancelled, which is what is wanted.
            let _ = listening.await;
        }
    }

    /// Takes connections again.
    pub(crate) async fn accept(&mut self) {
        self.refuse().await;
        let listener = TcpListener::bind(self.address()).await.expect("the port is ours");
        self.listening = Some(tokio::spawn(serve_all(listener, Arc::clone(&self.shared))));
    }

    /// Waits until the service has been sent more than `times` requests that `which` says yes to.
    pub(crate) async fn sent_more_than(&self, times: usize, which: impl Fn(&Request) -> bool) {
        let mut sent = self.shared.sent.subscribe();
        let enough = sent.wait_for(|sent| sent.iter().filter(|request| which(request)).count() > times);
        let waited = timeout(PATIENCE, enough).await.is_ok_and(|waited| waited.is_ok());
        assert!(waited, "the service was sent no such request; it was sent:\n{:#?}", self.sent());
    }

    /// The requests that the service was sent, in order.
    pub(crate) fn sent(&self) -> Vec<Request> {
        self.shared.sent.borrow().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }
}

/// Connections end with this task.
async fn serve_all(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let shared = Arc::clone(&shared);
                // What goes wrong on a connection ends it, and its client hears of it.
                connections.spawn(async move { drop(shared.serve(client).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Shared {
    async fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut client = BufReader::new(client);
        while let Some(head) = Head::read(&mut client).await? {
            if head.header("expect").is_some_and(|expected| expected == "100-continue") {
                client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let body = read_body(&mut client, head.request_framing()).await?;
            let request = Request { method: head.word(0), target: head.word(1) };
            let fault = self.fault(&request);
            match fault {
                Some(Fault::Refuse(status, code)) => {
                    client.write_all(refusal(&request, status, code).as_bytes()).await?;
                    continue;
                }
                Some(Fault::Delay(pause)) => tokio::time::sleep(pause).await,
                _ => {}
            }
            let (answer, rest) = self.send(&request, &head, &body).await?;
            let whole = [answer.bytes(), &rest].concat();
            match fault {
                Some(Fault::LoseAnswer) => return Ok(()),
                Some(Fault::CutAnswer) => {
                    // In the middle of the body, or of the head when there is no body.
                    let cut = if rest.is_empty() { whole.len() / 2 } else { whole.len() - rest.len().div_ceil(2) };
                    return client.write_all(&whole[..cut]).await;
                }
                _ => client.write_all(&whole).await?,
            }
            let closes = answer.header("connection").is_some_and(|option| option == "close");
            if closes || answer.answer_framing(&request.method) == Framing::UntilClosed {
                break;
            }
        }
        Ok(())
    }

    fn fault(&self, request: &Request) -> Option<Fault> {
        let mut planned = self.planned.lock().expect("no holder panics");
        let planned = planned.iter_mut().find(|planned| planned.times > 0 && (planned.which)(request))?;
        planned.times -= 1;
        Some(planned.fault)
    }

    /// Sends a request on, on a connection of its own, and gives the answer.
    async fn send(&self, request: &Request, head: &Head, body: &[u8]) -> io::Result<(Head, Vec<u8>)> {
        let mut service = BufReader::new(TcpStream::connect(self.service).await?);
        service.get_ref().set_nodelay(true)?;
        // A service may refuse a request before it has read all of it: then the answer says more than the error.
        let _ = service.write_all(&[head.bytes(), body].concat()).await;
        self.sent.send_modify(|sent| sent.push(request.clone()));
        read_answer(&mut service, &request.method).await
    }
}

/// How S3 refuses a request.
fn refusal(request: &Request, status: u16, code: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <Error><Code>{code}</Code><Message>Said by a proxy.</Message>\
        <RequestId>PROXY</RequestId><HostId>proxy</HostId></Error>"
    );
    let head = format!(
        "HTTP/1.1 {status} {code}\r\ncontent-type: application/xml\r\nx-amz-request-id: PROXY\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    if request.method == "HEAD" { head } else { head + &body }
}
