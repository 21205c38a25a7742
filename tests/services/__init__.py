"""Real services for tests: started as plain processes of their own, on loopback, with their data under a temporary folder."""
