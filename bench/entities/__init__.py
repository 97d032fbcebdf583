"""How well messages of customers are understood: phrases.yaml read by the engine, counted by entity and language."""
