"""Values on their way into the target's columns: what each is made of, and whether a row's key is known."""
