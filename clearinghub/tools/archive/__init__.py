"""`clearinghub archive`: the analysts' topics as Parquet files, each record exactly once (docs/archive.md, ADR 20)."""
