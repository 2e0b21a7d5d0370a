"""A small server that speaks ClickHouse's HTTP interface over chDB, for machines without a ClickHouse binary.

The way of a request: `handler` (HTTP) -> `request` (what is asked) -> `execute` (runs it) -> `engine` (chDB).
`body` reads request bodies, `sql` finds the few things the door must know about a statement, `limits` bounds
how much runs at once, `space` sees to it that nothing is acknowledged that the disk had no room for, `errors` gives
each failure ClickHouse's own code and HTTP status, `folder` sees to it that one process owns the data.
"""
