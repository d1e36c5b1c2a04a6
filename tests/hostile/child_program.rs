//! The child program refuses unknown roles and wrong arguments, and prints its usage.

use common::child;

#[test]
fn the_child_refuses_wrong_roles_and_arguments() {
    let refused = |role: &str, arguments: &[&dyn std::fmt::Display], words: &str| {
        let output = child::output_under(&[], role, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(words), "{said}");
    };
    refused("dance", &[], "there is no role \"dance\"\nroles:\n");
    refused("crash", &[&"log"], "4 arguments are needed, not 1\nusage: child crash LOG MEMORY");
    let arguments: [&dyn std::fmt::Display; 4] = [&"log", &"memory", &"few", &1];
    refused("crash", &arguments, "SYNCED must be a number, not \"few\"");
    refused("cut-power", &[&"btrfs"], "FILESYSTEM must be ext4 or xfs, not \"btrfs\"");
}
