"""The commands of ``dianwu``, one module for each group. What is slow to load is imported where it is used."""
