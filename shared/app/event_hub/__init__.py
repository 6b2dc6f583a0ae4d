"""The app's event hub: a place to send events to, and how many events wait in it."""
