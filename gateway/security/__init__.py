"""What the gateway refuses before it does any work."""
