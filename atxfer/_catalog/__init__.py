"""Where manifests lie, apart from where chunks lie (design §3)."""
