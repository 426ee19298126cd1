"""``optreg bench``: backends of optreg beside other packages, and beside the speed of memory, on this machine."""
