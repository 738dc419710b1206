"""How the packed rank files under `hybridrt/window/data` are made."""
