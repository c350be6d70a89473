"""Results: who may speak for whom. Evaluators are generators of DNS questions; no I/O."""
