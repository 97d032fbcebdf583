"""The flow engine: pure, data in and data out. `step.step` is the way in; it reads no clock, no file and no chance."""
