"""How the values of a source are written: numbers, dates, moments of a time zone, words. SQL over their text."""
