"""polygraph: a lie detector for AI agents. Vocabulary, configuration, log and command line."""

__version__ = "0.1.0"
