"""The ledger in a run of the batches: tallies are taken to the store, and minutes that are over are held to account."""
