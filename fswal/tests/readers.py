"""What others read out of exported files is what was recorded, bit for bit.

readers.py READER EVENTS FOLDER

READER is pyarrow, polars or duckdb. EVENTS has the 64 bytes of each event; FOLDER has
day.parquet, day.arrow, day.stream, payload.parquet and utc.parquet. Ends with 77 if the reader is
not installed.
"""

import importlib.util
import struct
import sys
from pathlib import Path

#: The fields behind each other, as docs/format.md has them.
EVENT = struct.Struct("<QQqqIIBBB21s")
PAYLOAD = struct.Struct("<Q56s")


def by_pyarrow(path):
    import pyarrow as pa
    import pyarrow.parquet

    if path.suffix == ".parquet":
        table = pa.parquet.read_table(path)
    elif path.suffix == ".arrow":
        table = pa.ipc.open_file(path).read_all()
    else:
        table = pa.ipc.open_stream(path).read_all()
    table.validate(full=True)
    if path.name == "utc.parquet":
        assert table.schema.field("timestamp").type == pa.timestamp("ns", "UTC")
        at = table.schema.get_field_index("timestamp")
        table = table.set_column(at, "timestamp", table["timestamp"].cast(pa.int64()))
    else:
        widths = {"reserved": 21, "payload": 56}
        for name in widths.keys() & set(table.column_names):
            assert table.schema.field(name).type == pa.binary(widths[name])
    return list(zip(*(column.to_pylist() for column in table.columns)))


def by_polars(path):
    import polars as pl

    read = {".parquet": pl.read_parquet, ".arrow": pl.read_ipc, ".stream": pl.read_ipc_stream}
    frame = read[path.suffix](path)
    if path.name == "utc.parquet":
        assert frame.schema["timestamp"] == pl.Datetime("ns", "UTC")
        frame = frame.with_columns(pl.col("timestamp").to_physical())
    return frame.rows()


def by_duckdb(path):
    import duckdb

    session = duckdb.connect()
    if path.suffix != ".parquet":
        # It takes Arrow from a reader of Arrow, not from a file.
        import pyarrow as pa

        opened = pa.ipc.open_file if path.suffix == ".arrow" else pa.ipc.open_stream
        events = opened(path).read_all()  # named in the query
        return session.sql("SELECT * FROM events").fetchall()
    columns = "*"
    if path.name == "utc.parquet":
        columns = "* REPLACE (epoch_ns(timestamp) AS timestamp)"
    return session.sql(f"SELECT {columns} FROM read_parquet('{path}')").fetchall()


def ids_by_pyarrow(path, least):
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet

    wanted = pa.compute.field("event_id") >= pa.scalar(least, pa.uint64())
    table = pa.parquet.read_table(path, columns=["event_id"], filters=wanted)
    return table["event_id"].to_pylist()


def ids_by_polars(path, least):
    import polars as pl

    frame = pl.scan_parquet(path).filter(pl.col("event_id") >= least).select("event_id")
    return frame.collect()["event_id"].to_list()


def ids_by_duckdb(path, least):
    import duckdb

    query = f"SELECT event_id FROM read_parquet('{path}') WHERE event_id >= {least}"
    return [row[0] for row in duckdb.connect().sql(query).fetchall()]


#: Each gives all events of a file, and the ids from one on: for this it may skip what the file says
#: to be below.
READERS = {
    "pyarrow": (by_pyarrow, ids_by_pyarrow),
    "polars": (by_polars, ids_by_polars),
    "duckdb": (by_duckdb, ids_by_duckdb),
}


def main():
    reader, events, folder = sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3])
    if importlib.util.find_spec(reader) is None:
        return 77
    whole = list(EVENT.iter_unpack(events))
    times = [event for event in whole if event[1] < 2**63]
    if reader == "duckdb":
        # The last time that a file can have is its infinity, which is no number of nanoseconds.
        as_there = {2**63 - 1: None}
        times = [(event[0], as_there.get(event[1], event[1]), *event[2:]) for event in times]
    expected = {"day.parquet": whole, "day.arrow": whole, "day.stream": whole,
                "payload.parquet": list(PAYLOAD.iter_unpack(events)), "utc.parquet": times}
    read, ids_from = READERS[reader]
    for name, want in expected.items():
        found = read(folder / name)
        assert len(found) == len(want), f"{name}: {len(found)} events of {len(want)}"
        for one, other in zip(found, want):
            assert tuple(one) == other, f"{name}: {one} is not {other}"
    for least in (1, 4_000, 2**63, 2**63 + 2, 2**64 - 1):
        want = [event[0] for event in whole if event[0] >= least]
        found = ids_from(folder / "day.parquet", least)
        assert found == want, f"from {least}: {found} are not {want}"
    print(f"{reader}: {len(whole)} events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
