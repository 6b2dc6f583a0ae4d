"""The console: build, run and watch syncs in a browser or over HTTP."""
