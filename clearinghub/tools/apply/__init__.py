"""`clearinghub apply`: makes a running hub what a scheme's file says; what it does not mention is left alone."""
