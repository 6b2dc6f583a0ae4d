"""The service over HTTP: command line, server, application, batches and the paths of the emulator itself."""
