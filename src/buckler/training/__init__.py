"""From labeled events to a bundle."""
