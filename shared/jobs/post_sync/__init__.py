"""Steps after the sync: which of them a run carries out, in which order, and the result of each."""
