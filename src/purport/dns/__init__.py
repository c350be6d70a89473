"""Questions to the DNS as values, and evaluations that ask them; no I/O."""
