//! `report`: the page is whole by itself, and says what is wrong.

use std::path::{Path, PathBuf};

use flashstrike_wal::format::RequestEvent;
use regex::Regex;

use crate::damage::flip;
use crate::scenes::Scene;
use crate::support::{event, fswal, state_of, text, Place, PER_SEGMENT};

/// The page of a log, with the code that it ended with.
fn page_of(place: &Place, log: &Path, code: i32) -> (PathBuf, String) {
    let out = place.base().join("report.html");
    fswal(&["report", text(log), "-o", text(&out)]).ends_with(code);
    let page = std::fs::read_to_string(&out).unwrap();
    check(&page);
    (out, page)
}

/// Every element is closed in its turn, no `<` or `&` stands for itself, and nothing is fetched.
#[track_caller]
fn check(page: &str) {
    let style = Regex::new(r"(?s)<style>.*?</style>").unwrap();
    let page = style.replace(page, "").replacen("<!DOCTYPE html>", "", 1);
    let tag = Regex::new(r#"<(/?)([a-z0-9]+)((?: [a-zA-Z0-9-]+="[^"<>]*")*)(/?)>"#).unwrap();
    let mut open: Vec<String> = Vec::new();
    for found in tag.captures_iter(&page) {
        match (&found[1], &found[4]) {
            ("/", _) => assert_eq!(open.pop().as_deref(), Some(&found[2]), "{}", &found[0]),
            (_, "/") => {}
            _ => open.push(found[2].to_owned()),
        }
    }
    assert_eq!(open, [""; 0]);
    let rest = tag.replace_all(&page, "");
    assert!(!rest.contains('<') && !rest.contains('>'), "what is no tag has to be escaped");
    assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    let entity = Regex::new(r"&(amp|lt|gt|quot|#39);").unwrap();
    assert!(!entity.replace_all(&page, "").contains('&'), "an ampersand that is not escaped");
    for fetched in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(fetched), "{fetched}");
    }
}

#[test]
fn a_report_of_a_live_log_has_all_its_parts() {
    let scene = Scene::named("live");
    let (_, page) = page_of(&scene.place, &scene.place.log(), 0);
    for part in [
        "<div class=\"word\">Healthy</div>",
        "12,988",
        "Events over time",
        "events a second",
        "<h3>Syncs</h3>",
        "99.9 %",
        "new-log",
        "100 kB",
        "No holds",
        "became",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.matches("<rect class=\"main\"").count() > 50, "bars of events over time");
    assert!(page.contains("class=\"cold\"") && page.contains("class=\"hot\""));
}

