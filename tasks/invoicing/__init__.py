"""开票: months, statements, invoices received, freezes, exit invoices."""
