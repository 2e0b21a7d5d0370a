"""The fault matrix: the whole laptop stack is broken in every way that is known, and an independent witness counts.

The way of a fault: `witness` (a client process that writes down every answer) posts to the stack that `rig` owns
(`host`: the stack in a process of its own, behind proxies); a fault of `matrix`, which is data, breaks and mends it;
`account` reads what the witness wrote; `compare` holds it against the stores and every answer of the API; `table`
tells. `python -m tests.faults` runs them all, and `test_matrix` each by its name.
"""
