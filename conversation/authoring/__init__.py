"""What flow authors use: loading flows, and being told exactly what is wrong with them."""
