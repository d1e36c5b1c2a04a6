// The wrapper in a program without exceptions: it compiles, works, and ends the process with the
// library's words where it would throw.

#include "../support/check.h"

#include <flashstrike_wal.hpp>

#include <sys/wait.h>
#include <unistd.h>

#if defined(__cpp_exceptions)
#error "to be built with -fno-exceptions"
#endif

using namespace flashstrike::wal;

int main() {
    Log log("wal");
    const fs_request_event event = make_event(1);
    log.append(event);
    CHECK(log.try_append(event) == FS_WAL_ERR_OUT_OF_ORDER);
    log.wait_durable(1);

    int words[2];
    CHECK(pipe(words) == 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(words[1], STDERR_FILENO);
        const Reader reader("nowhere");
        _exit(0);
    }
    close(words[1]);
    int ended = 0;
    CHECK(waitpid(child, &ended, 0) == child);
    CHECK(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGABRT);
    char said[1000] = {};
    CHECK(read(words[0], said, sizeof said - 1) > 0);
    CHECK(std::string(said).find("fs_wal_reader_open: ") == 0);
    CHECK(std::string(said).find("nowhere") != std::string::npos);

    log.shutdown();
    Reader reader("wal");
    fs_request_event found;
    CHECK(reader.next(found) && is_made_event(&found));
    CHECK(!reader.next(found));
}
