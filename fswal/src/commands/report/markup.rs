//! The pieces of the page: text that is safe in it, tables, charts. A chart's shapes are inline SVG
//! in percent of its box, its labels are text of the page: they stay readable at every width.

use std::fmt::Write;

/// Text that is nothing but text in the page, quoted attributes included. Control characters have
/// no place in it and are shown as what they are.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ if letter.is_control() => safe.extend(letter.escape_default()),
            _ => safe.push(letter),
        }
    }
    safe
}

/// A mark on an axis, by its place from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub at: f64,
    pub label: String,
}

/// A share of a box, as SVG and CSS want it.
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A bar that stands `from` above the ground, in shares of the box, with what it says when pointed
/// at.
pub fn bar(class: &str, x: (f64, f64), y: (f64, f64), title: &str) -> String {
    // What is there is to be seen, however small it is.
    const LEAST: f64 = 0.006;
    let height = if y.1 > y.0 { (y.1 - y.0).max(LEAST) } else { return String::new() };
    format!(
        "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title>\
         </rect>",
        percent(x.0),
        percent(1.0 - y.0 - height),
        percent(x.1 - x.0),
        percent(height),
        escaped(title)
    )
}

/// A bar of a strip: all of its height.
pub fn stripe(class: &str, from: f64, to: f64, title: &str) -> String {
    format!(
        "<rect class=\"{class}\" x=\"{}\" y=\"0\" width=\"{}\" height=\"100%\"><title>{}</title>\
         </rect>",
        percent(from),
        percent((to - from).max(0.001)),
        escaped(title)
    )
}

/// A dot.
pub fn dot(class: &str, x: f64, y: f64, title: &str) -> String {
    format!(
        "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"5\"><title>{}</title></circle>",
        percent(x),
        percent(1.0 - y),
        escaped(title)
    )
}

/// An upright line, with something light around it, so that it is seen on bars too.
pub fn upright(class: &str, x: f64, title: &str) -> String {
    let x = percent(x);
    format!(
        "<line class=\"halo\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"100%\"/>\
         <line class=\"{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"100%\"><title>{}</title>\
         </line>",
        escaped(title)
    )
}

/// A chart with axes.
#[derive(Debug, Default)]
pub struct Plot {
    /// What is seen, for who does not see it.
    pub said: String,
    /// What is counted upward, with its unit.
    pub y_name: String,
    pub y: Vec<Tick>,
    /// What is counted to the right, with its unit.
    pub x_name: String,
    pub x: Vec<Tick>,
    pub shapes: String,
}

impl Plot {
    pub fn markup(&self) -> String {
        let mut text =
            format!("<p class=\"axis\">{}</p><div class=\"plot\">", escaped(&self.y_name));
        text += "<div class=\"y\">";
        for tick in &self.y {
            let (at, label) = (percent(tick.at), escaped(&tick.label));
            let _ = write!(text, "<span style=\"bottom:{at}\">{label}</span>");
        }
        let said = escaped(&self.said);
        let _ = write!(text, "</div><svg class=\"chart\" role=\"img\" aria-label=\"{said}\">");
        for tick in &self.y {
            let y = percent(1.0 - tick.at);
            let _ =
                write!(text, "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>");
        }
        text += &self.shapes;
        text += "</svg>";
        text += &below(&self.x, &self.x_name);
        text + "</div>"
    }
}

/// A strip: what is covered of a range.
pub fn strip(said: &str, shapes: &str, x: &[Tick], x_name: &str) -> String {
    let said = escaped(said);
    let below = below(x, x_name);
    format!(
        "<div class=\"plot narrow\"><svg class=\"strip\" role=\"img\" aria-label=\"{said}\">\
         {shapes}</svg>{below}</div>"
    )
}

fn below(ticks: &[Tick], name: &str) -> String {
    let mut text = "<div class=\"x\">".to_owned();
    for tick in ticks {
        let (at, label) = (percent(tick.at), escaped(&tick.label));
        let edge = match tick.at {
            at if at < 0.02 => " class=\"first\"",
            at if at > 0.98 => " class=\"last\"",
            _ => "",
        };
        let _ = write!(text, "<span{edge} style=\"left:{at}\">{label}</span>");
    }
    text + "</div><p class=\"axis right\">" + &escaped(name) + "</p>"
}

/// The colours of a chart, with what they mean.
pub fn legend(entries: &[(&str, &str)]) -> String {
    let mut text = "<p class=\"legend\">".to_owned();
    for (class, meaning) in entries {
        let meaning = escaped(meaning);
        let _ = write!(text, "<span><i class=\"{class}\"></i>{meaning}</span> ");
    }
    text + "</p>"
}

/// Rows of text under columns; a name that begins with `>` is that of a column of numbers, with `~`
/// that of one whose text may be long, and is broken into lines.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<&'static str>,
    body: String,
    count: usize,
}

impl Rows {
    pub fn new(columns: &[&'static str]) -> Self {
        Rows { columns: columns.to_vec(), body: String::new(), count: 0 }
    }

    pub fn row(&mut self, cells: &[String]) {
        self.body += "<tr>";
        for (cell, name) in cells.iter().zip(&self.columns) {
            let (class, shown) = (class_of(name), escaped(shown(name)));
            let _ = write!(self.body, "<td{class} data-name=\"{shown}\">{}</td>", escaped(cell));
        }
        self.body += "</tr>\n";
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The table, seen at once: where it has no room, each row is a list.
    pub fn markup(&self) -> String {
        self.table("<table class=\"rows\">")
    }

    fn table(&self, begin: &str) -> String {
        let mut text = format!("<div class=\"scroll\">{begin}<thead><tr>");
        for name in &self.columns {
            let _ = write!(text, "<th{}>{}</th>", class_of(name), escaped(shown(name)));
        }
        text + "</tr></thead><tbody>\n" + &self.body + "</tbody></table></div>"
    }

    /// The table for who wants to read what the chart above it shows.
    pub fn folded(&self) -> String {
        format!("<details><summary>The numbers</summary>{}</details>", self.table("<table>"))
    }
}

fn shown(name: &str) -> &str {
    name.trim_start_matches(['>', '~'])
}

fn class_of(name: &str) -> &'static str {
    match name.as_bytes().first() {
        Some(b'>') => " class=\"n\"",
        Some(b'~') => " class=\"long\"",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escaped("<a href='x'>&\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;"
        );
        assert_eq!(escaped("a\u{1}b\nc é"), "a\\u{1}b\\nc é");
    }

    #[test]
    fn shares_are_short() {
        assert_eq!([percent(0.0), percent(0.125), percent(1.0)], ["0%", "12.5%", "100%"]);
        assert_eq!(percent(1.0 / 3.0), "33.33%");
    }

    #[test]
    fn what_is_there_is_seen_and_what_is_not_is_not() {
        assert_eq!(bar("hot", (0.0, 0.1), (0.0, 0.0), ""), "");
        assert!(bar("hot", (0.0, 0.1), (0.0, 1e-9), "").contains("height=\"0.6%\""));
    }
}
