"""What the calls of a client do, one kind of call a module; between the client and the engine."""
