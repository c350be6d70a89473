"""Values: what every other room talks about. Imports the standard library (and idna) only."""
