"""`clearinghub demo`: sends payments of every kind to a running hub and checks each outcome and balance."""
