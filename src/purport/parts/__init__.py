"""The settings as the parts that the server and the commands are made of; what each asks of them, by subject."""
