"""Exports: usage, pools, debits and balances as CSV, JSON Lines, Parquet and Excel."""
