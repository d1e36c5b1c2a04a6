//! A reader with threads against one without, on damaged directories: the same events and the same
//! errors, in the same order, strict, unverified and salvaging, from the beginning and after seeks.

use common::fuzzing::bench::Bench;
use common::fuzzing::logs::{self, Start};
use common::fuzzing::mutation::Mutation;
use common::fuzzing::source::Source;
use common::ledger::{self, Row};
use common::seed;
use flashstrike_wal::error::Error;
use flashstrike_wal::format::EVENTS_PER_BLOCK;
use flashstrike_wal::replay::{Reader, ReaderOptions};

/// How a log is read.
#[derive(Debug, Clone, Copy)]
enum How {
    Strict,
    Unverified,
    Salvage,
}

/// What is wrong with the reader that has threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    DoesNotVerify,
    PassesItsEnd,
}

/// Where reading begins and ends.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: Option<u64>,
    from_time: Option<u64>,
    end: u64,
}

fn open(
    bench: &Bench,
    how: How,
    threads: u32,
    range: Range,
    planted: Option<Planted>,
) -> Result<Reader, Error> {
    let log = bench.log();
    let verify = planted != Some(Planted::DoesNotVerify);
    let mut reader = match how {
        How::Strict => Reader::open(&log, ReaderOptions { verify })?,
        How::Unverified => Reader::open(&log, ReaderOptions { verify: false })?,
        How::Salvage => Reader::open_salvaging(&log)?,
    };
    reader.use_threads(threads)?;
    if planted != Some(Planted::PassesItsEnd) {
        reader.end_behind(range.end);
    }
    if let Some(id) = range.from {
        reader.seek(id)?;
    }
    if let Some(time) = range.from_time {
        reader.seek_time(time)?;
    }
    Ok(reader)
}

/// Everything that reading comes to: ids and a digest of events, and the words of errors. A read
/// that fails is repeated, as often as it makes progress and twice more.
fn transcript(reader: Result<Reader, Error>) -> Vec<String> {
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => return vec![format!("open: {error}")],
    };
    let mut lines = Vec::new();
    let mut failures = 0;
    while failures < 3 && lines.len() < 100_000 {
        match reader.next_batch() {
            Ok(batch) => {
                let ids = (batch[0].event_id, batch[batch.len() - 1].event_id);
                let digest = batch.iter().flat_map(|event| event.encode());
                let digest = digest
                    .fold(0_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
                lines.push(format!("{ids:?} {} {digest:x}", batch.len()));
                failures = 0;
            }
            Err(error) => {
                lines.push(format!("{:?} {error}", error.cause()));
                failures += 1;
                if matches!(error, Error::End) {
                    break;
                }
            }
        }
    }
    lines
}

/// An event to end at, often the last one of a block.
fn end(source: &mut Source, from: u64) -> u64 {
    let reach = if source.below(2) == 0 { 600 } else { 20_000 };
    let end = from + source.below(reach) as u64;
    match source.below(3) {
        0 => end.next_multiple_of(EVENTS_PER_BLOCK as u64),
        _ => end,
    }
}

/// Damages a log and reads it in all ways. Returns whether damage was met, or what is different.
fn case(
    bench: &Bench,
    starts: &[Start],
    seed: u64,
    planted: Option<Planted>,
) -> Result<bool, String> {
    let mut source = Source::seeded(seed);
    // The large one half of the time.
    let at = source.below(2 * starts.len()).min(starts.len() - 1);
    let start = &starts[at];
    let mutations = Mutation::some(&mut source, start);
    let mut files = start.files.clone();
    mutations.iter().for_each(|mutation| mutation.apply(&mut files));
    bench.write(&files);
    let id = source.below(start.last as usize + 10) as u64;
    let whole = Range { from: None, from_time: None, end: 0 };
    let ranges = [
        whole,
        Range { from: Some(id), end: end(&mut source, id), ..whole },
        Range { end: end(&mut source, 1), ..whole },
        Range { from_time: Some(common::event(id).timestamp), ..whole },
    ];
    let mut is_damaged = false;
    for how in [How::Strict, How::Unverified, How::Salvage] {
        for range in ranges {
            let alone = transcript(open(bench, how, 0, range, None));
            let threads = 1 + source.below(4) as u32;
            let together = transcript(open(bench, how, threads, range, planted));
            is_damaged |= alone.len() > 1 && !alone.last().unwrap().starts_with("None");
            if let Some(at) =
                (0..alone.len().max(together.len())).find(|&at| alone.get(at) != together.get(at))
            {
                return Err(format!(
                    "log {}, {how:?}, {range:?}, {threads} threads, {}: after {at} results one \
                     thread has {:?}, several {:?}\n{mutations:?}",
                    start.name,
                    seed::again(seed),
                    alone.get(at),
                    together.get(at)
                ));
            }
        }
    }
    Ok(is_damaged)
}

#[test]
fn threads_give_the_same_events_and_errors_in_the_same_order() {
    let bench = Bench::new();
    let home = bench.home();
    let mut starts = logs::all(&home);
    starts.push(logs::large(&home));
    if let Some(seed) = seed::chosen() {
        case(&bench, &starts, seed, None).unwrap_or_else(|why| panic!("{why}"));
        return;
    }
    let tried = ledger::times(200, 5_000);
    let results: Vec<_> = (0..tried).map(|seed| case(&bench, &starts, seed, None)).collect();
    let damaged = results.iter().filter(|result| matches!(result, Ok(true))).count() as u64;
    let different: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    println!("{tried} directories, {damaged} with damage");
    assert!(different.is_empty(), "{} are different:\n{}", different.len(), different.join("\n"));
    assert!(damaged > tried / 10, "too few with damage: {damaged} of {tried}");
    for planted in [Planted::DoesNotVerify, Planted::PassesItsEnd] {
        let is_found = |seed| case(&bench, &starts, seed, Some(planted)).is_err();
        assert!((0..200).any(is_found), "{planted:?} was not caught");
    }
    ledger::record(Row {
        name: "parallel-replay",
        fault: "damaged directories read with threads: other events or errors than without",
        test: "tests/faults/parallel_replay.rs",
        tried,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &["threads that do not verify", "threads that read past the end asked for"],
    });
}
