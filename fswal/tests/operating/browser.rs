//! The report in a real browser: narrow and wide, light and dark, nothing is cut off, runs into
//! something else, or is hard to read.

use std::process::Command;

use crate::scenes::Scene;
use crate::support::{fswal, text, Place};

fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|said| said.status.success())
    })
}

/// The document, when the browser has shown it and run its scripts.
fn shown(browser: &str, place: &Place, file: &str, more: &[&str]) -> String {
    let said = Command::new("timeout")
        .args(["120", browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(["--window-size=2000,1200"])
        .args(more)
        .arg(format!("--user-data-dir={}", place.base().join("profile").display()))
        .arg(format!("file://{}", place.base().join(file).display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{dom} {}", String::from_utf8_lossy(&said.stderr));
    dom
}

/// What browser.js finds in the report, in a frame that is so wide.
fn looked_at(browser: &str, place: &Place, width: u32, scheme: &str) -> String {
    let page = std::fs::read_to_string(place.base().join("report.html")).unwrap();
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let script = include_str!("browser.js");
    let frame = format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <body><iframe id=\"page\" width=\"{width}\" height=\"1000\" frameborder=\"0\" \
         srcdoc=\"{page}\"></iframe><script>onload = () => {{ {script} }}</script>"
    );
    std::fs::write(place.base().join("frame.html"), frame).unwrap();
    let more: &[&str] = if scheme == "dark" { &["--force-dark-mode"] } else { &[] };
    let dom = shown(browser, place, "frame.html", more);
    let seen = dom.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next());
    seen.unwrap_or_else(|| panic!("the page was not looked at: {dom}")).to_owned()
}

#[test]
fn a_browser_shows_the_report() {
    let Some(browser) = browser() else {
        return eprintln!("skipped: there is no chromium here to look at the page with");
    };
    let scene = Scene::named("damaged");
    let report = scene.place.base().join("report.html");
    fswal(&["report", text(&scene.place.log()), "-o", text(&report)]).ends_with(1);
    let dom = shown(browser, &scene.place, "report.html", &[]);
    for part in ["Damaged", "4,865 to 5,120", "Events over time", "<rect"] {
        assert!(dom.contains(part), "{part}: {dom}");
    }
    for name in ["damaged", "live", "kept"] {
        let scene = Scene::named(name);
        let report = scene.place.base().join("report.html");
        fswal(&["report", text(&scene.place.log()), "-o", text(&report)]);
        for (width, scheme) in [(400, "light"), (900, "dark"), (1600, "light"), (400, "dark")] {
            let seen = looked_at(browser, &scene.place, width, scheme);
            assert_eq!(seen, format!("{width} {scheme}: nothing is wrong"), "{name}");
        }
    }
}
