#!/usr/bin/env python3
"""Collects the licences of all that is shipped with the library, its packages and fswal.

    third_party.py            print the page
    third_party.py --write    write it: THIRD_PARTY_LICENSES.md
    third_party.py --check    fail if it is not that of the lock files

What is shipped is what `cargo metadata` says is linked: no tests, build scripts or macros. The
texts are those in the sources that cargo has. Of a crate that may be had under MIT or something
else, MIT is taken.
"""

import difflib
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "THIRD_PARTY_LICENSES.md"
TARGET = "x86_64-unknown-linux-gnu"
# What is linked into what: the package, and the manifest that its lock file is beside.
SHIPPED = (("library", "flashstrike-wal", "Cargo.toml"), ("fswal", "fswal", "fswal/Cargo.toml"))
OURS = {package for _, package, _ in SHIPPED}

# Where crates that bring C code along keep its licence.
BUNDLED = {"lz4-sys": "liblz4/lib/LICENSE", "zstd-sys": "zstd/LICENSE"}
LICENCE = re.compile(r"(?i)^(licen[cs]e|copying|copyright|notice|unlicense)")
# These are kept whichever licence is taken.
ALWAYS = re.compile(r"(?i)^(copyright|notice)")
STANDARD = ("Rust standard library", "of the compiler", "MIT OR Apache-2.0")

MIT = """\
The MIT License

{copyright}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

HEAD = """\
# Licences of third parties

What others have written, and what is linked into what we ship: the library (and with it the Python
package), and the operator's tool `fswal`. Our own licence is in [LICENSE](LICENSE). This page is
generated: `tools/third_party.py --write`.

<!-- licences: begin -->
"""
TAIL = "<!-- licences: end -->\n"


def metadata(manifest):
    command = ("cargo", "metadata", "--locked", "--format-version=1",
               f"--filter-platform={TARGET}", f"--manifest-path={ROOT / manifest}")
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(said.stdout)


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def linked(about, name):
    """The packages that are linked into the one of this name, itself not."""
    packages = {package["id"]: package for package in about["packages"]}
    nodes = {node["id"]: node for node in about["resolve"]["nodes"]}
    todo = [id for id in nodes if packages[id]["name"] == name]
    seen = set()
    while todo:
        id = todo.pop()
        if id in seen or is_macro(packages[id]):
            continue
        seen.add(id)
        todo += [dependency["pkg"] for dependency in nodes[id]["deps"]
                 if any(kind["kind"] is None for kind in dependency["dep_kinds"])]
    return [packages[id] for id in seen if packages[id]["name"] not in OURS]


def alternatives(licence):
    """`MIT OR Apache-2.0`, and as it was written earlier, `MIT/Apache-2.0`."""
    return re.split(r" OR |/", licence)


def licence_files(package):
    """Those that apply, by name."""
    folder = Path(package["manifest_path"]).parent
    names = sorted(path.name for path in folder.iterdir()
                   if path.is_file() and LICENCE.match(path.name))
    mit = [name for name in names if "MIT" in name.upper()]
    if mit and "MIT" in alternatives(package["license"]):
        names = [name for name in names if name in mit or ALWAYS.match(name)]
    if bundled := BUNDLED.get(package["name"]):
        names.append(bundled)
    elif package["links"]:
        raise SystemExit(f"{package['name']} links {package['links']}: "
                         "say in BUNDLED of tools/third_party.py where its licence is")
    return [folder / name for name in names]


def texts(package, apache):
    """The texts of its licence; for a crate without one, the text that its licence has."""
    found = [path.read_text().strip("\n") + "\n" for path in licence_files(package)]
    if found:
        return found
    offered = alternatives(package["license"])
    if "MIT" in offered and package["authors"]:
        return [MIT.format(copyright=f"Copyright (c) {', '.join(package['authors'])}")]
    if "Apache-2.0" in offered:
        return [apache]
    raise SystemExit(f"{package['name']}: no text of its licence, {package['license']}")


def standard_apache(packages):
    """The text of the licence, from a crate that has nothing else in it."""
    for package in packages:
        for path in sorted(Path(package["manifest_path"]).parent.glob("LICENSE-APACHE")):
            text = path.read_text().strip("\n") + "\n"
            if "APPENDIX: How to apply" in text and "[name of copyright owner]" in text:
                return text
    raise SystemExit("no crate has the text of Apache-2.0")


class Texts:
    """Texts, numbered; those that differ in white space only are one."""

    def __init__(self):
        self.numbers, self.all = {}, []

    def number(self, text):
        words = " ".join(text.split())
        if words not in self.numbers:
            self.all.append(text)
            self.numbers[words] = len(self.all)
        return self.numbers[words]


def page(shipped):
    """`shipped`: packages by what they are linked into."""
    uses = {}
    for into, packages in shipped.items():
        for package in packages:
            key = (package["name"], package["version"])
            uses.setdefault(key, (package, []))[1].append(into)
    packages = [uses[key][0] for key in sorted(uses)]
    apache, collected = standard_apache(packages), Texts()
    rows = []
    for package in packages:
        key = (package["name"], package["version"])
        rows.append((*key, package["license"], uses[key][1],
                     [collected.number(text) for text in texts(package, apache)]))
    rows.append((*STANDARD, list(shipped), [collected.number(apache)]))
    lines = ["| what | version | licence | linked into | text |", "| --- | --- | --- | --- | --- |"]
    for name, version, licence, into, numbers in rows:
        links = ", ".join(f"[{number}](#text-{number})" for number in numbers)
        lines.append(f"| {name} | {version} | {licence} | {', '.join(into)} | {links} |")
    table = "\n".join(lines) + "\n"
    parts = [f"\n## Text {n}\n\n```text\n{text}```\n" for n, text in enumerate(collected.all, 1)]
    return HEAD + table + "".join(parts) + TAIL


def main():
    text = page({into: linked(metadata(manifest), name) for into, name, manifest in SHIPPED})
    path = ROOT / PAGE
    match sys.argv[1:]:
        case []:
            print(text, end="")
        case ["--write"]:
            path.write_text(text)
        case ["--check"]:
            kept = path.read_text() if path.exists() else ""
            if kept != text:
                changes = difflib.unified_diff(kept.splitlines(), text.splitlines(), PAGE, "now",
                                               lineterm="", n=0)
                print("\n".join(list(changes)[:40]), file=sys.stderr)
                raise SystemExit(f"{PAGE} is not that of the lock files: "
                                 "tools/third_party.py --write")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
