"""Our definitions of Quantus against the installed one; a package, so that file names may repeat those above it."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quantus  # noqa: F401 (before the tests do, where its warnings would be errors)
