"""What was known and why it was decided: the record of every transaction, its replay, its explanation."""
