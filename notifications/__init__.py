"""Words: what merchants and staff are told, how it is rendered, and the channels that carry it."""
