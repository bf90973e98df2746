"""强制关店: closing a shop by force, and what becomes of the money held back."""
