//! `FLASHSTRIKE_TEST_SEED`: the one seed to try, of those that a test counts through.
//!
//! A test that fails prints the seed it failed with. With the variable set it tries that one only,
//! and writes no row of the durability table.

const VARIABLE: &str = "FLASHSTRIKE_TEST_SEED";

/// The seed that was asked for.
pub fn chosen() -> Option<u64> {
    let seed = std::env::var(VARIABLE).ok()?;
    let number = seed.parse();
    Some(number.unwrap_or_else(|_| panic!("{VARIABLE} is {seed:?}: it must be a number")))
}

/// How to run a seed again, for the message of a failure.
pub fn again(seed: u64) -> String {
    format!("run it again with {VARIABLE}={seed}")
}

/// While this lives, a panic of its thread is followed by how to run the seed again.
pub struct Named(pub u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", again(self.0));
        }
    }
}