#[test]
fn a_report_names_the_damage() {
    let scene = Scene::named("damaged");
    let before = state_of(&scene.place.log());
    let (_, page) = page_of(&scene.place, &scene.place.log(), 1);
    assert!(state_of(&scene.place.log()) == before, "a report changes nothing");
    for part in [
        "<div class=\"word\">Damaged</div>",
        "1 thing wrong",
        "FS.00000001.wal",
        "49,408",
        "4,865 to 5,120",
        "the block checksum does not match",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn what_a_damaged_compressed_segment_holds_is_no_gap() {
    let scene = Scene::named("live");
    flip(&scene.place.log().join("FS.00000001.wal.lz4"), 5000);
    let (_, page) = page_of(&scene.place, &scene.place.log(), 1);
    assert!(
        page.contains(">frame</td><td class=\"long\" data-name=\"file\">FS.00000001.wal.lz4</td>")
    );
    assert!(page.contains("damaged from id"));
    assert!(page.contains("No gap was found, and no id is left out within a segment."));
    assert!(page.contains("No pause that would be seen here."));
    assert!(!page.contains("no event has the ids"));
}

#[test]
fn a_report_of_an_empty_log_has_no_empty_charts() {
    let place = Place::new();
    let (manager, writer) = place.open();
    manager.shutdown(writer).unwrap();
    let (_, page) = page_of(&place, &place.log(), 0);
    for said in ["There are no segments.", "There are no events.", "No segment is compressed."] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("<svg"), "a chart of nothing");
}

#[test]
fn a_report_shows_holds_snapshots_and_a_crash() {
    let scene = Scene::named("kept");
    let (_, page) = page_of(&scene.place, &scene.place.log(), 0);
    assert!(page.contains("archive") && page.contains("class=\"snap\"") && page.contains("8,984"));
    let scene = Scene::named("crashed");
    let (_, page) = page_of(&scene.place, &scene.place.log(), 0);
    assert!(page.contains("3001 to 3100 are in memory only"), "what a power cut would take");
    assert!(page.contains("<h3>Syncs</h3>"), "its control file is still there");
    let scene = Scene::named("memory_lost");
    let (_, page) = page_of(&scene.place, &scene.place.log(), 1);
    assert!(page.contains("<div class=\"word\">"));
}

#[test]
fn a_pause_and_the_ids_left_out_are_found_within_a_segment() {
    let place = Place::new();
    let (manager, mut writer) = place.open();
    for id in (1..=1000).chain(700_001..=701_000) {
        // Its timestamp is by its id: the gap is a pause of 699 seconds.
        writer.append(&event(id)).unwrap();
    }
    manager.shutdown(writer).unwrap();
    let (_, page) = page_of(&place, &place.log(), 0);
    assert!(page.contains("no event has the ids 1,001 to 700,000"), "the gap");
    assert!(page.contains("11 min 39 s"), "the pause");
}

/// An engine that left ids out and went on at once: the rate is what it was, in every bar.
#[test]
fn ids_left_out_without_a_pause_are_found_and_are_no_burst() {
    let place = Place::new();
    let (manager, mut writer) = place.open();
    for (n, id) in (1..=1500).chain(70_001..=71_500).enumerate() {
        let timestamp = event(1).timestamp + n as u64 * 1_000_000;
        writer.append(&RequestEvent { timestamp, ..event(id) }).unwrap();
    }
    manager.shutdown(writer).unwrap();
    let (_, page) = page_of(&place, &place.log(), 0);
    assert!(page.contains("no event has the ids 1,501 to 70,000"), "the gap");
    assert!(page.contains("No pause that would be seen here."));
    let bar = Regex::new(r"about ([0-9,]+) events").unwrap();
    let bars: Vec<u32> = bar.captures_iter(&page).map(|it| it[1].parse().unwrap()).collect();
    assert_eq!(bars.len(), 96);
    assert!(bars.iter().all(|events| (30..=33).contains(events)), "{bars:?}");
}

#[test]
fn a_damaged_block_at_the_beginning_of_a_segment_is_no_gap() {
    let place = Place::new();
    place.record(1..=3 * PER_SEGMENT);
    flip(&place.log().join("FS.00000001.wal"), 64 + 64 + 100);
    let (_, page) = page_of(&place, &place.log(), 1);
    assert!(page.contains("No gap was found, and no id is left out within a segment."));
}

#[test]
fn what_a_missing_segment_held_is_no_pause() {
    let place = Place::new();
    place.record(1..=3 * PER_SEGMENT);
    std::fs::remove_file(place.log().join("FS.00000001.wal")).unwrap();
    let (_, page) = page_of(&place, &place.log(), 1);
    assert!(page.contains("missing segment") && page.contains("damaged from id"));
    assert!(page.contains("No pause that would be seen here."));
}

#[test]
fn a_path_is_text_whatever_its_name() {
    let place = Place::new();
    place.record(1..=5000);
    let hostile = place.base().join("<script>alert('\"&amp;\u{1}')");
    std::fs::rename(place.log(), &hostile).unwrap();
    flip(&hostile.join("FS.00000000.wal"), 64 + 1000);
    let (_, page) = page_of(&place, &hostile, 1);
    assert!(page.contains("&lt;script&gt;alert(&#39;&quot;&amp;amp;\\u{1}&#39;)"));
}

#[test]
fn a_report_is_not_written_over_the_log() {
    let place = Place::new();
    place.record(1..=10);
    let segment = place.log().join("FS.00000000.wal");
    let before = state_of(&place.log());
    let said = fswal(&["report", text(&place.log()), "-o", text(&segment)]).ends_with(2);
    assert!(said.err.contains("the log's own directory"), "{}", said.err);
    fswal(&["report", text(&place.log()), "-o", text(&place.log().join("new.html"))]).ends_with(2);
    assert_eq!(state_of(&place.log()), before);
    let nowhere = place.base().join("nowhere/report.html");
    fswal(&["report", text(&place.log()), "-o", text(&nowhere)]).ends_with(3);
    let none = place.base().join("none");
    fswal(&["report", text(&none), "-o", text(&nowhere)]).ends_with(2);
}
