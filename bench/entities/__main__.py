"""Run it: python -m bench.entities"""

from bench.entities.run import main

main()
