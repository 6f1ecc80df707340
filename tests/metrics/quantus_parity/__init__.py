"""Our ``quantus_compat`` beside the installed Quantus; a package, so that its files may be named as those above it."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quantus  # noqa: F401 (before the tests do, where its warnings would be errors)
