// The struct layout in C++, with the C++ header included twice.

#include <flashstrike_wal.hpp>
#include <flashstrike_wal.hpp>

#include "../support/layout.h"

#include <type_traits>

static_assert(std::is_trivially_copyable<fs_request_event>::value, "events are copied as bytes");
static_assert(alignof(fs_request_event) == 8, "callers need not align events to 64");
static_assert(flashstrike::wal::Claim::size() == 56, "a claim gives out bytes 8 to 63");
static_assert(!std::is_copy_constructible<flashstrike::wal::Log>::value, "a log has one owner");
static_assert(std::is_move_constructible<flashstrike::wal::Log>::value, "the owner may change");

int main() { return 0; }
