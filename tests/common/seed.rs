//! `FLASHSTRIKE_TEST_SEED`: runs one seed only, of those a test goes through.
//!
//! A failing test prints its seed. With the variable set, the test runs only that seed and writes
//! no row of the durability table.

const VARIABLE: &str = "FLASHSTRIKE_TEST_SEED";

/// The requested seed.
pub fn chosen() -> Option<u64> {
    let seed = std::env::var(VARIABLE).ok()?;
    let number = seed.parse();
    Some(number.unwrap_or_else(|_| panic!("{VARIABLE} is {seed:?}: it must be a number")))
}

/// How to run a seed again, for a failure message.
pub fn again(seed: u64) -> String {
    format!("run it again with {VARIABLE}={seed}")
}

/// While this exists, a panic of its thread also prints how to run the seed again.
pub struct Named(pub u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", again(self.0));
        }
    }
}
