"""Files and programs for those who run and release Buckler."""
