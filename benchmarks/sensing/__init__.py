"""What the device can tell, measured: how right, how fast, and beside whom."""
