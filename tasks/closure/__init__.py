"""关店: closing a shop."""
