"""The four domains; each is a package that knows nothing of the others."""
