"""Workbooks as a source: calamine reads the cells; what it does not report is read from the files before."""
