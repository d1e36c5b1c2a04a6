"""A day of events as Parquet: parquet.py DIRECTORY 2026-11-28 OUT (needs pyarrow)"""

import datetime
import sys

import pyarrow.parquet

import flashstrike_wal as fs


def main(directory: str, day: str, out: str) -> None:
    begins = datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.timezone.utc)
    ends = begins + datetime.timedelta(days=1, microseconds=-1)
    columns = fs.read(directory, from_time=begins, to_time=ends, columns=fs.COLUMNS)
    pyarrow.parquet.write_table(columns.to_arrow(), out, compression="zstd")
    print(columns.num_events, "events")


if __name__ == "__main__":
    main(*sys.argv[1:])
