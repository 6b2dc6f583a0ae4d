"""Forms made from the models of a definition: a new key appears by itself."""
