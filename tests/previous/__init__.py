"""An office as the previous version has left it: how it was filled, and how it is laid out again."""
