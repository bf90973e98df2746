"""Opening shops, and opening them again."""
