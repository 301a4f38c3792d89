"""The simulated DFSP: an HTTP server and client that speaks FSPIOP as payer and as payee."""
