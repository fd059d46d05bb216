"""Who compares texts: a reward run, a local model, an endpoint."""
