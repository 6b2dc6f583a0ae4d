"""What requests do with rows: each operation is planned on arrival, and the plan reads or writes."""
