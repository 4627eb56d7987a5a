"""The study: does each technique help, and by how much? Public data, several seeds, intervals."""
