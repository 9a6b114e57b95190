"""How everything stands, for a person: it reads what the features keep and decide, and changes nothing."""
