"""What a change passes: the transactional outbox, idempotency keys, domain events."""
