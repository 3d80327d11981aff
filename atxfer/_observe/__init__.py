"""What happened, and who hears it: events, progress, metrics, logs."""
