module flashstrike_wal_example

go 1.19
