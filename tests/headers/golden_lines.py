#!/usr/bin/env python3
"""Writes tests/golden/format.json as lines of words, for read_files.c.

Usage: golden_lines.py FORMAT.JSON LINES
"""

import json
import sys

sys.stdout = open(sys.argv[2], "w", encoding="utf-8")
with open(sys.argv[1], encoding="utf-8") as file:
    golden = json.load(file)


def hexed(text):
    return text or "-"


for case in golden["checksums"]:
    print("xxh64", hexed(case["hex"]), case["seed"], case["xxh64"])
for case in golden["segment_headers"]["valid"]:
    print("segment_header", case["hex"], *case["fields"].values())
for case in golden["segment_headers"]["invalid"]:
    print("bad_segment_header", hexed(case["hex"]))
for case in golden["blocks"]["valid"]:
    print("block_header", case["header_hex"], *case["fields"].values())
for case in golden["blocks"]["invalid_headers"]:
    print("bad_block_header", hexed(case["hex"]), case["why"].replace(" ", "_"))
for case in golden["meta"]["valid"]:
    print("meta", case["hex"], *case["fields"].values())
for case in golden["meta"]["invalid"]:
    print("bad_meta", hexed(case["hex"]))
for case in golden["identity"]["valid"]:
    numbers = [case["fields"][key] for key in ("wal_dev", "wal_ino", "generation", "clean")]
    texts = [case["fields"][key].encode().hex() for key in ("boot_id", "active_path")]
    print("identity", case["hex"], case["fields"]["id"], *numbers, *texts)
for case in golden["identity"]["invalid"]:
    print("bad_identity", hexed(case["hex"]), case["why"].replace(" ", "_"))
for case in golden["file_names"]["valid"]:
    print("name", case["name"].encode().hex(), case["kind"], case["index"])
for name in golden["file_names"]["invalid"]:
    print("bad_name", hexed(name.encode().hex()))
segment = golden["segment"]
print("segment", *segment["fields"].values(), segment["length"], segment["xxh64"],
      segment["events_xxh64"], segment["last_event_hex"])
