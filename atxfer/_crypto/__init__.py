"""Keys, and what the platform encrypts, signs and digests with them."""
