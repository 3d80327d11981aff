"""Connections to servers: TLS, look-up of atServers, login, and a pool of them."""
