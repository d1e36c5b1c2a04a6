//! Ten hours of flow in a minute. The child watches its own memory and descriptors while it records
//! (`tests/child/long_run.rs`).

use common::child;

#[test]
fn ten_hours_of_flow_leave_what_retention_allows() {
    let output = child::output_under(&[], "ten-hours-of-flow", &[]);
    child::assert_succeeded("ten-hours-of-flow", &output);
    println!("{}", String::from_utf8_lossy(&output.stderr));
}
