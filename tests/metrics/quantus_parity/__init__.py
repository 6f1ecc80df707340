"""The same questions to the installed reference and to ``quantus_compat``; a package, since its files have namesakes."""
