"""Alertmanager's configuration to begin with, and what its mails say."""
