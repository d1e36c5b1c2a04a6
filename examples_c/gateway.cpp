// A gateway that answers its client when a request is durable, without a thread that waits for the
// disk. The engine's thread records requests at full speed. The gateway's thread sleeps in epoll,
// with the log's durable_fd beside whatever else it serves: each time the watermark has moved it
// tells the client, in one answer, up to which id its requests survive a power cut.
//
//     gateway DIRECTORY [REQUESTS]

#include "number.hpp"

#include <flashstrike_wal.hpp>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using flashstrike::wal::DurableFd;
using flashstrike::wal::Log;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// The gateway's thread: answers until it has acknowledged `last_id`.
class Gateway {
public:
    Gateway(Log& log, int client) : log_(log), client_(client), moved_(log.durable_fd()) {
        epoll_ = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_ < 0) fail("epoll_create1");
        epoll_event interest{};
        interest.events = EPOLLIN;
        interest.data.fd = moved_.get();
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, moved_.get(), &interest) != 0) fail("epoll_ctl");
        // After the descriptor was made: what moves from now on makes it readable.
        answered_ = log.durable().last_event_id;
    }
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;
    ~Gateway() { close(epoll_); }

    void serve(std::uint64_t last_id) {
        while (answered_ < last_id) {
            epoll_event ready{};
            const int count = epoll_wait(epoll_, &ready, 1, -1);
            if (count < 0 && errno != EINTR) fail("epoll_wait");
            if (count == 1 && ready.data.fd == moved_.get()) acknowledge();
        }
    }

private:
    void acknowledge() {
        // First take, then look: what moves in between makes the descriptor readable again.
        moved_.take();
        const std::uint64_t durable = log_.durable().last_event_id;
        if (durable == answered_) {
            // Told, and yet nothing is new: an earlier look has seen it, or the log has failed,
            // which throws here.
            static_cast<void>(log_.wait_durable(answered_ + 1, std::chrono::nanoseconds(0)));
            return;
        }
        if (write(client_, &durable, sizeof durable) != sizeof durable) fail("write to the client");
        answered_ = durable;
    }

    Log& log_;
    int client_;
    DurableFd moved_;
    int epoll_ = -1;
    std::uint64_t answered_ = 0;
};

/// Runs `work` and ends the program if it fails.
template <typename Work>
std::thread start(const char* who, Work work) {
    return std::thread([who, work] {
        try {
            work();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "gateway: %s: %s\n", who, error.what());
            std::_Exit(1);
        }
    });
}

/// The client: counts answers until all its requests are acknowledged.
std::uint64_t read_answers(int server, std::uint64_t last_id) {
    std::uint64_t answers = 0;
    for (std::uint64_t durable = 0; durable < last_id; ++answers) {
        const std::uint64_t before = durable;
        if (read(server, &durable, sizeof durable) != sizeof durable) fail("read from the gateway");
        if (durable <= before) throw std::runtime_error("an answer goes back");
    }
    return answers;
}

/// The engine: records the requests, and never waits for the disk.
void record(Log& log, std::uint64_t first_id, std::uint64_t last_id) {
    for (std::uint64_t id = first_id; id <= last_id; ++id) {
        fs_request_event request{};
        request.event_id = id;
        request.price = 577 * 10000;
        request.quantity = 100;
        log.append(request);
    }
}

void run(const std::string& dir, std::uint64_t requests) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");

    Log log(dir);
    const std::uint64_t first_id = log.meta().last_event_id + 1;
    const std::uint64_t last_id = log.meta().last_event_id + requests;
    std::uint64_t answers = 0;
    Gateway gateway(log, ends[0]);
    std::thread threads[] = {
        start("client", [&] { answers = read_answers(ends[1], last_id); }),
        start("gateway", [&] { gateway.serve(last_id); }),
        start("engine", [&] { record(log, first_id, last_id); }),
    };
    for (std::thread& thread : threads) thread.join();
    close(ends[0]);
    close(ends[1]);
    log.shutdown();
    std::printf("%llu requests acknowledged as durable, in %llu answers\n",
                static_cast<unsigned long long>(requests),
                static_cast<unsigned long long>(answers));
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t requests = 1'000'000;
    if (argc < 2 || argc > 3 || (argc > 2 && !parse_number(argv[2], requests)) ||
        requests == 0) {
        std::fprintf(stderr, "usage: gateway DIRECTORY [REQUESTS]\n");
        return 2;
    }
    try {
        run(argv[1], requests);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "gateway: %s\n", error.what());
        return 1;
    }
}
