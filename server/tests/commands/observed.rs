//! What is seen of a server from outside: numbers and spans.

use super::kit::{Place, Server};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const SCHEMA: &str = "CREATE NAMESPACE chat; CREATE USER TABLE chat.notes (t TEXT) FLUSH INTERVAL 86399s; \
     INSERT INTO chat.notes (_user_id, t) VALUES ('ana', 'a'), ('ben', 'b')";

fn numbers(server: &Server, address: &str) -> impl Fn(&str) -> f64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}; {}", server.url);
    move |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }
}

#[test]
fn numbers_tell_of_tables_jobs_and_flushes() {
    let place = Place::new();
    let server = place.serve(&place.settings("[metrics]\nlisten = \"127.0.0.1:0\"\n"));
    let address = server.logs("numbers at http://");
    let address = address.split('/').next().unwrap();
    server.sql(SCHEMA);
    let number = numbers(&server, address);
    assert_eq!(number("ebbtide_hot_rows{table=\"chat.notes\"}"), 2.0);
    assert!(number("ebbtide_hot_bytes{table=\"chat.notes\"}") > 0.0);
    assert!(number("ebbtide_hot_oldest_age_seconds{table=\"chat.notes\"}") >= 0.0);
    assert_eq!(number("ebbtide_tables"), 1.0);
    assert!(number("ebbtide_sync_seconds_count") > 0.0);

    server.run(&["flush", "chat.notes", "--wait"]).succeeded();
    let number = numbers(&server, address);
    assert_eq!(number("ebbtide_hot_rows{table=\"chat.notes\"}"), 0.0);
    assert_eq!(number("ebbtide_hot_oldest_age_seconds{table=\"chat.notes\"}"), 0.0);
    assert_eq!(number("ebbtide_flush_rows_total"), 2.0);
    assert_eq!(number("ebbtide_flush_files_total"), 2.0);
    assert!(number("ebbtide_flush_bytes_total") > 0.0);
    assert_eq!(number("ebbtide_flush_users_failed_total"), 0.0);
    assert_eq!(number("ebbtide_jobs{status=\"completed\"}"), 1.0);
    assert_eq!(number("ebbtide_jobs_ended_total{kind=\"flush\",status=\"completed\"}"), 1.0);
    assert!(number("ebbtide_job_transition_seconds_count") >= 4.0);
    assert_eq!(number("ebbtide_job_queue_delay_seconds_count{kind=\"flush\"}"), 1.0);
}

#[test]
fn numbers_are_not_for_other_machines_by_accident() {
    let place = Place::new();
    let file = place.settings("[metrics]\nlisten = \"0.0.0.0:0\"\n");
    let data = place.data();
    let said =
        super::kit::run(&["serve", "--config", file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]).failed();
    assert!(said.contains("beyond_loopback = true"), "{said}");
    assert!(!data.exists(), "nothing was made");
}

/// A collector: takes what is posted, and hands on path and body.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (to, posted) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let to = to.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                // One connection may bring many posts.
                while let Some(post) = post(&mut stream) {
                    let _ = to.send(post);
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
                    if stream.get_mut().write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (endpoint, posted)
}

fn post(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((lines[0].clone(), body))
}

#[test]
fn spans_of_jobs_and_states_reach_a_collector() {
    let (endpoint, posted) = collector();
    let place = Place::new();
    let server = place.serve(&place.settings(&format!("[tracing]\notlp_endpoint = \"{endpoint}\"\n")));
    server.sql(SCHEMA);
    let said = server.run(&["flush", "chat.notes", "--wait"]).succeeded();
    let job = said.lines().next().unwrap().strip_prefix("job ").unwrap().to_owned();
    // What waits to be sent is sent when the server stops.
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));

    let mut bytes = Vec::new();
    while let Ok((request, body)) = posted.recv_timeout(Duration::from_millis(500)) {
        assert_eq!(request, "post /v1/traces http/1.1");
        bytes.extend(body);
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    for text in ["ebbtide", "job_id", &job, "flush", "state", "Snapshotting", "Writing", "Deleting"] {
        assert!(holds(text), "{text} in {} bytes", bytes.len());
    }
    // Names of spans: field 5 of a span, a length and the text.
    assert!(holds("\u{2a}\u{3}job") && holds("\u{2a}\u{5}state"));
}

#[test]
fn a_server_needs_no_collector() {
    let place = Place::new();
    let server = place.serve(&place.settings("[tracing]\notlp_endpoint = \"http://127.0.0.1:9\"\n"));
    server.sql(SCHEMA);
    server.run(&["flush", "chat.notes", "--wait"]).succeeded();
    server.signal(Signal::TERM);
    server.logs("the collector takes no spans");
    assert_eq!(server.ended(), Some(0));
}
