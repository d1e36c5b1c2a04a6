// The standby of the demo: the program `standby` as a child process.

#ifndef DEMO_STANDBY_HPP
#define DEMO_STANDBY_HPP

#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

[[noreturn]] inline void fail(const std::string& what) { throw std::runtime_error(what); }

[[noreturn]] inline void fail_with_errno(const std::string& what) {
    fail(what + ": " + std::strerror(errno));
}

class StandbyProcess {
public:
    /// What the standby says that it has.
    struct Book {
        std::uint64_t last_event_id;
        std::uint64_t digest;
    };

    /// Starts the program that lies beside this one, and waits until it follows the log.
    StandbyProcess(const std::string& dir, std::uint64_t snapshot_every) {
        const std::string program =
            std::filesystem::read_symlink("/proc/self/exe").parent_path() / "standby";
        const std::string dir_option = "--dir=" + dir;
        const std::string every_option = "--snapshot-every=" + std::to_string(snapshot_every);
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) fail_with_errno("pipe2");
        pid_ = fork();
        if (pid_ < 0) fail_with_errno("fork");
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dup2(ends[1], STDOUT_FILENO);
            execl(program.c_str(), program.c_str(), dir_option.c_str(), every_option.c_str(),
                  nullptr);
            _exit(127);
        }
        close(ends[1]);
        says_ = fdopen(ends[0], "r");
        if (says_ == nullptr) fail_with_errno("fdopen");
        if (next_line().rfind("following", 0) != 0) {
            fail("the standby did not start: " + program + " (the target standby builds it)");
        }
    }
    StandbyProcess(const StandbyProcess&) = delete;
    StandbyProcess& operator=(const StandbyProcess&) = delete;
    ~StandbyProcess() {
        if (says_ != nullptr) std::fclose(says_);
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

    /// Lets the standby read what is left, and end.
    Book end() {
        kill(pid_, SIGTERM);
        const std::string line = next_line();
        int status = 0;
        if (waitpid(pid_, &status, 0) != pid_) fail_with_errno("waitpid");
        pid_ = -1;
        Book book{};
        const std::size_t digest = line.find("digest ");
        if (status != 0 || digest == std::string::npos ||
            std::sscanf(line.c_str(), "standby: %" SCNu64, &book.last_event_id) != 1 ||
            std::sscanf(line.c_str() + digest, "digest %" SCNx64, &book.digest) != 1)
            fail("the standby failed, wait status " + std::to_string(status) + ": " + line);
        return book;
    }

private:
    std::string next_line() {
        char line[512];
        return std::fgets(line, sizeof line, says_) ? line : "";
    }

    pid_t pid_ = -1;
    std::FILE* says_ = nullptr;
};

#endif  // DEMO_STANDBY_HPP
