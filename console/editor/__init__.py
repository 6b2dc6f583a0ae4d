"""The editor: definitions as forms and as YAML, with checks, previews and versions."""
