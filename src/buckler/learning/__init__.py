"""From labelled events to a bundle."""
