"""An optimizer and a hook for optreg. Nothing is imported here, so that declaring them stays cheap."""
