"""`make demo DAY=1`: a scheme's day on a running hub, from the first transfer to the reports, all of it checked."""
