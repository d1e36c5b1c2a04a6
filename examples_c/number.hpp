// Numbers on a command line.

#ifndef NUMBER_HPP
#define NUMBER_HPP

#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>

/// Whether the text is a number, and nothing else.
inline bool parse_number(std::string_view text, std::uint64_t& number) {
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    return error == std::errc{} && end == last;
}

#endif
