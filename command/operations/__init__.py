"""Use cases: one module a verb or noun. Everything above this layer reaches data only through here."""
