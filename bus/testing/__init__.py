"""A node within an application's own tests: the pytest fixture `renkei_node` (see README.md beside this file)."""
