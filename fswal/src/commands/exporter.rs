//! `exporter`: the counters of logs for Prometheus, out of their control files. Nothing in the
//! engine's process listens. It answers `GET /metrics` and nothing else, a bounded number of
//! requests at a time, each of bounded size and time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flashstrike_wal::directory::log_metrics_of;
use flashstrike_wal::storage::{Links, PosixStorage, Storage};
use flashstrike_wal::telemetry::prometheus_text;

use crate::directory::{Log, State};
use crate::failure::{Failure, Outcome, Verdict};
use crate::output::Output;

/// Requests that are answered at a time; others wait in the system's queue.
const AT_A_TIME: usize = 4;
const LARGEST_REQUEST: usize = 8 * 1024;
/// For the whole of a request, and for the whole of its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prometheus metrics over HTTP, of any number of logs, read from their control files
///
/// Answers GET /metrics. The label `log` is the NAME, not a path. A log that is not open has only
/// fswal_log_live 0 and the fswal_ metrics of its directory. Runs until it is ended.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A log: a name for it, and its WAL directory
    #[arg(required = true, value_name = "NAME=DIR", value_parser = parse_log)]
    logs: Vec<Named>,
    /// Where it listens. Whoever reaches that may read: keep it to this machine, or protect it
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
}

#[derive(Debug, Clone)]
struct Named {
    name: String,
    dir: PathBuf,
}

fn parse_log(text: &str) -> Result<Named, String> {
    let Some((name, dir)) = text.split_once('=') else {
        return Err("write it as NAME=DIR, such as orders=/var/lib/engine/wal".into());
    };
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_allowed) || dir.is_empty() {
        return Err("a NAME has 1 to 64 of A-Z, a-z, 0-9, _, - and .".into());
    }
    Ok(Named { name: name.to_owned(), dir: dir.into() })
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let mut names: Vec<_> = arguments.logs.iter().map(|log| &log.name).collect();
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("two logs have the name {}", twice[0]);
        return Err(Failure::usage(message).next("each sample needs a name of its own"));
    }
    let listener = TcpListener::bind(arguments.listen).map_err(|error| {
        let message = format!("{}: {error}", arguments.listen);
        Failure::usage(message).next("name another address or port with --listen")
    })?;
    let address = listener.local_addr()?;
    let url = format!("http://{address}/metrics");
    match output.is_json() {
        true => output.object(&serde_json::json!({ "listening": url }))?,
        false => output.line(&format!("listening on {url}"))?,
    }
    output.flush()?;
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| serve(&listener, &arguments.logs));
        }
    });
    Ok(Verdict::Well)
}

fn serve(listener: &TcpListener, logs: &[Named]) {
    /// When descriptors are short, the next try must not spin.
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        match listener.accept() {
            // Whoever does not take the answer does not get it: that is not our failure.
            Ok((stream, _)) => drop(answer(stream, logs)),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn answer(mut stream: TcpStream, logs: &[Named]) -> io::Result<()> {
    let (status, kind, body) = match request_line(&mut stream)? {
        None => ("400 Bad Request", "text/plain", "not a request, or too large\n".to_owned()),
        Some(line) => {
            let mut words = line.split_ascii_whitespace();
            match (words.next(), words.next()) {
                (Some("GET"), Some("/metrics")) => {
                    ("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics(logs))
                }
                (Some("GET"), _) => {
                    ("404 Not Found", "text/plain", "there is /metrics and nothing else\n".into())
                }
                _ => ("405 Method Not Allowed", "text/plain", "GET only\n".into()),
            }
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    send(&mut stream, head.as_bytes())?;
    send(&mut stream, body.as_bytes())
}

/// The first line of a request whose head has come in whole; `None` if it is none, or too large.
fn request_line(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let begin = Instant::now();
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        if left.is_zero() || head.len() >= LARGEST_REQUEST {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(None);
        }
        head.extend_from_slice(&piece[..read]);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(std::str::from_utf8(line).ok().map(str::to_owned))
}

/// Writes all of it, in bounded time, however slowly it is taken.
fn send(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    let begin = Instant::now();
    while !bytes.is_empty() {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        let written = stream.write(bytes)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// The counters of those that are open, and of each whether it is.
fn metrics(logs: &[Named]) -> String {
    let storage = PosixStorage::for_reading();
    let looked: Vec<_> = logs.iter().map(|log| (log, Log::look(&log.dir).ok())).collect();
    let is_live = |log: &Log| matches!(log.state, State::Live | State::Failed);
    let open = looked.iter().filter(|(_, found)| found.as_ref().is_some_and(is_live));
    let counters =
        open.filter_map(|(log, _)| log_metrics_of(&storage, &log.dir, log.name.clone()).ok());
    let mut text = prometheus_text(&counters.collect::<Vec<_>>());
    let mut add = |name: &str, help: &str, value: &dyn Fn(&Named, Option<&Log>) -> Option<u64>| {
        text += &format!("# HELP fswal_{name} {help}\n# TYPE fswal_{name} gauge\n");
        for (log, found) in &looked {
            if let Some(value) = value(log, found.as_ref()) {
                text += &format!("fswal_{name}{{log=\"{}\"}} {value}\n", log.name);
            }
        }
    };
    add("log_found", "1 if there is a log that can be read", &|_, log| Some(log.is_some().into()));
    add("log_live", "1 if a process has the log open", &|_, log| {
        Some(log.is_some_and(is_live).into())
    });
    add("log_needs_decision", "1 if the next open may be refused", &|_, log| {
        Some(matches!(log?.state, State::MemoryLost | State::MemoryUnreadable).into())
    });
    add("log_durable_event_id", "Highest event id that is known to be durable", &|_, log| {
        Some(log?.known_durable())
    });
    add("disk_free_bytes", "Bytes that are free where the log is", &|log, _| {
        let there = storage.open_directory(&log.dir, Links::Follow).ok()??;
        Some(there.status().ok()?.available)
    });
    text
}
