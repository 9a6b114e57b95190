"""MIND: decisions as pure functions from observed facts to frozen actions, each with its reason."""
