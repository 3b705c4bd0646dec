"""How fast this is, next to what the machine itself can do."""
