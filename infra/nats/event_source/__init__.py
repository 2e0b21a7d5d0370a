"""The event source mapping for NATS: what AWS' pollers do for SQS, done for a JetStream consumer.

``python -m infra.nats.event_source`` pulls batches, invokes the function with records of SQS' shape, and settles each
message by the answer. The parts, in the order of a message: ``source`` pulls, ``records`` shapes, ``delivery``
decides (with ``tries`` for memory), ``invoker`` calls the function, ``broker`` settles; ``report`` and ``health`` tell.
"""
