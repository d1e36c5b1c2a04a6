//! `exporter`: what it answers, and what it does not put up with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{command, event, fswal, text, wait_until, Place};

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
/// How long it bears with a request, and with an answer that is not taken.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Exporter {
    child: Child,
    address: String,
}

impl Exporter {
    pub fn start(logs: &[String]) -> Self {
        let mut child = command(&["exporter", "--listen", "127.0.0.1:0"])
            .args(logs)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap();
        let address = address.strip_suffix("/metrics").unwrap().to_owned();
        Exporter { child, address }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    fn send(&self, request: &str) -> Sent {
        let since = Instant::now();
        let mut stream = self.connect();
        // It may have answered before it has read all of it.
        let _ = stream.write_all(request.as_bytes());
        Sent { stream, since }
    }

    fn ask(&self, request: &str) -> String {
        let mut answer = None;
        wait_until("it has the time to answer", || {
            answer = self.send(request).answer();
            answer.is_some()
        });
        answer.unwrap()
    }

    pub fn metrics(&self) -> String {
        let answer = self.ask(GET);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        body.to_owned()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A request that was sent.
struct Sent {
    stream: TcpStream,
    since: Instant,
}

impl Sent {
    /// The answer. There is none where either side may have been held up for longer than the
    /// exporter bears with.
    fn answer(mut self) -> Option<String> {
        let mut answer = Vec::new();
        let _ = self.stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        (is_whole(&answer) || self.since.elapsed() < PATIENCE).then_some(answer)
    }
}

/// Whether it answers a request that has come in whole.
fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    !head.starts_with("HTTP/1.1 400") && head.contains(&format!("Content-Length: {}", body.len()))
}

#[test]
fn each_log_under_its_name_live_or_not() {
    let (live, dead) = (Place::new(), Place::new());
    dead.record(1..=20);
    let (manager, mut writer) = live.open();
    (1..=30).for_each(|id| writer.append(&event(id)).unwrap());
    manager.log().sync().unwrap();
    let logs = [("orders", live.log()), ("old", dead.log()), ("none", live.base().join("none"))];
    let logs = logs.map(|(name, path)| format!("{name}={}", text(&path)));
    let exporter = Exporter::start(&logs);
    let said = exporter.metrics();
    for line in [
        "fs_wal_durable_event_id{log=\"orders\"} 30",
        "fswal_log_live{log=\"orders\"} 1",
        "fswal_log_live{log=\"old\"} 0",
        "fswal_log_durable_event_id{log=\"old\"} 20",
        "fswal_log_found{log=\"none\"} 0",
    ] {
        assert!(said.lines().any(|other| other == line), "{line}:\n{said}");
    }
    assert!(!said.contains(text(live.base())), "no path");
    assert!(!said.contains("fs_wal_durable_event_id{log=\"old\"}"));
    manager.shutdown(writer).unwrap();
    assert!(exporter.metrics().contains("fswal_log_live{log=\"orders\"} 0"));
}

#[test]
fn nothing_but_get_metrics_and_nothing_large() {
    let place = Place::new();
    place.record(1..=5);
    let exporter = Exporter::start(&[format!("a={}", text(&place.log()))]);
    let status = |request: &str| exporter.ask(request).lines().next().unwrap_or("").to_owned();
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
    assert_eq!(status("GET /metrics/../etc HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
    assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    let large = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(100_000));
    assert!(!status(&large).contains("200"));
    exporter.metrics();
}

/// More connections that say nothing than are served at a time: they are let go, in bounded time.
#[test]
fn those_who_say_nothing_do_not_hold_it_up_for_good() {
    let place = Place::new();
    place.record(1..=5);
    let exporter = Exporter::start(&[format!("a={}", text(&place.log()))]);
    let silent: Vec<_> = (0..8).map(|_| exporter.connect()).collect();
    exporter.metrics();
    drop(silent);
}

/// Who sends a byte now and then is let go too; who leaves a short answer unread does no harm.
#[test]
fn those_who_drip_do_not_hold_it_up_for_good() {
    let place = Place::new();
    place.record(1..=5);
    let exporter = Exporter::start(&[format!("a={}", text(&place.log()))]);
    let mut deaf = exporter.connect();
    deaf.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            // It ends when the connection does.
            scope.spawn(|| {
                let mut stream = exporter.connect();
                while stream.write_all(b"G").is_ok() {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            });
        }
        exporter.metrics();
    });
    exporter.metrics();
}

#[test]
fn what_is_no_request_is_told_so() {
    let place = Place::new();
    place.record(1..=5);
    let exporter = Exporter::start(&[format!("a={}", text(&place.log()))]);
    let status = |request: &str| exporter.ask(request).lines().next().unwrap_or("").to_owned();
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "get", "\0"] {
        let said = status(&format!("{method} /metrics HTTP/1.1\r\n\r\n"));
        assert_eq!(said, "HTTP/1.1 405 Method Not Allowed", "{method}");
    }
    assert_eq!(status("\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    // A hundred at once are answered, each in its turn.
    let many: Vec<_> = (0..100).map(|_| exporter.send(GET)).collect();
    for sent in many {
        let answer = sent.answer().unwrap_or_else(|| exporter.ask(GET));
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}

#[test]
fn names_are_checked() {
    for wrong in ["no-directory", "=dir", "a b=dir", "a="] {
        fswal(&["exporter", wrong]).ends_with(2);
    }
    let said = fswal(&["exporter", "a=x", "a=y"]).ends_with(2);
    assert!(said.err.contains("two logs have the name a"), "{}", said.err);
}
