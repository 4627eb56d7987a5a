"""Web pages of the review application: rendered on the server, without inline scripts."""
