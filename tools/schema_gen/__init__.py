"""The schema generator: model reads and checks, emit and routes write C."""
