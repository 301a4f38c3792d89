"""`clearinghub admin`: what operators do daily, over the admin HTTP API."""
