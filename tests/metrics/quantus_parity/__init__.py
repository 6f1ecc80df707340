"""Our ``quantus_compat`` beside the installed Quantus; a package, so that its files may be named as those above it."""
