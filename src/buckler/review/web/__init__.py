"""The review application's pages: rendered here, without any script of their own in them."""
