"""Files that browsers send straight to storage, and where the files of sources are kept."""
