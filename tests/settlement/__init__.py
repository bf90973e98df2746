"""Settlement: halves of a month, from orders to what the bank says."""
