"""Every change passes this: the transactional outbox, idempotency keys, domain events."""
