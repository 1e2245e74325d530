"""What can keep a mask from appearing, one kind a module: each check is a function of settings and clients."""
