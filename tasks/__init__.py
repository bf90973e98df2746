"""Verbs: each touches the world once, in one transaction. The ports to the world, and what stands behind them."""
