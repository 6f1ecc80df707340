"""The registry of explanation methods; every module of this package adds its own."""

from audioxai.registry import MethodEntry, Registry

METHODS: Registry[MethodEntry] = Registry("method", MethodEntry, "audioxai.xai_methods")

# Names of the domains that hold sound as levels or as samples: those in which noise can be made.
SOUND = ("log_mel", "waveform")
