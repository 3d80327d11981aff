"""Where chunks lie; each module knows one protocol, none knows a thread."""
