"""Settlement of receivables every half month: orders in, drafts, release, payments, returns (STL)."""
