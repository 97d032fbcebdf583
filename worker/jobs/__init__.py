"""One job a file. `run(vendor)` is what RQ calls; `drain(tools, vendor_id)` does the work, and is safe to repeat."""
