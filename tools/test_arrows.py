#!/usr/bin/env python3
"""Tests of arrows.py: in small trees with planted faults it must find exactly those."""

import tempfile
import unittest
from pathlib import Path

import arrows

CLEAN = {
    "src/lib.rs": "pub mod high;\npub mod low;\n#[cfg(test)]\nmod tests;\n",
    "src/tests.rs": "use crate::high::Top;\n",
    "src/low/mod.rs": "mod bottom;\nmod middle;\npub use {bottom::Bottom, middle::Middle};\n",
    "src/low/bottom.rs": "pub struct Bottom;\n",
    "src/low/middle.rs": "use super::Bottom;\npub struct Middle(Bottom);\n",
    "src/high.rs": "use crate::low::{self, Middle};\npub struct Top(Middle, low::Bottom);\n",
    "benches/src/main.rs": "fn main() {}\n",
    "fswal/src/main.rs": "fn main() {}\n",
    "examples_c/book.hpp": "",
    "examples_c/demo.cpp": '#include "book.hpp"\n#include <vector>\n',
}


class Arrows(unittest.TestCase):
    def faults(self, changed):
        """What arrows.py says about the clean tree with some files changed."""
        with tempfile.TemporaryDirectory() as scratch:
            for name, text in {**CLEAN, **changed}.items():
                path = Path(scratch) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            rooms, faults = arrows.all_rooms(Path(scratch))
            for room in rooms:
                faults += room.circles()[0] + list(room.upward())
            return faults

    def setUp(self):
        order, arrows.ORDER = arrows.ORDER, {}
        self.addCleanup(setattr, arrows, "ORDER", order)

    def assert_one(self, changed, *parts):
        found = self.faults(changed)
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_a_clean_tree_has_no_faults(self):
        self.assertEqual(self.faults({}), [])

    def test_circle_of_two_files(self):
        bottom = "use super::middle::Middle;\npub struct Bottom(Option<Box<Middle>>);\n"
        self.assert_one({"src/low/bottom.rs": bottom}, "src/low: circle bottom -> middle -> bottom",
                        "src/low/bottom.rs:1: super::middle::Middle",
                        "src/low/middle.rs:1: super::Bottom")

    def test_circle_of_two_rooms_by_different_files(self):
        changed = {"src/low/bottom.rs": "pub struct Bottom;\nfn f() { crate::high::f(); }\n"}
        self.assert_one(changed, "src: circle high -> low -> high",
                        "src/low/bottom.rs:2: crate::high::f", "src/high.rs:1: crate::low")

    def test_circle_through_a_nested_group(self):
        changed = {"src/low/bottom.rs": "use crate::{\n  low::{middle::{\n    Middle as M}},\n};\n"
                                        "pub struct Bottom(M);\n"}
        self.assert_one(changed, "src/low: circle",
                        "src/low/bottom.rs:3: crate::low::middle::Middle")

    def test_circle_through_a_glob(self):
        changed = {"src/low/bottom.rs": "use super::middle::*;\npub struct Bottom;\n"}
        self.assert_one(changed, "src/low: circle", "src/low/bottom.rs:1: super::middle::*")

    def test_circle_through_a_reexport(self):
        changed = {"src/low/bottom.rs": "pub struct Bottom(Option<Box<crate::low::Middle>>);\n"}
        self.assert_one(changed, "src/low: circle", "src/low/bottom.rs:1: crate::low::Middle")

    def test_circle_of_three_files(self):
        changed = {
            "src/low/mod.rs": CLEAN["src/low/mod.rs"] + "mod third;\n",
            "src/low/third.rs": "use super::middle::Middle;\n",
            "src/low/bottom.rs": "use super::third;\npub struct Bottom;\n",
        }
        self.assert_one(changed, "src/low: circle bottom -> third -> middle -> bottom")

    def test_import_of_what_the_door_defines(self):
        changed = {
            "src/low/mod.rs": CLEAN["src/low/mod.rs"] + "pub const SIZE: usize = 1;\n",
            "src/low/bottom.rs": "use super::SIZE;\npub struct Bottom;\n",
        }
        self.assert_one(changed, "src/low: its door defines", "src/low/bottom.rs:1: super::SIZE")

    def test_import_of_what_the_crate_root_defines(self):
        changed = {"src/lib.rs": CLEAN["src/lib.rs"] + "pub const SIZE: usize = 1;\n",
                   "src/high.rs": CLEAN["src/high.rs"] + "const TWO: usize = 2 * crate::SIZE;\n"}
        self.assert_one(changed, "src: its door defines", "src/high.rs:3: crate::SIZE")

    def test_a_door_beside_its_folder(self):
        changed = {"src/high.rs": CLEAN["src/high.rs"] + "mod part;\n",
                   "src/high/part.rs": "use super::Top;\n"}
        self.assert_one(changed, "src/high: its door defines", "src/high/part.rs:1: super::Top")

    def test_arrow_against_the_order(self):
        arrows.ORDER = {"src": ("high", "low")}
        self.assert_one({}, "src: high -> low does not point to a lower floor", "src/high.rs:1")
        arrows.ORDER = {"src": ("high low",)}
        self.assert_one({}, "src: high -> low does not point to a lower floor")
        arrows.ORDER = {"src": ("low", "high")}
        self.assertEqual(self.faults({}), [])

    def test_a_box_without_a_floor(self):
        arrows.ORDER = {"src": ("low",)}
        self.assert_one({}, "src: high stands on no floor")

    def test_a_file_that_no_mod_names(self):
        self.assert_one({"src/low/lost.rs": ""}, "src/low/lost.rs:1: no `mod` leads to this file")

    def test_circle_of_headers(self):
        self.assert_one({"examples_c/book.hpp": '#include "demo.cpp"\n'}, "examples_c: circle",
                        "examples_c/book.hpp:1", "examples_c/demo.cpp:1")

    def test_comments_strings_and_tests_import_nothing(self):
        bottom = (
            "// use super::middle::Middle;\n/* use super::middle::Middle; */\n"
            "/// [`super::middle::Middle`]\npub(in crate::low) struct Bottom<'a>(&'a str);\n"
            'const A: &str = "use super::middle::Middle;";\n'
            'const B: &str = r#"" crate::high::Top "#;\nconst C: char = \'"\';\n'
            "#[cfg(test)]\nuse super::middle::Middle;\n"
            "#[cfg(all(test, loom))]\nmod model {\n    use super::super::middle::Middle;\n}\n"
            "fn f() {\n    #[cfg(test)]\n    super::middle::f();\n}\n"
            "struct S {\n    #[cfg(test)]\n    middle: super::middle::Middle,\n}\n"
        )
        self.assertEqual(self.faults({"src/low/bottom.rs": bottom}), [])

    def test_what_follows_something_of_a_test_counts(self):
        bottom = ("pub struct Bottom {\n    #[cfg(test)]\n    a: u8,\n"
                  "    b: Option<Box<super::middle::Middle>>,\n}\n")
        self.assert_one({"src/low/bottom.rs": bottom}, "src/low: circle", "bottom.rs:4")

    def test_names_are_found_behind_any_keywords(self):
        items = ("pub const fn a() {}", "pub(crate) unsafe extern \"C\" fn a() {}",
                 "static a: u8 = 0;", "pub enum a { X }", "macro_rules! a { () => {} }")
        for item in items:
            changed = {"src/low/mod.rs": CLEAN["src/low/mod.rs"] + item,
                       "src/low/bottom.rs": "use super::a;\npub struct Bottom;\n"}
            self.assert_one(changed, "src/low: its door defines", "bottom.rs:1: super::a")

    def test_a_condition_that_does_not_need_a_test_is_no_excuse(self):
        for condition in ("not(test)", "any(test, unix)", "unix", "all(unix, not(test))"):
            bottom = f"#[cfg({condition})]\nuse super::middle::Middle;\npub struct Bottom;\n"
            self.assert_one({"src/low/bottom.rs": bottom}, "src/low: circle", "bottom.rs:2")


if __name__ == "__main__":
    unittest.main()
