"""How well messages of customers are understood, by entity and language: writes bench/entities/RESULTS.md."""

from bench.entities.run import main

main()
