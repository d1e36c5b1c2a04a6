//! The report of a run: rows of figures, and remarks.

use serde::Serialize;

use crate::machine::Machine;

/// The values of a figure in the rounds of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Spread {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        };
        Spread { median, min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

/// The ratio of a figure to that of something else, from the ratios within each round.
#[derive(Debug, Clone, Serialize)]
pub struct Ratio {
    pub to: String,
    #[serde(flatten)]
    pub spread: Spread,
}

/// An aim, and whether it is met.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    pub text: String,
    pub met: bool,
}

/// One figure of one subject.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub aim: &'static str,
    pub table: &'static str,
    pub subject: String,
    pub figure: String,
    pub unit: &'static str,
    #[serde(flatten)]
    pub spread: Spread,
    pub rounds: usize,
    pub ratio: Option<Ratio>,
    pub target: Option<Target>,
    #[serde(skip)]
    values: Vec<f64>,
}

impl Row {
    /// Compares with the values of something else in the same rounds.
    pub fn against(&mut self, to: &str, others: &[f64]) -> &mut Row {
        // The ratio of 0 to 0 is 1.
        let ratio = |(mine, other): (&f64, &f64)| mine.max(1e-9) / other.max(1e-9);
        let ratios: Vec<f64> = self.values.iter().zip(others).map(ratio).collect();
        self.ratio = Some(Ratio { to: to.to_owned(), spread: Spread::of(&ratios) });
        self
    }

    /// Aim: the ratio is at most this.
    pub fn at_most_times(&mut self, limit: f64) -> &mut Row {
        let ratio = self.ratio.as_ref().expect("compared before");
        let text = format!("≤ {limit} × {}", ratio.to);
        self.target = Some(Target { met: rounded(ratio.spread.median) <= limit, text });
        self
    }

    /// Aim: the ratio is at least this.
    pub fn at_least_times(&mut self, limit: f64) -> &mut Row {
        let ratio = self.ratio.as_ref().expect("compared before");
        let text = format!("≥ {limit} × {}", ratio.to);
        self.target = Some(Target { met: rounded(ratio.spread.median) >= limit, text });
        self
    }

    /// Aim: the time itself, in ns, is at most this.
    pub fn at_most_ms(&mut self, limit: f64) -> &mut Row {
        let text = format!("≤ {limit} ms");
        self.target = Some(Target { met: self.spread.median <= limit * 1e6, text });
        self
    }

    /// Aim: the figure itself is at most this.
    pub fn at_most(&mut self, limit: f64) -> &mut Row {
        let text = format!("≤ {limit} {}", self.unit).trim_end().to_owned();
        self.target = Some(Target { met: self.spread.median <= limit, text });
        self
    }
}

/// Rounds to the two decimals that are printed. Without it the steps of the clock would decide.
fn rounded(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

/// A sentence for the reader.
#[derive(Debug, Serialize)]
pub struct Remark {
    pub aim: &'static str,
    pub text: String,
}

/// The report of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub date: String,
    pub commit: String,
    /// Whether this was a quick run, which only shows that everything works.
    pub quick: bool,
    pub seconds: u64,
    pub machine: Machine,
    pub rows: Vec<Row>,
    pub remarks: Vec<Remark>,
}

impl Report {
    pub fn remark(&mut self, aim: &'static str, text: String) {
        self.remarks.push(Remark { aim, text });
    }

    /// Begins a table, to which rows can be added.
    pub fn table(&mut self, aim: &'static str, table: &'static str) -> Table<'_> {
        Table { report: self, aim, table }
    }
}

/// A table of the report that rows are added to.
pub struct Table<'a> {
    report: &'a mut Report,
    aim: &'static str,
    table: &'static str,
}

impl Table<'_> {
    /// Adds a figure of a subject, with its value in each round.
    pub fn add(
        &mut self,
        subject: &str,
        figure: &str,
        unit: &'static str,
        values: &[f64],
    ) -> &mut Row {
        let rows = &mut self.report.rows;
        rows.push(Row {
            aim: self.aim,
            table: self.table,
            subject: subject.to_owned(),
            figure: figure.to_owned(),
            unit,
            spread: Spread::of(values),
            rounds: values.len(),
            ratio: None,
            target: None,
            values: values.to_vec(),
        });
        rows.last_mut().expect("one was added")
    }
}
