"""Workbooks as a source: calamine reads the cells; what it cannot tell is looked up in the files before."""
