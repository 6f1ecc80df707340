"""Parts of the reliability campaign: each has ``run(scale, seed, folder)``, which returns its tally."""
