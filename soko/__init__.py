"""The shell that assembles Soko: settings, command line, embedded engines, web and worker; nobody imports it."""
