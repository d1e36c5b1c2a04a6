#!/usr/bin/env python3
"""Draws who imports whom, from the code itself, and fails where imports run in a circle or upward.

    arrows.py                draw this repository: src/, benches/src, fswal/src and examples_c/
    arrows.py DIRECTORY      draw another copy of it

The rule:

1. A folder is a room. The files and folders in it are its boxes. An import is an arrow between the
   two boxes at which the paths of the two files part. If recorder/workers/crew.rs imports something
   from recorder/log/queues.rs, that is an arrow from `workers` to `log` in the room src/recorder.
2. The arrows of a room must not form a circle. So two folders must not import each other, whichever
   of their files do it. Without circles every box stands on a floor, above all that it imports.
3. The door of a room is its mod.rs (or lib.rs, main.rs, or name.rs beside a folder name/). An
   import of what a door re-exports is an arrow to the room. Where the importing file is in that
   room itself, it is an arrow to the file that defines the thing.
4. What a door itself defines stands above its whole room, so nothing in the room may import it.
   What the boxes of a room share belongs in a file of the room, not in its mod.rs.
5. ORDER lists the floors of some rooms. Every arrow there must point to a lower floor: not upward,
   and not to a box on the same floor.

Tests are left out. In C and C++ an import is an #include "..." of a file in the same folder.

A circle can be cut at any of its arrows. The one named first has the fewest imports.
"""

import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from rust_imports import Resolver, read_crate, walk

CRATES = ("src/lib.rs", "benches/src/main.rs", "fswal/src/main.rs")
C_FOLDERS = ("examples_c",)
# From the bottom up. Boxes on the same floor do not import each other.
ORDER = {
    "src": (
        "error",
        "format log_sink telemetry",
        "config storage poison",
        "directory",
        "segment",
        "keep",
        "replay recorder",
        "ffi",
    ),
}


@dataclass(frozen=True)
class Import:
    file: str
    line: int
    what: str
    source: tuple
    target: tuple


class Room:
    def __init__(self, name):
        self.name = name
        self.boxes = set()
        # Imports by (from, to).
        self.arrows = defaultdict(list)
        # Imports of what the room's own door defines.
        self.of_door = []

    def circles(self):
        """A text for every circle, and the arrows that remain when each circle is cut."""
        below = defaultdict(set)
        for source, target in self.arrows:
            below[source].add(target)
        texts = []
        while circle := shortest_circle(below):
            steps = sorted(zip(circle, circle[1:]), key=lambda step: len(self.arrows[step]))
            lines = [f"{self.name}: circle {' -> '.join(circle)}"]
            for source, target in steps:
                lines += [f"  {source} -> {target}", *listed(self.arrows[source, target])]
            texts.append("\n".join(lines))
            below[steps[0][0]].discard(steps[0][1])
        return texts, below

    def upward(self):
        """A text for every arrow that runs up."""
        if self.of_door:
            title = f"{self.name}: its door defines what files inside it import"
            yield "\n".join([title, *listed(self.of_door)])
        floors = ORDER.get(self.name, ())
        floor_of = {box: number for number, floor in enumerate(floors) for box in floor.split()}
        for box in sorted(self.boxes - set(floor_of)) if floors else ():
            yield f"{self.name}: {box} stands on no floor: add it to ORDER in tools/arrows.py"
        for (source, target), imports in sorted(self.arrows.items()):
            if {source, target} <= set(floor_of) and floor_of[target] >= floor_of[source]:
                title = f"{self.name}: {source} -> {target} does not point to a lower floor"
                yield "\n".join([title, *listed(imports)])

    def drawing(self, below):
        """The boxes from the top floor down, each with what it imports."""
        heights = {}

        def height(box):
            if box not in heights:
                heights[box] = 1 + max((height(lower) for lower in below[box]), default=-1)
            return heights[box]

        for box in sorted(self.boxes, key=lambda box: (-height(box), box)):
            arrows = ", ".join(sorted(below[box], key=lambda lower: (-height(lower), lower)))
            yield f"    {height(box)}  {box}" + (f" -> {arrows}" if arrows else "")


def listed(imports):
    """A line for every line of code that imports."""
    names = defaultdict(list)
    for one in imports:
        names[one.file, one.line].append(one.what)
    for (file, line), whats in sorted(names.items()):
        yield f"    {file}:{line}: {', '.join(sorted(set(whats)))}"


