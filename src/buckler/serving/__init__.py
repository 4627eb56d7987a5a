"""Ways to run a bundle over much data."""
