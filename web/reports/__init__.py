"""Reports of settlement and of accounts as JSON, as CSV, and as a page to print; the hub's own additions."""
