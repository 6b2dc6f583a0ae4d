"""Actions, functions and custom APIs: those that an environment has, and calls of them."""
