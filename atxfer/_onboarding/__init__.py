"""How keys come to be: an atSign's own, and those of further devices."""
