"""A scheme's day on a running hub: transfers, windows, settlements, funds and reports, all compared with own books."""
