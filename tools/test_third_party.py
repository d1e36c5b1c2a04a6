#!/usr/bin/env python3
"""Tests of third_party.py, on packages in a folder."""

import tempfile
import unittest
from pathlib import Path

import third_party

APACHE = "Apache\nAPPENDIX: How to apply\n[name of copyright owner]\n"


class ThirdParty(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def package(self, name, licence, links=None, authors=(), kind="lib", **files):
        folder = self.folder / name
        folder.mkdir()
        for file, text in files.items():
            path = folder / file.replace("__", "/").replace("_", "-")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return {"id": name, "name": name, "version": "1.0.0", "license": licence, "links": links,
                "authors": list(authors), "manifest_path": str(folder / "Cargo.toml"),
                "targets": [{"kind": [kind]}]}

    def both(self, name="both"):
        return self.package(name, "MIT OR Apache-2.0", LICENSE_MIT=f"MIT of {name}\n",
                            LICENSE_APACHE=APACHE, NOTICE="Notice\n")

    def texts(self, package):
        return third_party.texts(package, APACHE)

    def test_mit_is_taken_where_it_is_offered(self):
        self.assertEqual(self.texts(self.both()), ["MIT of both\n", "Notice\n"])
        only = self.package("only", "Apache-2.0", LICENSE_APACHE=APACHE)
        self.assertEqual(self.texts(only), [APACHE])

    def test_c_code_has_its_own_licence(self):
        files = {"LICENSE": "MIT\n", "liblz4__lib__LICENSE": "BSD\n"}
        self.assertEqual(self.texts(self.package("lz4-sys", "MIT", "lz4", **files)),
                         ["MIT\n", "BSD\n"])
        with self.assertRaisesRegex(SystemExit, "new-sys links new"):
            self.texts(self.package("new-sys", "MIT", "new", LICENSE="MIT\n"))

    def test_a_crate_without_a_text(self):
        self.assertEqual(self.texts(self.package("bare", "Apache-2.0")), [APACHE])
        mit, = self.texts(self.package("bare-mit", "MIT", authors=["A. Uthor"]))
        self.assertIn("Copyright (c) A. Uthor", mit)
        with self.assertRaisesRegex(SystemExit, "strange: no text of its licence, GPL-3.0"):
            self.texts(self.package("strange", "GPL-3.0"))

    def test_what_is_linked(self):
        names = {"flashstrike-wal": ["a", "macro"], "a": ["b"], "b": [], "macro": ["c"], "c": [],
                 "tests": ["d"], "d": []}
        kinds = {"macro": "proc-macro"}
        packages = [self.package(name, "MIT", kind=kinds.get(name, "lib")) for name in names]

        def dependency(name, kind):
            return {"pkg": name, "dep_kinds": [{"kind": kind}]}

        nodes = [{"id": name, "deps": [dependency(one, None) for one in ones]}
                 for name, ones in names.items()]
        nodes[1]["deps"] += [dependency("c", "build"), dependency("d", "dev")]
        about = {"packages": packages, "resolve": {"nodes": nodes}}
        linked = {package["name"] for package in third_party.linked(about, "flashstrike-wal")}
        self.assertEqual(linked, {"a", "b"})

    def test_a_text_is_there_once(self):
        one = self.both("one")
        same = self.package("same", "MIT", LICENSE="MIT  of\none\n")
        page = third_party.page({"library": [one], "fswal": [same, one]})
        self.assertEqual(page.count("## Text "), 3)
        self.assertIn("| one | 1.0.0 | MIT OR Apache-2.0 | library, fswal | [1](#text-1), "
                      "[2](#text-2) |", page)
        self.assertIn("| same | 1.0.0 | MIT | fswal | [1](#text-1) |", page)
        self.assertIn("| Rust standard library |", page)


if __name__ == "__main__":
    unittest.main()
