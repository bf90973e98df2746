"""Money from one account to another, once per key."""
