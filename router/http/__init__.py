"""The control-plane API, one file per noun."""