def shortest_circle(below):
    """One of the shortest circles, as boxes, the first again at the end; None if there is none."""
    best = None
    for start in sorted(below):
        paths, seen = [[start]], set()
        while paths and (best is None or len(paths[0]) + 1 < len(best)):
            path = paths.pop(0)
            for box in sorted(below.get(path[-1], ())):
                if box == start:
                    best, paths = [*path, start], []
                    break
                if box not in seen:
                    seen.add(box)
                    paths.append([*path, box])
    return best


def rust_imports(root, crate):
    """Every import between two files of a crate."""
    resolver = Resolver(crate)
    for module in walk(crate):
        name = str(module.file.relative_to(root))
        source = file_module(module).path
        for path, line in [(use.path, use.line) for use in module.uses] + module.inline:
            found = resolver.resolve(module, path)
            if found is None:
                continue
            named, defining, item = found
            defined_in = file_module(defining).path
            for target in {file_module(named).path, defined_in}:
                # The door of a room around the file: the path only leads through it, unless the
                # door defines what is imported.
                is_around = target == source[:len(target)]
                if not is_around or (item and target == defined_in):
                    yield Import(name, line, "::".join(path), source, target)


def file_module(module):
    while module.parent and module.parent.file == module.file:
        module = module.parent
    return module


def missed_files(root, crate):
    """Files that no `mod` leads to. Either they are dead, or this script reads `mod` wrongly."""
    reached = {module.file for module in walk(crate)}
    tests = [folder for module in walk(crate) for folder in module.test_modules]
    for file in sorted(crate.file.parent.rglob("*.rs")):
        is_test = file.stem.endswith("_tests") or any(
            file == folder.with_suffix(".rs") or folder in file.parents for folder in tests)
        if file not in reached and not is_test:
            yield f"{file.relative_to(root)}:1: no `mod` leads to this file"


def c_files(folder):
    return sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h", ".cpp", ".hpp"))


def c_imports(root, files):
    names = {path.name for path in files}
    for path in files:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            included = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if included and included[1] in names:
                name = str(path.relative_to(root))
                yield Import(name, number, line.strip(), (path.name,), (included[1],))


def rooms_of(name, files, imports):
    """The rooms of one tree, each import drawn in the room where the two paths part."""
    rooms = {}

    def room(path):
        full = "/".join((name, *path))
        return rooms.setdefault(full, Room(full))

    for path in files:
        for depth in range(len(path)):
            room(path[:depth]).boxes.add(path[depth])
    for one in imports:
        shared = 0
        while one.source[shared:shared + 1] == one.target[shared:shared + 1] != ():
            shared += 1
        if one.source[shared:] and one.target[shared:]:
            arrow = one.source[shared], one.target[shared]
            room(one.source[:shared]).arrows[arrow].append(one)
        elif one.source[shared:]:
            room(one.target).of_door.append(one)
    return [rooms[full] for full in sorted(rooms)]


def all_rooms(root):
    """The rooms of every tree, and texts for files that belong to none."""
    rooms, missed = [], []
    for root_file in CRATES:
        crate = read_crate(root / root_file)
        files = {file_module(module).path for module in walk(crate)}
        rooms += rooms_of(str(Path(root_file).parent), files, rust_imports(root, crate))
        missed += missed_files(root, crate)
    for folder in C_FOLDERS:
        files = c_files(root / folder)
        rooms += rooms_of(folder, [(path.name,) for path in files], c_imports(root, files))
    return rooms, missed


def summary(counts):
    boxes, arrows, circles, upward = counts
    return f"{boxes} boxes, {arrows} arrows, {circles} circles, {upward} upward"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    rooms, faults = all_rooms(root)
    totals = [0, 0, 0, 0]
    for room in rooms:
        circles, below = room.circles()
        upward = list(room.upward())
        counts = [len(room.boxes), len(room.arrows), len(circles), len(upward)]
        totals = [total + count for total, count in zip(totals, counts)]
        print(room.name + ": " + summary(counts))
        print("\n".join(room.drawing(below)))
        faults += circles + upward
    print(f"{len(rooms)} rooms: {summary(totals)}")
    if faults:
        sys.exit("\n" + "\n".join(faults))


if __name__ == "__main__":
    main()
