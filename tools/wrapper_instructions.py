#!/usr/bin/env python3
"""The C++ wrapper costs nothing: counts the instructions of loops that append, with valgrind.

    wrapper_instructions.py PROGRAM

PROGRAM is built from tests/instructions/wrapper.cpp. The loops through the wrapper may take no more
instructions an event, library included, than the same loop through C; a few instructions outside
the loop do not count.
"""

import platform
import sys
from pathlib import Path

from instruction_counts import SKIPPED, count

# A loop through C, and those through the wrapper that do the same.
LOOPS = {
    "append_c": ("append_cpp", "try_append_cpp", "append_own_cpp"),
    "batch_c": ("batch_cpp",),
    "claim_c": ("claim_cpp",),
}
LEEWAY = 0.01  # instructions an event: what is before and behind the loop


def main():
    program = Path(sys.argv[1]).resolve()
    if platform.machine() != "x86_64":
        print("skipped: instructions are compared on x86-64 only")
        sys.exit(SKIPPED)
    wrong = []
    for in_c, in_cpp in LOOPS.items():
        wanted = count(program, in_c, (in_c,))
        print(f"{in_c}: {wanted:.2f} instructions an event")
        for name in in_cpp:
            found = count(program, name, (name,))
            print(f"{name}: {found:.2f}")
            if found > wanted + LEEWAY:
                wrong.append(f"{name} takes {found - wanted:.2f} instructions more than {in_c}")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
