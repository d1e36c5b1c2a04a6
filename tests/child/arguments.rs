//! The arguments of a role on the command line.

use std::path::Path;
use std::str::FromStr;

use common::planted::Bug;

/// The exit code for a wrong command line.
const WRONG_USAGE: i32 = 64;

/// Prints what is wrong with the command line, and ends the process.
pub fn refuse(what: &str) -> ! {
    eprintln!("child: {what}");
    std::process::exit(WRONG_USAGE)
}

/// The arguments of a role, each with its name from the list of roles.
pub struct Arguments {
    usage: String,
    named: Vec<(&'static str, String)>,
}

impl Arguments {
    /// There must be as many as there are names, which are separated by spaces.
    pub fn new(role: &str, names: &'static str, given: Vec<String>) -> Self {
        let usage = format!("{role} {names}");
        let names: Vec<_> = names.split_whitespace().collect();
        if names.len() != given.len() {
            let (wanted, got) = (names.len(), given.len());
            refuse(&format!("{wanted} arguments are needed, not {got}\nusage: child {usage}"));
        }
        Arguments { usage, named: names.into_iter().zip(given).collect() }
    }

    pub fn word(&self, name: &str) -> &str {
        let found = self.named.iter().find(|(other, _)| *other == name);
        &found.unwrap_or_else(|| panic!("{name} is no argument of {}", self.usage)).1
    }

    pub fn path(&self, name: &str) -> &Path {
        self.word(name).as_ref()
    }

    pub fn number<T: FromStr>(&self, name: &str) -> T {
        self.parsed(name, "a number", |word| word.parse().ok())
    }

    /// Numbers separated by commas.
    pub fn numbers(&self, name: &str) -> Vec<u64> {
        let parse = |word: &str| word.split(',').map(|number| number.parse().ok()).collect();
        self.parsed(name, "numbers with commas between them", parse)
    }

    pub fn yes_or_no(&self, name: &str) -> bool {
        self.parsed(name, "true or false", |word| word.parse().ok())
    }

    /// The planted bug, or none.
    pub fn bug(&self, name: &str) -> Option<Bug> {
        self.parsed(name, "the name of a planted bug, or none", Bug::of_argument)
    }

    /// One of these words.
    pub fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> T {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let find = |word: &str| Some(words.iter().find(|(known, _)| *known == word)?.1);
        self.parsed(name, &known.join(" or "), find)
    }

    fn parsed<T>(&self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let word = self.word(name);
        parse(word).unwrap_or_else(|| {
            refuse(&format!("{name} must be {what}, not {word:?}\nusage: child {}", self.usage))
        })
    }
}
