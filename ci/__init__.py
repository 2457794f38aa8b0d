"""Programs that make and check what is committed and released."""
