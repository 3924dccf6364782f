"""What several tests need: real servers, databases made from a template, running applications."""
