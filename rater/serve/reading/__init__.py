"""The read API: a store's balances, calls, debits and sums over HTTP, for people and their programs."""
