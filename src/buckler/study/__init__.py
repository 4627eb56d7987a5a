"""The study: does each technique help, and by how much? On public data, several seeds, intervals."""
