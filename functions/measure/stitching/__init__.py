"""Which visitor an event is of, and which session: computed in the store, for what changed and nothing else."""
