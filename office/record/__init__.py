"""What came in, what goes out, what was done: inbox, outbox, the audit chain and who may stand in it."""
