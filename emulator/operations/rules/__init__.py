"""What the service decides by itself when a row is written: states, amounts of money, activity parties."""
