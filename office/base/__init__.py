"""Under everything: time, settings, the database, sealed values, working days."""
