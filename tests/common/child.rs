//! Starts the child program (`tests/child`) in a role, with arguments, and where needed under a
//! command such as strace or unshare.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Where the child program is. Cargo builds it with the tests and puts them into `deps/` beside it.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a program has a path");
    let mut directory = own.parent().expect("it is in a directory");
    if directory.ends_with("deps") {
        directory = directory.parent().expect("deps/ is in a directory");
    }
    let program = directory.join("child");
    assert!(program.exists(), "{} is missing: cargo test builds it", program.display());
    program
}

/// Copies the program to where another user may run it. `cp` does it: if this process did, a child
/// that another test starts meanwhile could inherit the descriptor open for writing, and running
/// the copy would fail with "text file busy".
pub fn copy_to(path: &Path) {
    let program = program();
    let copied = Command::new("cp").arg(&program).arg(path).status().expect("cp");
    assert!(copied.success(), "cp {} {}: {copied}", program.display(), path.display());
}

/// Starts the child in a role.
pub fn spawn(role: &str, arguments: &[&dyn Display]) -> Child {
    spawn_under(&[], role, arguments)
}

/// The same, with the command `wrapper` in front: strace, unshare.
pub fn spawn_under(wrapper: &[&str], role: &str, arguments: &[&dyn Display]) -> Child {
    command(&program(), wrapper, role, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{wrapper:?} child {role}: {error}"))
}

/// The command that starts this program, or a copy of it.
pub fn command(
    program: &Path,
    wrapper: &[&str],
    role: &str,
    arguments: &[&dyn Display],
) -> Command {
    let mut words = wrapper.iter().map(|word| word.into()).collect::<Vec<_>>();
    words.push(program.as_os_str().to_owned());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(role);
    command.args(arguments.iter().map(|argument| argument.to_string()));
    command
}

/// Plays a role and waits for its end, whatever its exit status.
pub fn output_under(wrapper: &[&str], role: &str, arguments: &[&dyn Display]) -> Output {
    spawn_under(wrapper, role, arguments).wait_with_output().expect("the child is waited for")
}

/// Plays a role, which must succeed.
pub fn play(role: &str, arguments: &[&dyn Display]) {
    play_under(&[], role, arguments);
}

/// The same, with the command `wrapper` in front.
pub fn play_under(wrapper: &[&str], role: &str, arguments: &[&dyn Display]) {
    assert_succeeded(role, &output_under(wrapper, role, arguments));
}

/// Plays a role with a small filesystem in memory mounted: `options` are those of mount, with the
/// place. A separate mount namespace ends with the process, and the mount with it, even if the
/// child waits for ever.
pub fn play_with_a_mount(options: &str, role: &str, arguments: &[&dyn Display]) {
    let mount = format!("mount -t tmpfs {options} && exec \"$@\"");
    let wrapper = ["timeout", "900", "unshare", "-m", "sh", "-c", &mount, "sh"];
    play_under(&wrapper, role, arguments);
}

/// Whether a process has been stopped, as by a debugger.
pub fn is_stopped(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    status.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

/// Lets stopped processes go on, which must then succeed.
pub fn go_on(role: &str, stopped: Vec<Child>) {
    for child in stopped {
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        assert_succeeded(role, &child.wait_with_output().unwrap());
    }
}

/// The child must have succeeded; if not, the panic shows its stderr.
pub fn assert_succeeded(role: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "child {role}: {}: {said}", output.status);
    let why = said.lines().find_map(|line| line.split_once("skipped: "));
    if let Some((_, why)) = why {
        super::skipped(why);
    }
}
