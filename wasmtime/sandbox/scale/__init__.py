"""Many inputs: over the threads of a pool, or any executor up to a cluster.

- `mapping` gives batches of inputs away and takes their results, in order or as they come.
- `batches` chooses how many inputs go together, by what they are measured to cost.
- `lanes` are where batches run: a pool, threads, or an executor that pickles.
- `loss` tells a lost worker from other errors, and rebuilds executors that are broken for good.
- `travel` is what goes with a batch, and `remote` what runs where it arrives.
- `progress` shows how far it is.
"""
